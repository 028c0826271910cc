"""Card numbers do not survive in texts; an e-mail address has one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.privacy import NotAnEmail, mask_card_numbers, normalise_email


def luhn_valid(digits):
    """Return ``digits`` with the check digit that makes them a card number."""
    for check in range(10):
        number = f"{digits}{check}"
        doubled = [sum(divmod(int(digit) * 2, 10)) for digit in number[-2::-2]]
        if (sum(doubled) + sum(int(digit) for digit in number[-1::-2])) % 10 == 0:
            return number
    raise AssertionError(digits)


CARDS = st.from_regex(r"[1-9][0-9]{11,17}", fullmatch=True).map(luhn_valid)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("4242424242424242", "••••••••••••4242"),
        ("4242-4242-4242-4242!", "••••-••••-••••-4242!"),
        ("amex 3782 822463 10005", "amex •••• •••••• •0005"),
        ("12 4242 4242 4242 4242 12", "12 •••• •••• •••• 4242 12"),
        ("a 4111111111111111 b 4242424242424242", "a ••••••••••••1111 b ••••••••••••4242"),
        ("4242 4242 4242 4241", "4242 4242 4242 4241"),
        ("phone +49 30 901820, order 2027-000123", "phone +49 30 901820, order 2027-000123"),
        ("0000000000000", "0000000000000"),
        ("", ""),
    ],
)
def test_a_card_number_keeps_its_last_four_digits(text, masked):
    assert mask_card_numbers(text) == masked


@given(CARDS, st.text(max_size=20), st.text(max_size=20))
def test_no_card_number_survives_between_words(card, before, after):
    masked = mask_card_numbers(f"{before} x{card}x {after}")

    assert card not in masked
    assert f"{card[-4:]}x" in masked


@given(st.text(max_size=60))
def test_masking_keeps_length_and_is_done_once(text):
    once = mask_card_numbers(text)

    assert len(once) == len(text)
    assert mask_card_numbers(once) == once


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ada@Example.ORG ", "ada@example.org"),
        ("ada+tea@example.org", "ada+tea@example.org"),
        ("a.d.a@example.org", "a.d.a@example.org"),
        ("ju\u0308rgen@example.org", "j\u00fcrgen@example.org"),
    ],
)
def test_an_address_has_one_form(typed, kept):
    assert normalise_email(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a@b@example.org",
        "ada lovelace@example.org",
        "ada@example..org",
        "ada@.org",
        "ada@example.org\nBcc: eve@example.org",
        "ada\u200b@example.org",
        f"{'a' * 250}@b.de",
    ],
)
def test_what_is_no_address_is_refused(typed):
    with pytest.raises(NotAnEmail):
        normalise_email(typed)


@given(st.emails())
def test_normalising_twice_changes_nothing(address):
    once = normalise_email(address)

    assert normalise_email(once) == once
