"""What a plan costs in each of its intervals, priced by the checkout's own function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from storefront.domain.boxes import boxes_per_period
from storefront.domain.checkout import NoCycle, OrderTerms, quote_order
from storefront.domain.cycles import CycleSlot
from storefront.domain.first_boxes import FirstBox
from storefront.domain.money import Money
from storefront.domain.order_law import names_vat
from storefront.domain.periods import Interval
from storefront.domain.rates import NoRate
from storefront.domain.tax_treatment import Sale, Treatment
from storefront.operations.checkout import Market
from storefront.operations.keys import AnyRow
from storefront.operations.offers import (
    OrderPlan,
    OrderPrice,
    fits,
    length,
    order_terms,
)
from storefront.operations.terms import phases_of

Taxing = Literal["in", "tax", "without", "plus"]


@dataclass(frozen=True, slots=True)
class FreeStart:
    """How an order of today by somebody new begins where it pays later: trial or free days."""

    due_today: Money
    charged_on: date
    amount: Money
    #: Of the box that comes with the first payment; None where nothing of it can change any more,
    #: or nothing is sent.
    cutoff_on: date | None
    ships_on: date | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan in one interval. ``total`` is what one payment costs, tax and delivery inside.

    ``per_box`` is rounded up to a whole minor unit, ``saving`` (percent against the shortest
    interval) down, so neither ever promises too much. ``renewal_on`` is the second payment
    of an order of today, None when no order can be taken.
    """

    interval: Interval
    total: Money
    per_box: Money
    boxes: int
    saving: int
    once: Money
    renewal_on: date | None
    #: in the price as VAT or as another tax, without (an export), or plus (by the address).
    tax: Taxing = "in"
    #: What a payment costs at first, and up to which box; None without an introductory price.
    intro: tuple[Money, int] | None = None
    #: Days that somebody new may try it for nothing.
    trial_days: int = 0
    #: What an order of today without a trial is charged at once and when it is charged next, which
    #: differ from ``total`` and ``renewal_on`` with free days, a fee or an introductory price.
    due_today: Money | None = None
    charged_next_on: date | None = None
    #: None where the first payment comes with the order.
    free: FreeStart | None = None


def plan_offers(
    plan: OrderPlan,
    rows: Iterable[AnyRow],
    slots: Sequence[CycleSlot],
    first: FirstBox,
    market: Market,
    today: date,
) -> tuple[Offer, ...]:
    prices = {price.interval: price for price in map(_price, rows) if fits(plan, price)}
    ordered = sorted(prices.values(), key=lambda price: length(price.interval))
    priced = [_offer(plan, price, slots, first, market, today) for price in ordered]
    base = priced[0] if priced else None
    return tuple(replace(one, saving=_saving(one, base)) for one in priced)


def _price(row: AnyRow) -> OrderPrice:
    interval = Interval(row.unit, row.unit_count)
    return OrderPrice(
        row.price_id,
        row.price_ref,
        interval,
        Money(row.amount_minor, row.currency),
        row.tax_inclusive,
        Money(row.sign_up_fee_minor, row.currency),
        phases_of(row.phases, row.currency),
    )


def _offer(
    plan: OrderPlan,
    price: OrderPrice,
    slots: Sequence[CycleSlot],
    first: FirstBox,
    market: Market,
    today: date,
) -> Offer:
    """Price an order of today with the checkout's own function, so the card cannot differ."""
    boxes = boxes_per_period(price.interval, plan.shipping) if plan.shipping else 1
    sale, renewal_on = market.sale_to({}), None
    due_today, charged_next_on = None, None
    tax = _taxed(sale, plan, today, is_inside=price.inclusive)
    terms = order_terms(plan, price, sale, today, slots, first_box=first, is_estimate=True)
    try:
        quote = quote_order(terms)
        total, renewal_on = quote.full.quote.total, quote.renewal_on
        due_today = quote.due_today
        charged_next_on = quote.charges[0].on if quote.charges else None
    except NoCycle:
        # Sold out: nothing can be ordered, but what it costs is said as it would be.
        total = quote_order(replace(terms, shipping=None)).full.quote.total
    per_box = Money(-(-total.minor // boxes), total.currency)
    return Offer(
        price.interval,
        total,
        per_box,
        boxes,
        0,
        price.sign_up_fee,
        renewal_on,
        tax,
        _intro(terms),
        plan.trial_days,
        due_today,
        charged_next_on,
        _free_start(replace(terms, trial_days=plan.trial_days)),
    )


def _free_start(terms: OrderTerms) -> FreeStart | None:
    """Return how an order begins that pays later; None where it pays at once, or has no box."""
    try:
        quote = quote_order(terms)
    except NoCycle:
        return None
    if quote.is_paid or not quote.charges:
        return None
    first, cycle = quote.charges[0], quote.cycle
    is_open = cycle is not None and cycle.cutoff_on >= terms.today
    return FreeStart(
        quote.due_today,
        first.on,
        first.amount,
        cycle.cutoff_on if cycle is not None and is_open else None,
        cycle.ship_from if cycle is not None else None,
    )


def _intro(terms: OrderTerms) -> tuple[Money, int] | None:
    """Return the first payment at an introductory price, without the sign-up fee."""
    if not terms.phases:
        return None
    alone = replace(terms, sign_up_fee=None, shipping=None, cycles=(), charge_day=None)
    return quote_order(alone).due_today, terms.phases[0].boxes


def _taxed(sale: Sale, plan: OrderPlan, today: date, *, is_inside: bool) -> Taxing:
    inside: Taxing = "in" if names_vat(sale.country) else "tax"
    try:
        taxed = sale.tax(plan.tax_class, today)
    except NoRate:
        return inside if is_inside else "plus"
    return inside if taxed.treatment is Treatment.STANDARD else "without"


def _saving(one: Offer, base: Offer | None) -> int:
    """Return how many percent a box is cheaper than in the shortest interval, rounded down."""
    if base is None:
        return 0
    whole = base.total.minor * one.boxes
    mine = one.total.minor * base.boxes
    return max((whole - mine) * 100 // whole, 0) if whole else 0
