"""What may be declared without signing in, where, until when, and which numbers it names."""

from datetime import date

import pytest

from storefront.domain.declarations import (
    DeclarationKind,
    has_review,
    is_timely,
    links_end,
    links_withdrawal,
    words_of,
)

LEFT = date(2027, 3, 1)


@pytest.mark.parametrize(
    ("countries", "end", "withdrawal"),
    [
        (["DE"], True, True),
        (["US", "FR"], True, True),
        (["AT"], False, True),
        (["NO"], False, True),
        (["US", "GB"], False, True),
        (["US", "CH"], False, False),
        ([], False, False),
    ],
)
def test_links_stand_where_a_shop_delivers_to_who_must_have_them(countries, end, withdrawal):
    assert (links_end(countries), links_withdrawal(countries)) == (end, withdrawal)


def test_only_the_german_way_of_ending_has_nothing_in_between():
    assert [has_review(DeclarationKind.END, code) for code in ("de", "en", "fr")] == [
        False,
        False,
        True,
    ]
    assert all(has_review(DeclarationKind.WITHDRAW, code) for code in ("de", "en", "fr"))


@pytest.mark.parametrize(
    ("came", "left", "timely"),
    [
        (date(2030, 1, 1), None, True),
        (LEFT, LEFT, True),
        (date(2027, 3, 22), LEFT, True),
        (date(2027, 3, 23), LEFT, False),
    ],
)
def test_a_withdrawal_is_timely_until_three_weeks_after_the_first_box_left(came, left, timely):
    assert is_timely(came, left) is timely


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("Tea box, no. (SUB_ABC) or INV-12.", ["tea", "box", "no", "sub_abc", "or", "inv-12"]),
        ("sub_a,sub_b", ["sub_a", "sub_b"]),
        (" .,; ", []),
        ("", []),
    ],
)
def test_what_may_be_a_number_is_found_however_it_is_typed(typed, words):
    assert words_of(typed) == words
