"""What an order costs and promises: due today, next charge, first box. Preview and booking alike.

Days are shop-local dates, amounts in the price's own currency. Nothing here is looked up:
the caller gives plan, price, coupon, cycles and today.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256

from storefront.domain.addons import AddonTerms, is_done, sold_beside
from storefront.domain.boxes import boxes_per_period
from storefront.domain.coupons import CouponTerms, cycles_after
from storefront.domain.cycles import CycleSlot
from storefront.domain.first_boxes import WITH_NEXT, FirstBox
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.openings import FirstPeriod, NoCycle, Opening, anchor_day, open_with
from storefront.domain.periods import BillingPeriod, Interval, add_interval
from storefront.domain.proration import share_of
from storefront.domain.recurring import PeriodTerms, Phase, PricedPeriod, price_period
from storefront.domain.shipping import INCLUDED, Delivery, with_shipping
from storefront.domain.stacking import with_discounts
from storefront.domain.tax_treatment import TABLE, Treatment
from storefront.domain.taxes import Rounding

__all__ = ["ComingCharge", "NoCycle", "OrderQuote", "OrderTerms", "quote_order"]

#: Payments looked at for another amount; a code that never lowers anything never ends.
_LOOK_AHEAD = 120


@dataclass(frozen=True, slots=True)
class OrderTerms:
    """Everything that decides what an order costs and when it is charged.

    ``shipping`` is None for a plan that ships nothing; ``charge_day`` is the fixed billing
    day, None where every subscriber has their own. ``cycles`` may be joined. It ends by itself
    after ``max_boxes`` boxes (a plan that ships nothing counts periods) or on ``ends_on``.
    ``then`` is the price it goes on at when its prepaid term is over. ``addons`` come with the
    first billed period; a trial brings none.
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
    discounts: tuple[CouponTerms, ...] = ()
    delivery: Delivery = INCLUDED
    cycles: Sequence[CycleSlot] = ()
    charge_day: int | None = None
    first_period: FirstPeriod = "full"
    trial_days: int = 0
    phases: tuple[Phase, ...] = ()
    max_boxes: int | None = None
    ends_on: date | None = None
    then: AfterTerm | None = None
    treatment: Treatment = Treatment.STANDARD
    tax_source: str = TABLE
    rounding: Rounding = "sum"
    addons: tuple[AddonTerms, ...] = ()
    #: As far as it is typed; without one it is priced as most of the country.
    postcode: str = ""
    #: When the first box leaves.
    first_box: FirstBox = WITH_NEXT
    #: What is sold follows something that was paid for, a gift, and costs nothing before this
    #: day; None: it begins today.
    follows_on: date | None = None


@dataclass(frozen=True, slots=True)
class AfterTerm:
    """The price per box that a prepaid term falls to."""

    price_ref: str
    amount: Money
    interval: Interval


@dataclass(frozen=True, slots=True)
class ComingCharge:
    """A later payment: the day and the whole amount."""

    on: date
    amount: Money


@dataclass(frozen=True, slots=True)
class OrderQuote:
    """What the shopper is shown before paying and what is booked, the same to the cent.

    ``charges`` holds the next payment and each later one that begins another amount; none
    when nothing is charged again. ``full`` is one period without discount, phase and sign-up
    fee: what the consent names; it comes every ``renews_each``.
    """

    first: PricedPeriod
    full: PricedPeriod
    opening: Opening
    anchor_day: int
    boxes: int
    charges: tuple[ComingCharge, ...]
    renews_each: Interval
    quote_hash: str
    #: References of the discounts that lower today's total or one of ``charges``.
    lowering: frozenset[str] = frozenset()

    @property
    def due_today(self) -> Money:
        return self.first.quote.total

    @property
    def period(self) -> BillingPeriod:
        return self.opening.period

    @property
    def free(self) -> BillingPeriod | None:
        return self.opening.free

    @property
    def renewal_on(self) -> date:
        return self.opening.renewal_on

    @property
    def cycle(self) -> CycleSlot | None:
        return self.opening.cycle

    @property
    def is_paid(self) -> bool:
        """Whether the first period is paid for, and not tried or given."""
        return self.opening.kind is PeriodKind.BILLED

    @property
    def last_free_day(self) -> date | None:
        """The last day on which leaving a free trial costs nothing; None where there is none."""
        if self.opening.kind is not PeriodKind.TRIAL or not self.charges:
            return None
        return None if self.due_today.minor else self.charges[0].on - timedelta(days=1)


