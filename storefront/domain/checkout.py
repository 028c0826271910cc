"""What an order costs and promises: due today, next charge, first box. Preview and booking alike.

Days are shop-local dates, amounts in the price's own currency. Nothing here is looked up:
the caller gives plan, price, coupon, cycles and today.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from hashlib import sha256

from storefront.domain.boxes import boxes_per_period
from storefront.domain.coupons import Discount
from storefront.domain.cycles import CycleSlot, first_cycle, first_renewal_on, opening_periods
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.domain.periods import BillingPeriod, Interval, add_interval
from storefront.domain.recurring import PeriodTerms, PricedPeriod, RunningDiscount, price_period


class NoCycle(DomainError):
    """No cycle is planned that an order of today could join, so no ship date can be promised."""

    code = "no_cycle"


@dataclass(frozen=True, slots=True)
class CouponTerms:
    """A coupon as an order uses it; ``lasts`` billed periods, None for ever."""

    ref: str
    code: str
    discount: Discount
    lasts: int | None


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """Everything that decides what an order costs and when it is charged.

    ``shipping`` is None for a plan that ships nothing; ``charge_day`` is the group's fixed
    day of month, None where every subscriber has their own. ``cycles`` may be joined.
    """

    plan_name: str
    plan_ref: str
    price_ref: str
    amount: Money
    interval: Interval
    shipping: Interval | None
    inclusive: bool
    tax_rate: Decimal
    country: str
    today: date
    quantity: int = 1
    surcharges: tuple[tuple[str, str, Money], ...] = ()
    sign_up_fee: Money | None = None
    coupon: CouponTerms | None = None
    cycles: Sequence[CycleSlot] = ()
    charge_day: int | None = None


@dataclass(frozen=True, slots=True)
class ComingCharge:
    """A later payment: the day and the whole amount."""

    on: date
    amount: Money


@dataclass(frozen=True, slots=True)
class OrderQuote:
    """What the shopper is shown before paying and what is booked, the same to the cent.

    ``charges`` holds the next payment and, where a discount ends later, the first one at
    another amount. ``free`` are days given up to a fixed billing day. ``full`` is one
    period without discount and sign-up fee: what the consent names.
    """

    first: PricedPeriod
    full: PricedPeriod
    period: BillingPeriod
    free: BillingPeriod | None
    renewal_on: date
    anchor_day: int
    boxes: int
    cycle: CycleSlot | None
    charges: tuple[ComingCharge, ...]
    quote_hash: str

    @property
    def due_today(self) -> Money:
        return self.first.quote.total


def quote_order(terms: OrderTerms) -> OrderQuote:
    """Price the first period of an order and say what follows.

    The first period starts today. A plan with a fixed billing day is charged again on that
    day (``first_renewal_on``), any other at the end of the period. The hash changes when
    anything shown changes, also a date. Raises ``NoCycle``, and ``ValueError`` for a
    billing interval that is no multiple of the shipping interval.
    Source: docs/decisions/0019-first-renewal.md.
    """
    boxes, cycle = _first_box(terms)
    whole = BillingPeriod(terms.today, add_interval(terms.today, terms.interval, 1))
    renewal_on = whole.end
    if cycle is not None:
        renewal_on = first_renewal_on(
            terms.cycles, cycle, boxes, whole, terms.interval, charge_day=terms.charge_day
        )
    period, free = opening_periods(terms.today, terms.interval, renewal_on)
    first = _priced(terms, boxes)
    full = _priced(replace(terms, sign_up_fee=None, coupon=None), boxes)
    day = _anchor_day(terms, whole, renewal_on)
    charges = _charges(terms, boxes, full, renewal_on, day)
    shown = {
        "quote": first.quote.content_hash,
        "plan": terms.plan_ref,
        "price": terms.price_ref,
        "interval": str(terms.interval),
        "country": terms.country,
        "boxes": boxes,
        "ships": [cycle.cutoff_on.isoformat(), cycle.ship_from.isoformat()] if cycle else [],
        "charges": [[charge.on.isoformat(), charge.amount.minor] for charge in charges],
    }
    text = json.dumps(shown, sort_keys=True)
    return OrderQuote(
        first,
        full,
        period,
        free,
        renewal_on,
        day,
        boxes,
        cycle,
        charges,
        sha256(text.encode()).hexdigest(),
    )


def _first_box(terms: OrderTerms) -> tuple[int, CycleSlot | None]:
    if terms.shipping is None:
        return 0, None
    boxes = boxes_per_period(terms.interval, terms.shipping)
    cycle = first_cycle(terms.cycles, terms.today)
    if cycle is None:
        raise NoCycle(plan=terms.plan_name)
    return boxes, cycle


def _priced(terms: OrderTerms, boxes: int) -> PricedPeriod:
    coupon = terms.coupon
    running: tuple[RunningDiscount, ...] = ()
    if coupon is not None:
        lasting = coupon.lasts is None or coupon.lasts > 1
        running = (RunningDiscount(coupon.ref, coupon.code, coupon.discount, lasting),)
    return price_period(
        PeriodTerms(
            terms.plan_name,
            terms.plan_ref,
            terms.amount,
            terms.interval,
            boxes,
            terms.quantity,
            terms.tax_rate,
            terms.inclusive,
            terms.surcharges,
            running,
            terms.sign_up_fee,
        )
    )


def _anchor_day(terms: OrderTerms, whole: BillingPeriod, renewal_on: date) -> int:
    """Return the day of month that later charges aim at, also after short months."""
    if terms.charge_day is not None:
        return terms.charge_day
    return terms.today.day if renewal_on == whole.end else renewal_on.day


def _charges(
    terms: OrderTerms, boxes: int, full: PricedPeriod, renewal_on: date, day: int
) -> tuple[ComingCharge, ...]:
    coupon = terms.coupon
    if coupon is None or coupon.lasts == 1:
        return (ComingCharge(renewal_on, full.quote.total),)
    lowered = _priced(replace(terms, sign_up_fee=None), boxes).quote.total
    following = (ComingCharge(renewal_on, lowered),)
    if coupon.lasts is None:
        return following
    ends_on = add_interval(renewal_on, terms.interval, coupon.lasts - 1, day=day)
    return (*following, ComingCharge(ends_on, full.quote.total))
