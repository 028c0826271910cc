"""When somebody's personal data may go, what it waits for, and how long documents stay.

Source: docs/decisions/0175-erasing-a-person.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from storefront.domain.errors import DomainError


class Waiting(StrEnum):
    """What is under way that needs to know who somebody is."""

    SUBSCRIPTION = "subscription"
    CHARGE = "charge"
    INVOICE = "invoice"
    REFUND = "refund"
    DISPUTE = "dispute"
    BOX = "box"
    ORDER = "order"
    GIFT = "gift"


class SubscriptionRuns(DomainError):
    """Something of the person goes on without an end; it is cancelled first."""

    code = "subscription_runs"


class AlreadyErased(DomainError):
    """There is nothing left to erase."""

    code = "already_erased"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is under way for a person, in numbers of each kind."""

    #: Subscriptions that run with no end.
    endless: int = 0
    #: Subscriptions that run, or whose first payment is not final.
    running: int = 0
    #: Charges that are planned, sent or unknown, or wait for the bank or the person.
    charges: int = 0
    owed: int = 0
    refunds: int = 0
    disputes: int = 0
    #: Boxes that are to leave.
    boxes: int = 0
    #: Orders begun and not finished; they run out by themselves.
    orders: int = 0
    #: Gifts paid for that nobody has claimed.
    gifts: int = 0


def waits_for(standing: Standing) -> tuple[Waiting, ...]:
    """Return what has to be over first; empty when everything can go now.

    >>> waits_for(Standing())
    ()
    >>> waits_for(Standing(charges=1, owed=1))
    (<Waiting.CHARGE: 'charge'>, <Waiting.INVOICE: 'invoice'>)
    """
    found = (
        (Waiting.SUBSCRIPTION, standing.running),
        (Waiting.CHARGE, standing.charges),
        (Waiting.INVOICE, standing.owed),
        (Waiting.REFUND, standing.refunds),
        (Waiting.DISPUTE, standing.disputes),
        (Waiting.BOX, standing.boxes),
        (Waiting.ORDER, standing.orders),
        (Waiting.GIFT, standing.gifts),
    )
    return tuple(kind for kind, count in found if count)


#: Years for which evidence of a consent stays after the erasure (ROSCA, California: three years).
CONSENT_YEARS = 3
#: Longest that documents can be kept by setting.
LONGEST_YEARS = 30


def kept_until(issued_on: date, years: int) -> date:
    """Return the last day on which a document of ``issued_on`` must be there.

    Tax law counts from the end of the calendar year (in Germany eight years for invoices, ten
    for books; in France ten).

    >>> kept_until(date(2027, 3, 12), 10)
    datetime.date(2037, 12, 31)
    """
    return date(issued_on.year + years, 12, 31)


def first_kept_year(today: date, years: int) -> int:
    """Return the year whose documents are the oldest that must be there on ``today``.

    >>> first_kept_year(date(2038, 1, 1), 10), first_kept_year(date(2037, 12, 31), 10)
    (2028, 2027)
    """
    return today.year - years


#: Parts of an address, or of a party of a document, that stay: taxes are summed by them.
_PLACE = ("country", "region")
#: Entries of an event of the timeline that say something about a person, or in their words.
_PERSONAL = frozenset({"city", "note", "last4", "name", "email", "label"})


def without_person(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a line of the timeline says without what is personal.

    >>> without_person({"city": "Jena", "first_box_on": "2027-03-18"})
    {'first_box_on': '2027-03-18'}
    """
    return {key: value for key, value in event.items() if key not in _PERSONAL}


def without_party(party: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an address or a buyer with nothing but where in the world it was.

    >>> without_party({"name": "Ada", "street": "Lindenweg 4", "country": "DE"})
    {'country': 'DE'}
    """
    return {key: value for key, value in (party or {}).items() if key in _PLACE}


def without_buyer(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document is drawn from, without who it was made out to."""
    kept = dict(snapshot)
    for party in ("buyer", "ship_to"):
        if party in kept:
            kept[party] = without_party(kept[party])
    return kept


def without_recipient(packing: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a packer was told, without whom it was for."""
    return {**{key: packing[key] for key in packing if key not in ("gift", "answers")}, "email": ""}
