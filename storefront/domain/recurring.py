"""What one billing period of a subscription costs; checkout, renewals and previews alike."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from storefront.domain.coupons import Discount, Target
from storefront.domain.invoices import LineKind
from storefront.domain.metrics import monthly_value
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.pricing import NamedDiscount, PricedItem, Quote, quote
from storefront.domain.tax_treatment import TABLE, Treatment
from storefront.domain.taxes import Rounding, tax_of

_BOX = frozenset({LineKind.PLAN, LineKind.OPTION, LineKind.ADDON})
_KINDS: dict[Target, frozenset[LineKind]] = {
    "box": _BOX,
    "shipping": frozenset({LineKind.SHIPPING}),
    "fee": frozenset({LineKind.SIGN_UP_FEE}),
    "first_box": frozenset({LineKind.PLAN, LineKind.OPTION}),
}


@dataclass(frozen=True, slots=True)
class RunningDiscount:
    """A coupon at work: ``ref`` is the caller's name for it, shown nowhere.

    With ``target`` first_box a percentage is taken off one box of the period, and a fixed
    amount is what that box then costs.
    """

    ref: str
    text: str
    discount: Discount
    #: False for a discount of one period only; it does not lower the monthly value.
    is_recurring: bool
    target: Target = "box"


@dataclass(frozen=True, slots=True)
class Phase:
    """An introductory price: while fewer than ``boxes`` boxes were billed before the period."""

    boxes: int
    amount: Money


@dataclass(frozen=True, slots=True)
class SoldBeside:
    """Something sold beside the boxes: ``quantity`` in the whole period, at its own tax rate."""

    text: str
    ref: str
    unit: Money
    quantity: int
    tax_rate: Decimal
    #: False for something taken once; it is no part of the monthly value.
    is_recurring: bool
    #: Of one piece, for delivery.
    grams: int = 0
    addon_id: int | None = None


@dataclass(frozen=True, slots=True)
class PeriodTerms:
    """Everything that decides the price of one billing period, as plain values.

    ``amount`` is the plan's price for one billing interval and ``surcharges`` are per box,
    both in the price's own terms (tax inside when ``inclusive``). ``boxes`` is how many
    boxes the period brings; a plan that ships nothing counts as one. ``shipping`` is for one
    box. ``boxes_before`` were billed before this period; the first of ``phases`` that is not
    used up by them sets the amount, whose ``boxes`` count from the first box on and rise.
    Rates are those of a consumer; with another ``treatment`` than standard no tax is charged
    and what is inside the amounts comes off. ``tax_source`` says where the rate was found.
    """

    plan_name: str
    plan_ref: str
    amount: Money
    interval: Interval
    boxes: int
    quantity: int
    tax_rate: Decimal
    inclusive: bool
    surcharges: tuple[tuple[str, str, Money], ...] = ()
    discounts: tuple[RunningDiscount, ...] = ()
    sign_up_fee: Money | None = None
    phases: tuple[Phase, ...] = ()
    boxes_before: int = 0
    beside: tuple[SoldBeside, ...] = ()
    shipping: Money | None = None
    rounding: Rounding = "sum"
    treatment: Treatment = Treatment.STANDARD
    tax_source: str = TABLE


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """The document of a period, its monthly value, and what each discount took off."""

    quote: Quote
    mrr: Money
    taken: tuple[tuple[str, Money], ...]
    treatment: Treatment = Treatment.STANDARD
    tax_source: str = TABLE


@lru_cache(maxsize=1024)
def price_period(terms: PeriodTerms) -> PricedPeriod:
    """Price one billing period of a subscription.

    Terms and answer are values, so the same terms are worked out once: most subscriptions
    of a run differ in nothing that a price depends on.

    Units: as ``terms.amount``. Each discount lowers the lines its target names, in order,
    on what is left. The monthly value is net of tax and of recurring discounts, without
    fee, shipping and what is taken once.
    Source: docs/decisions/0005-one-price-function.md.
    """
    treatment, source = terms.treatment, terms.tax_source
    if treatment is not Treatment.STANDARD:
        terms = without_tax(terms)
    items = _items(terms)
    named = [_named(discount, items, terms) for discount in terms.discounts]
    priced = quote(items, named, inclusive=terms.inclusive, rounding=terms.rounding)
    once = {item.ref for item in terms.beside if not item.is_recurring}
    passing = {d.ref for d in terms.discounts if not d.is_recurring}
    taken = tuple((d.ref, _off(priced, d.ref, terms.amount.currency)) for d in terms.discounts)
    mrr = monthly_value(_recurring_net(priced, passing, once), terms.interval)
    return PricedPeriod(priced, mrr, taken, treatment, source)


def without_tax(terms: PeriodTerms) -> PeriodTerms:
    """Return ``terms`` as they are for a buyer who is charged no tax.

    A price with tax inside is charged without it, each amount rounded once, so that quantity
    times price still reads right; a price without tax stays. Discounts of a fixed amount
    shrink alike, at the plan's rate.
    Source: docs/decisions/0071-tax-treatment.md.
    """
    nothing = Decimal(0)

    def net(amount: Money, rate: Decimal = terms.tax_rate) -> Money:
        return amount - tax_of(amount, rate, inclusive=True) if terms.inclusive else amount

    def lowered(running: RunningDiscount) -> RunningDiscount:
        off = running.discount.amount
        if off is None:
            return running
        return replace(running, discount=replace(running.discount, amount=net(off)))

    return replace(
        terms,
        amount=net(terms.amount),
        tax_rate=nothing,
        surcharges=tuple((text, ref, net(fee)) for text, ref, fee in terms.surcharges),
        discounts=tuple(lowered(running) for running in terms.discounts),
        sign_up_fee=None if terms.sign_up_fee is None else net(terms.sign_up_fee),
        phases=tuple(replace(phase, amount=net(phase.amount)) for phase in terms.phases),
        beside=tuple(
            replace(item, unit=net(item.unit, item.tax_rate), tax_rate=nothing)
            for item in terms.beside
        ),
        shipping=None if terms.shipping is None else net(terms.shipping),
    )


def amount_of(terms: PeriodTerms) -> Money:
    """Return the plan's price for this billing interval, by its phase.

    >>> fee = Money(900, "EUR")
    >>> tea = PeriodTerms("Tea", "tea", Money(2900, "EUR"), Interval("month"), 1, 1, Decimal(7),
    ...                   True, phases=(Phase(3, fee),), boxes_before=2)
    >>> amount_of(tea) == fee
    True
    """
    for phase in terms.phases:
        if terms.boxes_before < phase.boxes:
            return phase.amount
    return terms.amount


def _named(
    running: RunningDiscount, items: Sequence[PricedItem], terms: PeriodTerms
) -> NamedDiscount:
    discount, kinds = running.discount, _KINDS[running.target]
    if running.target == "first_box":
        lines = sum(item.unit.minor * item.quantity for item in items if item.kind in kinds)
        # Half up: the customer's favour, and the same box costs the same in every interval.
        one = (2 * lines + max(terms.boxes, 1)) // (2 * max(terms.boxes, 1))
        if discount.amount is not None:
            off = max(one - discount.amount.minor, 0)
            _ = discount.amount - terms.amount  # two currencies fail here
        else:
            assert discount.percent is not None
            above, below = discount.percent.as_integer_ratio()
            off = (2 * one * above + below * 100) // (2 * below * 100)
        discount = Discount("fixed", amount=Money(off, terms.amount.currency))
    return NamedDiscount(running.text, running.ref, discount, kinds)


def _items(terms: PeriodTerms) -> list[PricedItem]:
    rate = terms.tax_rate
    items = [
        PricedItem(
            LineKind.PLAN, terms.plan_name, terms.quantity, amount_of(terms), rate, terms.plan_ref
        )
    ]
    boxes = max(terms.boxes, 1)
    for text, ref, surcharge in terms.surcharges:
        if not surcharge.is_zero:
            count = terms.quantity * boxes
            items.append(PricedItem(LineKind.OPTION, text, count, surcharge, rate, ref))
    items += [priced_beside(item) for item in terms.beside if not item.unit.is_zero]
    if terms.shipping is not None and not terms.shipping.is_zero and terms.boxes:
        items.append(
            PricedItem(LineKind.SHIPPING, "", terms.boxes, terms.shipping, rate, "shipping")
        )
    if terms.sign_up_fee is not None and not terms.sign_up_fee.is_zero:
        items.append(
            PricedItem(LineKind.SIGN_UP_FEE, terms.plan_name, 1, terms.sign_up_fee, rate, "fee")
        )
    return items


def priced_beside(item: SoldBeside) -> PricedItem:
    """Return the line of something sold beside the boxes."""
    return PricedItem(
        LineKind.ADDON,
        item.text,
        item.quantity,
        item.unit,
        item.tax_rate,
        item.ref,
        item.addon_id,
    )


def _off(priced: Quote, ref: str, currency: str) -> Money:
    minor = sum(
        -line.amount.minor for line in priced.lines if _is_discount(line.kind, line.ref, ref)
    )
    return Money(minor, currency)


def _is_discount(kind: LineKind, line_ref: str, ref: str) -> bool:
    return kind is LineKind.DISCOUNT and line_ref == ref


def _recurring_net(priced: Quote, passing: AbstractSet[str], once: AbstractSet[str]) -> Money:
    """Return the net of the lines that come with every period, less what lasts off them."""
    net = 0
    for line in priced.lines:
        whole = line if line.lowers is None else priced.lines[line.lowers]
        if whole.kind not in _BOX or whole.ref in once:
            continue
        if line.kind is LineKind.DISCOUNT and line.ref in passing:
            continue
        net += line.amount.minor - (line.tax.minor if priced.inclusive else 0)
    return Money(max(net, 0), priced.currency)