def quote_order(terms: OrderTerms) -> OrderQuote:
    """Price the first period of an order and say what follows.

    The first period starts today. A plan with a fixed billing day is charged again on that
    day (``first_renewal_on``), any other at the end of the period. In a trial, and in days
    given up to the billing day, only the sign-up fee is due. The hash changes when
    anything shown changes, also a date. Raises ``NoCycle``, and ``ValueError`` for a
    billing interval that is no multiple of the shipping interval.
    Source: docs/decisions/0019-first-renewal.md, 0064-how-it-begins.md.
    """
    boxes = boxes_per_period(terms.interval, terms.shipping) if terms.shipping else 0
    try:
        opening = open_with(
            terms.today,
            terms.interval,
            boxes,
            terms.cycles,
            charge_day=terms.charge_day,
            trial_days=terms.trial_days,
            first_period=terms.first_period,
            first_box=terms.first_box,
            follows_on=terms.follows_on,
        )
    except NoCycle:
        raise NoCycle(plan=terms.plan_name) from None
    following = _following(terms)
    full = _priced(following, boxes if terms.then is None else 1)
    day = anchor_day(opening, terms.today, terms.interval, terms.charge_day)
    first = _first(terms, boxes, opening)
    charges, later = _charges(terms, boxes, opening, first, day)
    shown = {
        "quote": first.quote.content_hash,
        "plan": terms.plan_ref,
        "price": terms.price_ref,
        "interval": str(terms.interval),
        "country": terms.country,
        "tax": terms.treatment.value,
        "boxes": boxes,
        "opening": _opening_shown(opening),
        "ships": [
            opening.cycle.cutoff_on.isoformat(),
            opening.cycle.ship_from.isoformat(),
        ]
        if opening.cycle
        else [],
        "charges": [[charge.on.isoformat(), charge.amount.minor] for charge in charges],
        "then": terms.then.price_ref if terms.then else "",
        "ends": [terms.max_boxes, terms.ends_on.isoformat() if terms.ends_on else None],
    }
    text = json.dumps(shown, sort_keys=True)
    return OrderQuote(
        first,
        full,
        opening,
        day,
        boxes,
        charges,
        following.interval,
        sha256(text.encode()).hexdigest(),
        _lowering(first) | later,
    )


def _opening_shown(opening: Opening) -> list[str]:
    """What a shopper is told of the first days; a period paid in full needs no date."""
    if opening.kind is PeriodKind.BILLED and opening.share is None:
        return [opening.kind.value]
    return [opening.kind.value, opening.period.end.isoformat()]


def _following(terms: OrderTerms) -> OrderTerms:
    """Return the terms of what comes again and again: nothing that is paid once or at first."""
    lasting = tuple(one for one in terms.addons if not is_done(one.cadence))
    terms = replace(terms, sign_up_fee=None, phases=(), addons=lasting)
    if terms.then is None:
        return terms
    return replace(terms, amount=terms.then.amount, interval=terms.then.interval)


def _first(terms: OrderTerms, boxes: int, opening: Opening) -> PricedPeriod:
    if opening.kind is not PeriodKind.BILLED:
        nothing = Money(0, terms.amount.currency)
        unpaid = replace(
            terms, amount=nothing, surcharges=(), phases=(), delivery=INCLUDED, addons=()
        )
        return _priced(unpaid, boxes)
    if opening.share is None:
        return _priced(terms, boxes, terms.discounts)
    days, of = opening.share
    part = replace(
        terms,
        amount=share_of(terms.amount, days, of),
        phases=tuple(replace(one, amount=share_of(one.amount, days, of)) for one in terms.phases),
        surcharges=tuple(
            (text, ref, share_of(fee, days, of)) for text, ref, fee in terms.surcharges
        ),
    )
    whole = _priced(terms, boxes, terms.discounts)
    return replace(_priced(part, boxes, terms.discounts), mrr=whole.mrr)


