"""Values that cross the border to a shipping provider. Public: plugins build on this.

A provider takes boxes to be sent, or only follows parcels that left; it tells of them in messages,
can be asked, or both. Which of these it can is data (``ParcelCapabilities``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from storefront.domain.money import exponent
from storefront.domain.tracking_rows import Status as ParcelState

__all__ = [
    "ParcelCapabilities",
    "ParcelLine",
    "ParcelMessage",
    "ParcelNews",
    "ParcelOrder",
    "ParcelState",
    "ShippingProvider",
    "TakeAnswer",
    "Taking",
]


@dataclass(frozen=True, slots=True)
class ParcelCapabilities:
    """What a provider can do."""

    #: Boxes are handed over with ``take``, and labels are made there.
    takes_boxes: bool = False
    #: Parcels that left with a number are named to it with ``follow``.
    follows_numbers: bool = False
    #: It sends messages, which ``parse_message`` reads.
    sends_messages: bool = False
    #: ``ask`` answers; each parcel is asked about once in so many seconds until it arrived.
    answers: bool = False
    ask_every_seconds: int = 4 * 3600


class Taking(StrEnum):
    """What became of a box that was handed over."""

    TAKEN = "taken"
    #: Surely not done, and trying the same again would not help: a person has to look.
    REFUSED = "refused"
    #: Nobody knows: it is looked for before it is tried again.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TakeAnswer:
    """The answer to ``take``, ``follow`` and ``find``; never an exception."""

    status: Taking
    #: The provider's own name of it, up to 80 characters.
    provider_reference: str = ""
    #: Stable code and plain words for staff.
    reason: str = ""
    text: str = ""
    #: Seconds after which it may be tried again, if the provider names them.
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class ParcelLine:
    """One product in a box; text to currency are empty where nothing is declared for customs."""

    sku: str
    pieces: int
    text: str = ""
    hs_code: str = ""
    origin: str = ""
    #: Of one piece, in minor units.
    value_minor: int | None = None
    currency: str = ""
    #: Of one piece; 0 where that was not kept.
    grams: int = 0

    @property
    def value(self) -> Decimal:
        """What all its pieces are worth, in ``currency``; 0 where that is not known.

        >>> str(ParcelLine("TEA-1", 3, value_minor=890, currency="EUR").value)
        '26.70'
        """
        if self.value_minor is None or not self.currency:
            return Decimal(0)
        return Decimal(self.value_minor * self.pieces).scaleb(-exponent(self.currency))

    @property
    def missing(self) -> tuple[str, ...]:
        """What a customs declaration needs and nobody entered."""
        known = {
            "description": self.text,
            "tariff number": self.hs_code,
            "country of origin": self.origin,
            "value": self.value,
        }
        return tuple(name for name, entered in known.items() if not entered)


@dataclass(frozen=True, slots=True)
class ParcelOrder:
    """A box as a provider needs it, with the address it has for good."""

    #: Our name of it: one box has one for ever, so that it is found and never doubled.
    reference: str
    name: str
    company: str
    street: str
    extra: str
    postcode: str
    city: str
    region: str
    #: ISO code of two letters.
    country: str
    phone: str
    email: str
    grams: int
    lines: tuple[ParcelLine, ...]
    placed_at: datetime
    #: When it was first handed over; None if never.
    asked_at: datetime | None = None
    #: Of a parcel that left and is only followed; empty where the box is to be handed over.
    number: str = ""
    carrier: str = ""
    #: It crosses a customs border: every line says what is declared of it, as far as it is known.
    is_declared: bool = False

    @property
    def undeclared(self) -> str:
        """What customs have to be told still, as ``TEA-1: value``; empty where nothing is."""
        if not self.is_declared:
            return ""
        return "; ".join(
            f"{line.sku}: {', '.join(line.missing)}" for line in self.lines if line.missing
        )


@dataclass(frozen=True, slots=True)
class ParcelNews:
    """Where a parcel is. One of ``reference``, ``provider_reference`` and ``number`` names it."""

    #: None: it is not on its way yet, or what is said moves no box.
    state: ParcelState | None = None
    number: str = ""
    carrier: str = ""
    reference: str = ""
    provider_reference: str = ""
    #: Aware; None if the provider does not say.
    occurred_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ParcelMessage:
    """A genuine message of a provider."""

    #: The same for the same message sent again.
    id: str
    type: str
    news: ParcelNews


@runtime_checkable
class ShippingProvider(Protocol):
    """What a shipping provider's plugin offers. Called in no transaction, from any thread."""

    #: Lower case, up to 24 characters; it stands in the address of its messages.
    name: str
    #: As people know it.
    title: str
    capabilities: ParcelCapabilities

    def take(self, order: ParcelOrder) -> TakeAnswer:
        """Hand a box over to be sent. Anything unclear is *unknown*."""
        ...

    def follow(self, order: ParcelOrder) -> TakeAnswer:
        """Name a parcel that left, by ``order.number`` and ``order.carrier``."""
        ...

    def find(self, order: ParcelOrder) -> TakeAnswer | None:
        """Look for a box handed over before by its reference; None: surely it is not there."""
        ...

    def ask(self, reference: str, provider_reference: str, number: str) -> ParcelNews | None:
        """Say where a box or followed parcel is; None when that is not known now."""
        ...

    def parse_message(
        self, headers: Mapping[str, str], params: Mapping[str, str], raw: bytes
    ) -> ParcelMessage:
        """Check and read a message by its raw body. Raises ``WebhookError``."""
        ...
