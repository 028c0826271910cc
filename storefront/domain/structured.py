"""What search engines are told of a plan: the same price, place and stock as people read.

Source: schema.org, Product, Offer and UnitPriceSpecification, version 29.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storefront.domain.money import Money, exponent
from storefront.domain.periods import Interval

_CONTEXT = "https://schema.org"
#: Units of UN/CEFACT Recommendation 20, which schema.org asks for.
_UNIT_CODES = {"day": "DAY", "week": "WEE", "month": "MON", "year": "ANN"}


@dataclass(frozen=True, slots=True)
class Sold:
    """A plan in one interval: ``price`` is one payment."""

    interval: Interval
    price: Money
    #: None where it depends on an address that nobody has typed yet.
    is_tax_inside: bool | None
    url: str


def amount(price: Money) -> str:
    """Return an amount as schema.org writes it: a point, no sign of the currency, no grouping.

    >>> amount(Money(2600, "EUR")), amount(Money(5, "EUR")), amount(Money(2600, "JPY"))
    ('26.00', '0.05', '2600')
    """
    digits = exponent(price.currency)
    if not digits:
        return str(price.minor)
    major, minor = divmod(price.minor, 10**digits)
    return f"{major}.{minor:0{digits}}"


def product(
    name: str, description: str, brand: str, offers: list[Sold], image: str, *, is_sold_out: bool
) -> dict[str, Any]:
    """Return a plan as a Product with an Offer for each interval; ``image`` is its address."""
    stock = "SoldOut" if is_sold_out else "InStock"
    return {
        "@context": _CONTEXT,
        "@type": "Product",
        "name": name,
        "description": description or name,
        "image": image,
        "brand": {"@type": "Brand", "name": brand},
        "offers": [_offer(one, stock) for one in offers],
    }


def plan_list(items: list[tuple[str, str]]) -> dict[str, Any]:
    """Return (name, address) of the plans as an ItemList in their order."""
    return {
        "@context": _CONTEXT,
        "@type": "ItemList",
        "itemListElement": [
            {"@type": "ListItem", "position": place, "name": name, "url": url}
            for place, (name, url) in enumerate(items, 1)
        ],
    }


def faq_page(asked: list[tuple[str, str]]) -> dict[str, Any]:
    """Return (question, answer as plain text) as a FAQPage."""
    return {
        "@context": _CONTEXT,
        "@type": "FAQPage",
        "mainEntity": [
            {
                "@type": "Question",
                "name": question,
                "acceptedAnswer": {"@type": "Answer", "text": answer},
            }
            for question, answer in asked
        ],
    }


def _offer(one: Sold, stock: str) -> dict[str, Any]:
    price = {"price": amount(one.price), "priceCurrency": one.price.currency}
    taxed = {} if one.is_tax_inside is None else {"valueAddedTaxIncluded": one.is_tax_inside}
    every = {
        "@type": "UnitPriceSpecification",
        **price,
        **taxed,
        "billingDuration": one.interval.count,
        "unitCode": _UNIT_CODES[one.interval.unit],
    }
    return {
        "@type": "Offer",
        **price,
        "availability": f"{_CONTEXT}/{stock}",
        "url": one.url,
        "priceSpecification": every,
    }
