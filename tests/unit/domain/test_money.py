"""Money: whole units, one currency, and splits that lose nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.money import CurrencyMismatch, Money, allocate, exponent

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
MINORS = st.integers(-(10**9), 10**9)
WEIGHTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(sum)


@pytest.mark.parametrize(
    ("currency", "digits"), [("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("CLF", 4)]
)
def test_exponents_follow_iso_4217(currency, digits):
    assert exponent(currency) == digits


@pytest.mark.parametrize("code", ["eur", "", "XXX", "EURO"])
def test_an_unknown_currency_is_refused(code):
    with pytest.raises(ValueError, match="unknown currency"):
        exponent(code)
    with pytest.raises(ValueError, match="unknown currency"):
        Money(1, code)


@pytest.mark.parametrize("minor", [1.0, "1", True, None])
def test_only_whole_numbers_become_money(minor):
    with pytest.raises(TypeError, match=f"whole numbers, not {minor!r}"):
        Money(minor, "EUR")


def test_currencies_never_mix():
    euro, yen = Money(1, "EUR"), Money(1, "JPY")

    for mix in (
        lambda: euro + yen,
        lambda: euro - yen,
        lambda: euro < yen,
        lambda: euro <= yen,
        lambda: euro > yen,
        lambda: euro >= yen,
    ):
        with pytest.raises(CurrencyMismatch, match="EUR and JPY"):
            mix()
    assert euro != yen


@given(MINORS, MINORS, st.integers(-50, 50), CURRENCIES)
def test_arithmetic_is_that_of_whole_numbers(a, b, times, currency):
    first, second = Money(a, currency), Money(b, currency)

    assert first + second - second == first
    assert -first == Money.zero(currency) - first
    assert first * times == times * first == Money(a * times, currency)
    assert (first < second) == (a < b)
    assert (first > second) == (a > b)
    assert (first <= second) == (a <= b)
    assert (first >= second) == (a >= b)
    assert (first - first).is_zero


@given(MINORS, WEIGHTS, CURRENCIES)
def test_parts_sum_to_the_whole_and_stay_within_one_unit_of_fair(minor, weights, currency):
    parts = allocate(Money(minor, currency), weights)

    assert sum(part.minor for part in parts) == minor
    whole = sum(weights)
    assert all(
        abs(part.minor * whole - minor * weight) < whole
        for part, weight in zip(parts, weights, strict=True)
    )


@given(MINORS, WEIGHTS)
def test_a_negative_sum_is_split_like_its_positive_twin(minor, weights):
    there = allocate(Money(minor, "EUR"), weights)
    back = allocate(Money(-minor, "EUR"), weights)

    assert [-part for part in there] == back


def test_an_amount_is_at_least_and_at_most_itself():
    assert Money(5, "EUR") <= Money(5, "EUR")
    assert Money(5, "EUR") >= Money(5, "EUR")


def test_the_earlier_part_wins_a_tie():
    assert [part.minor for part in allocate(Money(1, "EUR"), [1, 1])] == [1, 0]


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (5, [6, 3], [3, 2]),
        (10, [1, 2, 4], [1, 3, 6]),
        (7, [2, 5, 3], [1, 4, 2]),
        (2, [1, 1, 1], [1, 1, 0]),
        (-5, [6, 3], [-3, -2]),
    ],
)
def test_what_is_left_over_goes_where_most_was_cut_off(total, weights, parts):
    assert [part.minor for part in allocate(Money(total, "EUR"), weights)] == parts


def test_nothing_needs_no_weight_but_something_does():
    assert allocate(Money(0, "EUR"), [0, 0]) == [Money(0, "EUR")] * 2
    with pytest.raises(ValueError, match=r"^no weight above zero"):
        allocate(Money(1, "EUR"), [0, 0])
    with pytest.raises(ValueError, match="negative weight"):
        allocate(Money(1, "EUR"), [2, -1])
