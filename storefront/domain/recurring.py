"""What one billing period of a subscription costs; checkout, renewals and previews alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from storefront.domain.coupons import Discount
from storefront.domain.invoices import LineKind
from storefront.domain.metrics import monthly_value
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.pricing import NamedDiscount, PricedItem, Quote, quote


@dataclass(frozen=True, slots=True)
class RunningDiscount:
    """A coupon at work: ``ref`` is the caller's name for it, shown nowhere."""

    ref: str
    text: str
    discount: Discount
    #: False for a discount of one period only; it does not lower the monthly value.
    is_recurring: bool


@dataclass(frozen=True, slots=True)
class PeriodTerms:
    """Everything that decides the price of one billing period, as plain values.

    ``amount`` is the plan's price for one billing interval and ``surcharges`` are per box,
    both in the price's own terms (tax inside when ``inclusive``). ``boxes`` is how many
    boxes the period brings; a plan that ships nothing counts as one.
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


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """The document of a period, its monthly value, and what each discount took off."""

    quote: Quote
    mrr: Money
    taken: tuple[tuple[str, Money], ...]


@lru_cache(maxsize=1024)
def price_period(terms: PeriodTerms) -> PricedPeriod:
    """Price one billing period of a subscription.

    Terms and answer are values, so the same terms are worked out once: most subscriptions
    of a run differ in nothing that a price depends on.

    Units: as ``terms.amount``. Discounts lower plan and option lines, never the sign-up fee.
    The monthly value is net of tax and of recurring discounts, without the fee.
    Source: docs/decisions/0005-one-price-function.md.
    """
    items = _items(terms)
    named = [NamedDiscount(d.text, d.ref, d.discount) for d in terms.discounts]
    priced = quote(items, named, inclusive=terms.inclusive)
    if not terms.discounts:
        return PricedPeriod(priced, monthly_value(_recurring_net(priced, ()), terms.interval), ())
    taken = tuple((d.ref, _off(priced, d.ref, terms.amount.currency)) for d in terms.discounts)
    passing = [d.ref for d in terms.discounts if not d.is_recurring]
    return PricedPeriod(
        priced, monthly_value(_recurring_net(priced, passing), terms.interval), taken
    )


def _items(terms: PeriodTerms) -> list[PricedItem]:
    rate = terms.tax_rate
    items = [
        PricedItem(
            LineKind.PLAN, terms.plan_name, terms.quantity, terms.amount, rate, terms.plan_ref
        )
    ]
    boxes = max(terms.boxes, 1)
    for text, ref, surcharge in terms.surcharges:
        if not surcharge.is_zero:
            count = terms.quantity * boxes
            items.append(PricedItem(LineKind.OPTION, text, count, surcharge, rate, ref))
    if terms.sign_up_fee is not None and not terms.sign_up_fee.is_zero:
        items.append(
            PricedItem(LineKind.SIGN_UP_FEE, terms.plan_name, 1, terms.sign_up_fee, rate, "fee")
        )
    return items


def _off(priced: Quote, ref: str, currency: str) -> Money:
    minor = sum(
        -line.amount.minor for line in priced.lines if _is_discount(line.kind, line.ref, ref)
    )
    return Money(minor, currency)


def _is_discount(kind: LineKind, line_ref: str, ref: str) -> bool:
    return kind is LineKind.DISCOUNT and line_ref == ref


def _recurring_net(priced: Quote, passing: Sequence[str]) -> Money:
    net = 0
    for line in priced.lines:
        if line.kind is LineKind.SIGN_UP_FEE:
            continue
        if line.kind is LineKind.DISCOUNT and line.ref in passing:
            continue
        net += line.amount.minor - (line.tax.minor if priced.inclusive else 0)
    return Money(max(net, 0), priced.currency)