def _priced(
    terms: OrderTerms,
    boxes: int,
    held: tuple[CouponTerms, ...] = (),
    *,
    number: int = 1,
    boxes_before: int = 0,
) -> PricedPeriod:
    """Price billed period ``number`` with what is left of the discounts when it comes."""
    plain = PeriodTerms(
        terms.plan_name,
        terms.plan_ref,
        terms.amount,
        terms.interval,
        boxes,
        terms.quantity,
        terms.tax_rate,
        terms.inclusive,
        terms.surcharges,
        (),
        terms.sign_up_fee,
        terms.phases,
        boxes_before,
        sold_beside(terms.addons, boxes, is_next=number == 1),
        rounding=terms.rounding,
        treatment=terms.treatment,
        tax_source=terms.tax_source,
    )
    # In the order of ``domain.packing.option_keys``, as renewals weigh them.
    chosen = sorted(ref for _text, ref, _fee in terms.surcharges)
    sent = with_shipping(plain, terms.delivery, terms.country, terms.postcode, chosen)
    return price_period(with_discounts(sent, held, number, number))


def _charges(
    terms: OrderTerms, boxes: int, opening: Opening, first: PricedPeriod, day: int
) -> tuple[tuple[ComingCharge, ...], frozenset[str]]:
    """Return the next payment, and each later one whose amount is another than before it.

    And the references of the discounts that lower them.
    """
    per, paid = max(boxes, 1), int(opening.kind is PeriodKind.BILLED)
    if terms.then is not None and paid:
        amount = _priced(_following(terms), 1).quote.total
        return (ComingCharge(opening.renewal_on, amount),), frozenset()
    held = terms.discounts
    if paid:
        working = {ref for ref, _ in first.taken}
        held = tuple(one for one in held if one.ref in working or not one.is_for_first)
        held = _after(held, first)
    found: list[ComingCharge] = []
    lowering: frozenset[str] = frozenset()
    for turn in range(_turns(terms, per, paid)):
        on = add_interval(opening.renewal_on, terms.interval, turn, day=day)
        billed = paid + turn
        if _is_over(terms, on, (billed + 1) * per):
            break
        fallen = terms.then is not None and turn > 0
        priced = _priced(
            _following(terms) if fallen else replace(terms, sign_up_fee=None),
            1 if fallen else boxes,
            () if fallen else held,
            number=billed + 1,
            boxes_before=billed * per,
        )
        held = _after(held, priced)
        lowering |= _lowering(priced)
        amount = priced.quote.total
        if not found or found[-1].amount != amount:
            found.append(ComingCharge(on, amount))
    return tuple(found), lowering


def _lowering(priced: PricedPeriod) -> frozenset[str]:
    """Return the references of the discounts that took something off a period."""
    return frozenset(ref for ref, off in priced.taken if off.minor)


def _turns(terms: OrderTerms, per: int, paid: int) -> int:
    """Return after how many payments the amount cannot change any more."""
    phases = [-(-phase.boxes // per) - paid for phase in terms.phases]
    begins = [one.from_billed - 1 - paid for one in terms.discounts]
    lasting = sum(one.lasts for one in terms.discounts if one.lasts is not None)
    once = not paid and any(is_done(one.cadence) for one in terms.addons)
    most = max(0, int(terms.then is not None or once), *phases, *begins) + lasting
    return min(most, _LOOK_AHEAD) + 1


def _after(held: tuple[CouponTerms, ...], priced: PricedPeriod) -> tuple[CouponTerms, ...]:
    """Return what is left of each discount after a period that was priced with them."""
    taken, nothing = dict(priced.taken), Money(0, priced.quote.currency)
    left = (
        replace(one, lasts=cycles_after(one.lasts, taken.get(one.ref, nothing))) for one in held
    )
    return tuple(one for one in left if one.lasts != 0)


def _is_over(terms: OrderTerms, on: date, boxes: int) -> bool:
    """Return whether a period from ``on``, the one that reaches ``boxes``, is never opened."""
    return (terms.max_boxes is not None and boxes > terms.max_boxes) or (
        terms.ends_on is not None and on >= terms.ends_on
    )
