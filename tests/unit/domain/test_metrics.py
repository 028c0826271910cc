"""Measures: a month is a month, and movements always sum to the difference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.metrics import Movement, MovementKind, monthly_value, movement_between
from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.periods import Interval


def euro(minor):
    return Money(minor, "EUR")


@pytest.mark.parametrize(
    ("minor", "interval", "monthly"),
    [
        (2900, Interval("month"), 2900),
        (8700, Interval("month", 3), 2900),
        (12000, Interval("year"), 1000),
        (24000, Interval("year", 2), 1000),
        (1200, Interval("week"), 5200),
        (1200, Interval("week", 4), 1300),
        (1200, Interval("day", 7), 5200),
        (1, Interval("month", 2), 1),
        (5, Interval("year"), 0),
    ],
)
def test_mrr_is_brought_to_a_month(minor, interval, monthly):
    assert monthly_value(euro(minor), interval) == euro(monthly)


@pytest.mark.parametrize(
    ("old", "new", "kind", "delta"),
    [
        (None, 2900, MovementKind.NEW, 2900),
        (None, 0, MovementKind.NEW, 0),
        (2900, 3900, MovementKind.EXPANSION, 1000),
        (2900, 0, MovementKind.CONTRACTION, -2900),
        (0, 2900, MovementKind.EXPANSION, 2900),
        (2900, None, MovementKind.CHURN, -2900),
        (0, None, MovementKind.CHURN, 0),
    ],
)
def test_each_change_has_its_kind(old, new, kind, delta):
    before, after = (None if minor is None else euro(minor) for minor in (old, new))

    assert movement_between(before, after) == Movement(kind, euro(delta))


def test_someone_who_had_churned_is_a_reactivation():
    moved = movement_between(None, euro(2900), churned_before=True)

    assert moved == Movement(MovementKind.REACTIVATION, euro(2900))


def test_where_nothing_moves_there_is_no_movement():
    assert movement_between(None, None) is None
    assert movement_between(euro(5), euro(5)) is None


def test_mrr_of_two_currencies_does_not_move():
    with pytest.raises(CurrencyMismatch):
        movement_between(euro(1), Money(1, "USD"))


@given(st.lists(st.none() | st.integers(0, 10**6).map(euro), min_size=1, max_size=20))
def test_opening_and_movements_make_closing(states):
    closing = 0
    for old, new in zip([None, *states], states, strict=False):
        moved = movement_between(old, new)
        closing += moved.delta.minor if moved else 0

    assert closing == (states[-1].minor if states[-1] else 0)
