"""Which discounts work together, in what order, and what each takes off: examples and laws."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.coupons import CouponTerms, Discount, Target, choose_discounts
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.recurring import PeriodTerms, price_period
from storefront.domain.shipping import (
    INCLUDED,
    Area,
    Delivery,
    Zone,
    flat,
    shipping_cost,
    with_shipping,
)
from storefront.domain.stacking import with_discounts

MONTH = Interval("month")
BOX = PeriodTerms(
    "Tea box", "tea", Money(2600, "EUR"), MONTH, 1, 1, Decimal(7), True, shipping=Money(490, "EUR")
)
WITH_FEE = replace(BOX, sign_up_fee=Money(1000, "EUR"))
QUARTER = replace(BOX, amount=Money(7800, "EUR"), interval=Interval("month", 3), boxes=3)


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def off(
    ref: str, percent: int | None = None, minor: int = 0, lasts: int | None = None, **more: object
) -> CouponTerms:
    discount = (
        Discount("fixed", amount=euros(minor))
        if percent is None
        else Discount("percent", percent=Decimal(percent))
    )
    return CouponTerms(ref, ref, discount, lasts, **more)  # type: ignore[arg-type]


FREE_SHIPPING = off("ship", 100, target="shipping")
FREE_FIRST = off("free", 100, lasts=1, target="first_box")
FIRST_FIVE = off("five", minor=500, lasts=1, target="first_box")
HALF_FEE = off("fee", 50, lasts=1, target="fee")


def total(terms: PeriodTerms, *held: CouponTerms, number: int = 1) -> int:
    return price_period(with_discounts(terms, held, number)).quote.total.minor


@pytest.mark.parametrize(
    ("terms", "held", "number", "expected"),
    [
        (BOX, (), 1, 3090),
        (BOX, (FREE_SHIPPING,), 1, 2600),
        (BOX, (FREE_SHIPPING,), 9, 2600),
        (BOX, (FREE_FIRST,), 1, 490),
        (BOX, (FREE_FIRST,), 2, 3090),
        (BOX, (FIRST_FIVE,), 1, 990),
        (BOX, (FIRST_FIVE,), 2, 3090),
        (QUARTER, (), 1, 7800 + 3 * 490),
        (QUARTER, (FREE_FIRST,), 1, 5200 + 3 * 490),
        (QUARTER, (FIRST_FIVE,), 1, 5700 + 3 * 490),
        (QUARTER, (FREE_SHIPPING,), 1, 7800),
        (WITH_FEE, (), 1, 4090),
        (WITH_FEE, (HALF_FEE,), 1, 3590),
        (BOX, (HALF_FEE,), 1, 3090),
        (BOX, (off("a", 10),), 1, 2340 + 490),
        (BOX, (off("a", 10), off("b", 10)), 1, 2106 + 490),
        (BOX, (off("a", 10, key=1), off("b", minor=600, key=2)), 1, 1740 + 490),
        (BOX, (off("a", 10, key=2), off("b", minor=600, key=1)), 1, 1800 + 490),
        (BOX, (off("a", 10, priority=2), off("b", minor=600, priority=1)), 1, 1800 + 490),
        (BOX, (off("a", 100), off("b", minor=600)), 1, 490),
        (BOX, (off("a", 10), off("b", 20, combines=False)), 1, 2080 + 490),
        (BOX, (off("a", 30), off("b", 20, combines=False)), 1, 1820 + 490),
        (BOX, (off("a", 20), off("b", 20, combines=False)), 1, 2080 + 490),
        (BOX, (off("a", 10), off("b", 15), off("c", 20, combines=False)), 1, 1989 + 490),
        (BOX, (FREE_SHIPPING, off("c", 20, combines=False)), 1, 2080 + 490),
        (BOX, (FREE_SHIPPING, off("c", 10, combines=False)), 1, 2600),
        (BOX, (off("a", 10, combines=False), off("b", 20, combines=False)), 1, 2080 + 490),
        (BOX, (off("loyal", 10, from_billed=6),), 5, 3090),
        (BOX, (off("loyal", 10, from_billed=6),), 6, 2340 + 490),
        (BOX, (off("loyal", 10, lasts=2, from_billed=6),), 7, 2340 + 490),
        (BOX, (off("loyal", 10, lasts=2, from_billed=6),), 8, 3090),
    ],
)
def test_examples(
    terms: PeriodTerms, held: tuple[CouponTerms, ...], number: int, expected: int
) -> None:
    assert total(terms, *held, number=number) == expected


#: Every kind of duration against every billed period of a year: what it lowers.
@pytest.mark.parametrize("lasts", [1, 2, 3, 12, None])
@pytest.mark.parametrize("begins", [1, 2, 6])
@pytest.mark.parametrize("number", range(1, 13))
def test_a_discount_lowers_its_periods_and_no_other(
    lasts: int | None, begins: int, number: int
) -> None:
    inside = number >= begins and (lasts is None or number < begins + lasts)
    held = off("a", 10, lasts=lasts, from_billed=begins)
    assert (total(BOX, held, number=number) < 3090) == inside


@pytest.mark.parametrize("now", range(1, 8))
@pytest.mark.parametrize("ahead", range(6))
def test_what_is_left_now_lowers_that_many_periods_from_now(now: int, ahead: int) -> None:
    held = off("a", 10, lasts=3)
    assert held.is_due(now + ahead, now) == (ahead < 3)


def test_a_free_first_box_stays_the_first_however_long_its_coupon_lasts() -> None:
    free = off("free", 100, lasts=None, target="first_box")
    assert [number for number in range(1, 5) if free.is_due(number)] == [1]


def test_without_a_period_named_a_discount_is_looked_at_from_the_first() -> None:
    twice = off("a", 10, lasts=2)
    assert [number for number in range(1, 5) if twice.is_due(number)] == [1, 2]


def test_what_was_left_of_a_discount_lowers_the_period_it_was_left_for() -> None:
    last = off("a", 10, lasts=1)
    lowered = [number for number in range(1, 9) if with_discounts(BOX, [last], number, 5) != BOX]
    assert lowered == [1, 2, 3, 4, 5]


def test_a_line_says_which_place_its_discount_has() -> None:
    lines = price_period(with_discounts(BOX, [off("B", 10, key=2), off("A", 5, key=1)], 1))
    texts = [line.text for line in lines.quote.lines if line.lowers is not None]
    assert texts == ["A (1/2)", "B (2/2)"]


def test_one_discount_alone_needs_no_place() -> None:
    lines = price_period(with_discounts(BOX, [off("A", 10)], 1))
    assert [line.text for line in lines.quote.lines if line.lowers is not None] == ["A"]


terms_strategy = st.builds(
    off,
    st.sampled_from("abcdefgh"),
    st.integers(0, 100),
    priority=st.integers(1, 3),
    key=st.integers(1, 50),
    combines=st.booleans(),
    target=st.sampled_from(["box", "shipping", "fee", "first_box"]),
)
held_strategy = st.lists(terms_strategy, max_size=5, unique_by=(lambda c: c.ref, lambda c: c.key))


@given(held_strategy)
def test_the_order_they_were_found_in_does_not_matter(held: list[CouponTerms]) -> None:
    expected = with_discounts(WITH_FEE, held, 1)
    for other in list(permutations(held))[:24]:
        assert with_discounts(WITH_FEE, other, 1) == expected


@given(held_strategy)
def test_the_set_that_is_taken_is_the_best_for_the_customer(held: list[CouponTerms]) -> None:
    taken = total(WITH_FEE, *held)
    assert 0 <= taken <= total(WITH_FEE)
    for one in held:
        if not one.combines:
            assert taken <= total(WITH_FEE, one)
    assert taken <= total(WITH_FEE, *[one for one in held if one.combines])


@given(held_strategy)
def test_what_each_took_off_is_the_difference(held: list[CouponTerms]) -> None:
    priced = price_period(with_discounts(WITH_FEE, held, 1))
    off_minor = sum(taken.minor for _, taken in priced.taken)
    assert off_minor == total(WITH_FEE) - priced.quote.total.minor


@given(held_strategy)
def test_one_that_stands_alone_is_never_with_another(held: list[CouponTerms]) -> None:
    chosen = choose_discounts(held, lambda some: sum(int(c.discount.percent or 0) for c in some))
    assert len(chosen) <= 1 or all(one.combines for one in chosen)
    assert chosen == sorted(chosen, key=lambda one: (one.priority, one.key))


ZONES = (
    Zone((Area(""),), (flat(euros(990), euros(10_000)), flat(Money(800, "CHF")))),
    Zone((Area("DE"),), (flat(euros(490), euros(4000)),)),
    Zone((Area("AT"),), (flat(euros(590)),)),
)


@pytest.mark.parametrize(
    ("country", "goods", "cost"),
    [
        ("DE", euros(0), euros(490)),
        ("DE", euros(3999), euros(490)),
        ("DE", euros(4000), euros(0)),
        ("AT", euros(99_999), euros(590)),
        ("FR", euros(9999), euros(990)),
        ("FR", euros(10_000), euros(0)),
        ("CH", Money(100, "CHF"), Money(800, "CHF")),
        ("CH", Money(100, "USD"), None),
    ],
)
def test_sending_a_box_costs_what_the_nearest_rate_says(
    country: str, goods: Money, cost: Money | None
) -> None:
    assert shipping_cost(ZONES, country, "", 0, goods) == cost


@pytest.mark.parametrize(
    ("boxes", "amount", "shipping"),
    [(1, 3900, 490), (1, 4000, 0), (3, 11_999, 490), (3, 12_000, 0), (0, 3900, None)],
)
def test_goods_are_counted_per_box(boxes: int, amount: int, shipping: int | None) -> None:
    plain = replace(BOX, boxes=boxes, amount=euros(amount), shipping=None)
    sent = with_shipping(plain, Delivery(ZONES), "DE")
    assert sent.shipping == (None if shipping is None else euros(shipping))


def test_without_rates_delivery_is_inside_the_price() -> None:
    plain = replace(BOX, shipping=None)
    assert with_shipping(plain, INCLUDED, "DE") is plain


@pytest.mark.parametrize("target", ["shipping", "fee", "first_box"])
def test_only_what_lowers_the_box_for_good_lowers_the_monthly_value(target: Target) -> None:
    full = price_period(BOX).mrr
    held = off("a", 100, target=target)
    assert price_period(with_discounts(BOX, [held], 1)).mrr == full
    lasting = price_period(with_discounts(BOX, [off("b", 50)], 1)).mrr
    assert lasting.minor < full.minor
