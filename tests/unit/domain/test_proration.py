"""Proration: by whole days, and no change after change gains or loses more than a unit each."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.periods import BillingPeriod
from storefront.domain.proration import settle_change, share_of, unused_value

MARCH = BillingPeriod(date(2027, 3, 1), date(2027, 4, 1))
PRICES = st.integers(0, 10**7)
PERIODS = st.builds(
    lambda start, days: BillingPeriod(start, start + timedelta(days=days)),
    st.dates(date(2020, 1, 1), date(2040, 1, 1)),
    st.integers(1, 366),
)


def euro(minor):
    return Money(minor, "EUR")


@pytest.mark.parametrize(
    ("day", "unused"), [(date(2027, 3, 1), 3100), (date(2027, 3, 31), 100), (date(2027, 4, 1), 0)]
)
def test_the_day_of_change_counts_as_unused(day, unused):
    assert unused_value(euro(3100), MARCH, day) == euro(unused)


@pytest.mark.parametrize("day", [date(2027, 2, 28), date(2027, 4, 2)])
def test_a_day_outside_the_period_is_refused(day):
    with pytest.raises(ValueError, match="outside"):
        unused_value(euro(3100), MARCH, day)


def test_yearly_to_monthly_credits_what_the_year_cost():
    year = BillingPeriod(date(2027, 1, 1), date(2028, 1, 1))

    change = settle_change(euro(36500), euro(0), year, date(2027, 4, 11))

    assert (change.credit, change.charge, change.net) == (euro(26500), euro(0), euro(-26500))


def test_two_currencies_do_not_settle():
    with pytest.raises(CurrencyMismatch):
        settle_change(euro(1), Money(1, "JPY"), MARCH, MARCH.start)


@given(PRICES, PERIODS, st.data())
def test_used_and_unused_make_the_whole(price, period, data):
    day = period.start + timedelta(days=data.draw(st.integers(0, period.days)))

    unused = unused_value(euro(price), period, day).minor

    exact = price * (period.end - day).days
    assert 0 <= unused <= price
    assert abs(unused * period.days - exact) * 2 <= period.days


@given(PRICES, PERIODS, st.lists(st.tuples(st.integers(0, 366), PRICES), max_size=8))
def test_any_sequence_of_changes_is_the_direct_sum_within_a_unit_each(first, period, changes):
    steps = sorted((min(offset, period.days), price) for offset, price in changes)
    price, paid, exact, last = first, first, 0, 0
    for offset, new in steps:
        day = period.start + timedelta(days=offset)
        paid += settle_change(euro(price), euro(new), period, day).net.minor
        exact += price * (offset - last)
        price, last = new, offset
    exact += price * (period.days - last)

    assert abs(paid * period.days - exact) <= len(steps) * period.days


@given(PRICES, PERIODS, st.integers(0, 366))
def test_changing_to_the_same_price_moves_nothing(price, period, offset):
    day = period.start + timedelta(days=min(offset, period.days))

    assert settle_change(euro(price), euro(price), period, day).net.is_zero


@pytest.mark.parametrize(
    ("price", "days", "of", "share"),
    [
        (3100, 0, 31, 0),
        (3100, 10, 31, 1000),
        (3100, 31, 31, 3100),
        (200, 1, 3, 67),
        (100, 1, 3, 33),
        (1, 1, 2, 1),
        (3, 1, 6, 1),
        (29, 1, 1, 29),
    ],
)
def test_a_share_is_rounded_half_up(price, days, of, share):
    assert share_of(euro(price), days, of) == euro(share)


@given(PRICES, st.integers(1, 366), st.data())
def test_a_share_is_the_nearest_whole_unit(price, of, data):
    days = data.draw(st.integers(0, of))

    assert abs(share_of(euro(price), days, of).minor * of - price * days) * 2 <= of


@pytest.mark.parametrize(("days", "of"), [(-1, 31), (32, 31), (0, 0), (0, -1), (-2, -1)])
def test_no_more_days_than_the_period_has_are_shared(days, of):
    with pytest.raises(ValueError, match=f"^{days} of {of} days$"):
        share_of(euro(3100), days, of)
