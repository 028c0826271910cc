"""What an order costs and promises, for every kind of rhythm."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from storefront.domain.checkout import NoCycle, OrderTerms, quote_order
from storefront.domain.coupons import CouponTerms, Discount
from storefront.domain.cycles import CycleSlot
from storefront.domain.money import Money
from storefront.domain.periods import BillingPeriod, Interval

MONTH = Interval("month")


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def calendar(months: int = 6) -> list[CycleSlot]:
    """Monthly cycles from March 2027, charged on the 12th."""
    return [
        CycleSlot(
            n,
            date(2027, 2 + n, 12),
            date(2027, 2 + n, 11),
            date(2027, 2 + n, 15),
            date(2027, 2 + n, 18),
        )
        for n in range(1, months + 1)
    ]


TERMS = OrderTerms(
    plan_name="Pot",
    plan_ref="pot",
    price_ref="pri_1",
    amount=euros(2600),
    interval=MONTH,
    shipping=MONTH,
    inclusive=True,
    tax_rate=Decimal(7),
    country="DE",
    today=date(2027, 3, 2),
    cycles=calendar(),
    charge_day=12,
)


def rolling(today: date) -> OrderTerms:
    """A cycle each week, and every subscriber a billing day of their own."""
    cycles = [
        CycleSlot(
            n,
            None,
            date(2027, 1, 4 + 7 * n),
            date(2027, 1, 5 + 7 * n),
            date(2027, 1, 6 + 7 * n),
        )
        for n in range(4)
    ]
    return replace(TERMS, today=today, cycles=cycles, charge_day=None)


def test_the_days_up_to_a_fixed_billing_day_are_given():
    quote = quote_order(TERMS)

    assert quote.period == BillingPeriod(date(2027, 3, 2), date(2027, 4, 2))
    assert quote.free == BillingPeriod(date(2027, 4, 2), date(2027, 4, 12))
    assert (quote.renewal_on, quote.anchor_day, quote.boxes) == (date(2027, 4, 12), 12, 1)
    assert quote.cycle is not None
    assert quote.cycle.ship_from == date(2027, 3, 18)


def test_a_period_ends_early_where_the_billing_day_comes_first():
    quote = quote_order(replace(TERMS, today=date(2027, 3, 12)))

    assert quote.renewal_on == date(2027, 5, 12)
    assert quote.period.end == date(2027, 4, 12)
    assert quote.free == BillingPeriod(date(2027, 4, 12), date(2027, 5, 12))


def test_on_the_last_day_of_the_cut_off_an_order_is_in_time():
    assert quote_order(replace(TERMS, today=date(2027, 3, 11))).renewal_on == date(2027, 4, 12)


def test_a_rolling_order_keeps_its_own_day():
    quote = quote_order(rolling(date(2027, 1, 20)))

    assert (quote.renewal_on, quote.anchor_day, quote.free) == (date(2027, 2, 20), 20, None)


def test_a_rolling_order_of_the_31st_aims_at_the_31st_for_ever():
    terms = rolling(date(2027, 1, 11))
    late = replace(terms, today=date(2026, 12, 31))

    quote = quote_order(late)

    assert (quote.renewal_on, quote.anchor_day) == (date(2027, 1, 31), 31)


def test_what_ships_nothing_needs_no_cycle():
    quote = quote_order(replace(TERMS, shipping=None, cycles=(), charge_day=None))

    assert (quote.boxes, quote.cycle, quote.renewal_on) == (0, None, date(2027, 4, 2))


def test_without_a_cycle_nothing_is_promised():
    with pytest.raises(NoCycle) as refused:
        quote_order(replace(TERMS, cycles=()))
    assert refused.value.code == "no_cycle"


def test_every_three_months_brings_three_boxes():
    quote = quote_order(replace(TERMS, interval=Interval("month", 3), amount=euros(7410)))

    assert (quote.boxes, quote.due_today) == (3, euros(7410))
    assert quote.renewal_on == date(2027, 6, 12)


def test_a_fee_is_due_once():
    quote = quote_order(replace(TERMS, sign_up_fee=euros(500)))

    assert quote.due_today == euros(3100)
    assert quote.full.quote.total == euros(2600)
    assert [charge.amount for charge in quote.charges] == [euros(2600)]


@pytest.mark.parametrize(
    ("lasts", "charges"),
    [
        (1, [(date(2027, 4, 12), 2600)]),
        (2, [(date(2027, 4, 12), 2340), (date(2027, 5, 12), 2600)]),
        (3, [(date(2027, 4, 12), 2340), (date(2027, 6, 12), 2600)]),
        (None, [(date(2027, 4, 12), 2340)]),
    ],
)
def test_what_comes_after_a_discount_is_named(lasts, charges):
    coupon = CouponTerms("cou_1", "LEMON", Discount("percent", percent=Decimal(10)), lasts)

    quote = quote_order(replace(TERMS, discounts=(coupon,)))

    assert quote.due_today == euros(2340)
    assert [(charge.on, charge.amount.minor) for charge in quote.charges] == charges


@pytest.mark.parametrize(
    "change",
    [
        {"amount": euros(2601)},
        {"price_ref": "pri_2"},
        {"today": date(2027, 3, 12)},
        {"country": "AT"},
        {"tax_rate": Decimal(19)},
        {"quantity": 2},
        {"sign_up_fee": euros(1)},
        {"surcharges": (("Taste: Rare", "taste=rare", euros(300)),)},
        {"cycles": calendar()[1:]},
        {"plan_name": "Kettle"},
    ],
)
def test_whatever_is_shown_is_in_the_hash(change):
    assert quote_order(replace(TERMS, **change)).quote_hash != quote_order(TERMS).quote_hash


def test_the_same_order_tomorrow_is_the_same_order():
    tomorrow = replace(TERMS, today=date(2027, 3, 3))
    assert quote_order(tomorrow).quote_hash == quote_order(TERMS).quote_hash
