"""What sending a box costs: by country and currency, nothing from an amount of goods on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from storefront.domain.money import Money
from storefront.domain.recurring import PeriodTerms, amount_of


@dataclass(frozen=True, slots=True)
class ShippingRate:
    """The cost of one box to ``country`` (empty: every other), in the terms of the price.

    From ``free_from`` of goods per box on it costs nothing; None: it always costs.
    """

    country: str
    amount: Money
    free_from: Money | None = None


def rate_for_box(rates: Sequence[ShippingRate], country: str, currency: str) -> ShippingRate | None:
    """Return the rate of a country: its own, else the one of every other, else None."""
    fitting = [
        rate for rate in rates if rate.country in ("", country) and rate.amount.currency == currency
    ]
    return max(fitting, key=lambda rate: rate.country) if fitting else None


def shipping_cost(rates: Sequence[ShippingRate], country: str, goods: Money) -> Money | None:
    """Return what sending one box with ``goods`` in it costs, or None where no rate is set.

    No rate means that delivery is inside the price.
    Source: docs/decisions/0081-shipping-per-box.md.

    >>> rates = [ShippingRate("", Money(490, "EUR"), Money(4000, "EUR"))]
    >>> shipping_cost(rates, "DE", Money(3999, "EUR"))
    Money(minor=490, currency='EUR')
    >>> shipping_cost(rates, "DE", Money(4000, "EUR"))
    Money(minor=0, currency='EUR')
    """
    rate = rate_for_box(rates, country, goods.currency)
    if rate is None:
        return None
    if rate.free_from is not None and goods.minor >= rate.free_from.minor:
        return Money(0, goods.currency)
    return rate.amount


def with_shipping(terms: PeriodTerms, rates: Sequence[ShippingRate], country: str) -> PeriodTerms:
    """Return ``terms`` with what each of their boxes costs to send to ``country``.

    The goods of one box are plan, options and add-ons of the period before discounts,
    divided by its boxes and rounded down; a plan that ships nothing costs nothing to send.
    """
    if not rates or not terms.boxes:
        return terms
    goods = amount_of(terms).minor * terms.quantity
    goods += sum(one.minor for *_, one in terms.surcharges) * terms.quantity * terms.boxes
    goods += sum(item.unit.minor * item.quantity for item in terms.beside)
    each = Money(goods // terms.boxes, terms.amount.currency)
    return replace(terms, shipping=shipping_cost(rates, country, each))
