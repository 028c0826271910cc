"""Which law an order's button and terms are worded by, per country and region.

What a law asks of the terms themselves (amount, interval, next charge as a date, how to cancel,
a box of its own that is not ticked) everybody is shown; see decision 0239.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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


_EEA = frozenset({"IS", "LI", "NO"})
#: Sources: Directive 2011/83/EU, article 8(2), in the EEA by its Joint Committee's decision; the
#: United Kingdom's Consumer Contracts Regulations 2013 (SI 2013/3134), regulation 14(4).
_OBLIGATION = EU | _EEA | {"GB"}
#: States with a law of their own about automatic renewal that was read for this table; ROSCA
#: (15 USC 8401 ff.) holds in each. Sources: Cal. Bus. & Prof. Code 17600 ff.; New York GBL 527-a;
#: 940 CMR 38.00 (Massachusetts).
_STATES = frozenset({"CA", "MA", "NY"})


def order_law(country: str, region: str = "") -> OrderLaw:
    """Return the entry for a buyer in ``country``; ``region`` by code or name.

    >>> order_law("FR"), order_law("CH").button.value
    (OrderLaw(name='EU', button=<Button.OBLIGATION: 'obligation'>), 'subscribe')
    >>> order_law("US", "california").name, order_law("US", "TX").name, order_law("JP").name
    ('US-CA', 'US', 'JP')
    """
    if country in _OBLIGATION:
        name = country if country == "GB" else "EU" if country in EU else "EEA"
        return OrderLaw(name, Button.OBLIGATION)
    if country == "US" and (state := region_code(country, region)) in _STATES:
        return OrderLaw(f"US-{state}", Button.SUBSCRIBE)
    return OrderLaw(country, Button.SUBSCRIBE)
