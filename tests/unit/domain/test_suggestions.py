"""What is suggested saves what it says it saves, whatever is on sale."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.suggestions import OnSale, longer, skips_in_a_row, smaller

INTERVALS = (
    Interval("week"),
    Interval("week", 4),
    Interval("month"),
    Interval("month", 3),
    Interval("year"),
)
PRICES = st.builds(
    OnSale,
    st.text("abc", min_size=1, max_size=3),
    st.integers(1, 3),
    st.just("Pot"),
    st.sampled_from(INTERVALS),
    st.integers(0, 40_000).map(lambda minor: Money(minor, "EUR")),
    st.booleans(),
    st.booleans(),
)


def price(minor: int, interval: Interval, plan: int = 1, **values: bool) -> OnSale:
    return OnSale(f"{plan}-{interval}", plan, "Pot", interval, Money(minor, "EUR"), True, **values)


MONTHLY = price(2600, Interval("month"))


@given(PRICES, st.lists(PRICES, max_size=6))
def test_a_longer_interval_costs_that_much_less_than_the_present_price_as_often(
    now: OnSale, sold: list[OnSale]
) -> None:
    found = longer(now, sold)
    for one in sold:
        times = one.interval.multiple_of(now.interval) or 0
        same = one.plan_ref == now.plan_ref and one.inclusive == now.inclusive
        if same and now.is_plain and one.is_plain and times > 1:
            less = now.amount.minor * times - one.amount.minor
            assert less <= (found.saved.minor if found else 0)
    if found is not None:
        times = found.price.interval.multiple_of(now.interval) or 0
        assert found.saved.minor > 0
        assert found.price.amount.minor + found.saved.minor == now.amount.minor * times


@given(PRICES, st.lists(PRICES, max_size=6))
def test_a_smaller_plan_never_costs_more_at_once_nor_over_a_year(
    now: OnSale, sold: list[OnSale]
) -> None:
    found = smaller(now, sold)
    if found is not None:
        assert found.amount.minor <= now.amount.minor
        assert (found.interval.days is None) == (now.interval.days is None)
        length = found.interval.days or found.interval.months or 1
        own = now.interval.days or now.interval.months or 1
        assert found.amount.minor * own < now.amount.minor * length


def test_of_two_that_save_the_same_the_shorter_is_suggested() -> None:
    quarter = price(7000, Interval("month", 3))
    year = price(31200 - 800, Interval("year"))
    found = longer(MONTHLY, [year, quarter])
    assert found is not None
    assert (found.price, found.saved.minor) == (quarter, 800)


@pytest.mark.parametrize(
    "other",
    [
        price(28080, Interval("year"), plan=2),
        price(31200, Interval("year")),
        price(100, Interval("week", 52)),
        price(28080, Interval("year"), is_plain=False),
        OnSale("x", 1, "Pot", Interval("year"), Money(28080, "CHF"), True),
        OnSale("x", 1, "Pot", Interval("year"), Money(28080, "EUR"), False),
    ],
)
def test_what_saves_nothing_or_cannot_be_compared_is_not_suggested(other: OnSale) -> None:
    assert longer(MONTHLY, [other]) is None


def test_the_plan_next_below_is_the_smaller_one() -> None:
    sip, cup = price(900, Interval("month"), plan=3), price(1600, Interval("month"), plan=2)
    assert smaller(MONTHLY, [sip, cup, price(4200, Interval("month"), plan=4)]) == cup


DAYS = [date(2027, 1, 18) + timedelta(days=30 * each) for each in range(6)]


@pytest.mark.parametrize(
    ("skipped", "sent", "coming", "found"),
    [
        ([1, 2], [0], [], True),
        ([1], [0], [(2, True)], True),
        ([], [0], [(2, True), (3, True)], True),
        ([1], [0, 2], [(3, True)], False),
        ([], [0], [(2, True), (3, False), (4, True)], False),
        ([0, 1], [2], [], False),
        ([1], [], [], False),
        ([], [], [], False),
    ],
)
def test_skips_count_where_no_box_comes_between_them(
    skipped: list[int], sent: list[int], coming: list[tuple[int, bool]], found: bool
) -> None:
    said = skips_in_a_row(
        [DAYS[each] for each in skipped],
        [DAYS[each] for each in sent],
        [(DAYS[each], is_skipped) for each, is_skipped in coming],
    )
    assert said is found
