"""What may be declared without signing in, where, until when, and which numbers it names."""

from datetime import date, timedelta

import pytest

from storefront.domain.declarations import (
    DeclarationKind,
    Right,
    has_review,
    is_timely,
    links_end,
    links_withdrawal,
    words_of,
)

ORDERED = date(2027, 2, 1)
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
    assert is_timely(came, Right(ORDERED, left, ORDERED)) is timely


@pytest.mark.parametrize(
    ("told", "last"),
    [
        (None, date(2028, 3, 22)),
        (date(2027, 3, 8), date(2027, 3, 22)),
        (date(2027, 3, 9), date(2027, 3, 23)),
        (date(2028, 3, 22), date(2028, 4, 5)),
        (date(2028, 3, 23), date(2028, 3, 22)),
    ],
    ids=["never", "in time", "late", "on the last day for it", "too late to matter"],
)
def test_who_was_not_told_of_the_right_has_it_for_twelve_months_more(told, last):
    right = Right(ORDERED, LEFT, told)
    assert is_timely(last, right)
    assert not is_timely(last + timedelta(days=1), right)


def test_what_is_not_sent_can_be_withdrawn_from_for_two_weeks_from_the_order():
    right = Right(ORDERED, None, ORDERED, ships=False)
    assert is_timely(date(2027, 2, 15), right)
    assert not is_timely(date(2027, 2, 16), right)


@pytest.mark.parametrize(("ships", "last"), [(True, date(2027, 5, 22)), (False, date(2027, 5, 15))])
def test_a_second_right_counts_from_the_day_a_trial_went_over_into_paid_time(ships, last):
    right = Right(ORDERED, LEFT, ORDERED, ships=ships, converted_on=date(2027, 5, 1))
    assert is_timely(last, right)
    assert not is_timely(last + timedelta(days=1), right)


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
