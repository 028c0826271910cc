"""Which law an order's button, terms and right of withdrawal follow, per country and region.

What a law asks of the terms themselves (amount, interval, next charge as a date, how to cancel,
a box of its own that is not ticked) everybody is shown; see decision 0239.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from storefront.domain.declarations import WITHDRAWAL_DAYS
from storefront.domain.rates import EU
from storefront.domain.regions import region_code


class Button(StrEnum):
    """The words on the button that makes the contract."""

    #: The words of the law itself, and no amount.
    OBLIGATION = "obligation"
    SUBSCRIBE = "subscribe"


@dataclass(frozen=True, slots=True)
class OrderLaw:
    """``name`` is kept with the consent: by which entry its page was worded."""

    name: str
    button: Button
    #: Days in which the buyer may withdraw without a reason; 0 where no law read for this table
    #: gives that right.
    withdrawal_days: int = 0


_EEA = frozenset({"IS", "LI", "NO"})
#: Sources: Directive 2011/83/EU, article 8(2), in the EEA by its Joint Committee's decision; the
#: United Kingdom's Consumer Contracts Regulations 2013 (SI 2013/3134), regulation 14(4).
#: The same two laws give the right of withdrawal: article 9, and regulations 29 and 30.
_OBLIGATION = EU | _EEA | {"GB"}
#: Where the tax in a price is called VAT; elsewhere it is called tax, which is true everywhere.
_VAT = EU | _EEA | {"CH", "GB"}
#: States with a law of their own about automatic renewal that was read for this table; ROSCA
#: (15 USC 8401 ff.) holds in each. Sources: Cal. Bus. & Prof. Code 17600 ff.; New York GBL 527-a;
#: 940 CMR 38.00 (Massachusetts).
_STATES = frozenset({"CA", "MA", "NY"})


def order_law(country: str, region: str = "") -> OrderLaw:
    """Return the entry for a buyer in ``country``; ``region`` by code or name.

    >>> order_law("FR"), order_law("CH").button.value
    (OrderLaw(name='EU', button=<Button.OBLIGATION: 'obligation'>, withdrawal_days=14), 'subscribe')
    >>> order_law("US", "california").name, order_law("US", "TX").name, order_law("JP").name
    ('US-CA', 'US', 'JP')
    """
    if country in _OBLIGATION:
        name = country if country == "GB" else "EU" if country in EU else "EEA"
        return OrderLaw(name, Button.OBLIGATION, WITHDRAWAL_DAYS)
    if country == "US" and (state := region_code(country, region)) in _STATES:
        return OrderLaw(f"US-{state}", Button.SUBSCRIBE)
    return OrderLaw(country, Button.SUBSCRIBE)


def law_of_order(
    country: str, address: Mapping[str, object], bill: Mapping[str, object] | None
) -> OrderLaw:
    """Return the stricter entry of where an order goes (``country``) and whom it is billed to.

    >>> law_of_order("CH", {"country": "CH"}, {"country": "DE"}).name
    'EU'
    """
    billed = bill or {}
    here = order_law(country, str(address.get("region", "")))
    there = order_law(str(billed.get("country", "")), str(billed.get("region", "")))
    return there if there.button is Button.OBLIGATION is not here.button else here


def names_vat(country: str) -> bool:
    """Whether the tax in a price is called VAT in a country.

    >>> names_vat("DE"), names_vat("US")
    (True, False)
    """
    return country in _VAT
