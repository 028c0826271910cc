"""What a payment gateway is asked and what it can answer, as plain frozen values.

Plugins import these names from ``storefront.hooks``, which is the contract.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from storefront.domain.charging import AnswerStatus, DeclineKind
from storefront.domain.money import Money


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a gateway can and cannot do, as data, so that no rule asks for its name."""

    #: How long the same key surely gives the same answer. 0: look up before every replay.
    key_window_seconds: int
    #: How long after a call ``lookup`` may still say "nothing" about a charge that exists.
    lookup_settle_seconds: int = 0
    #: Without look-up a gateway is not used for automatic renewals.
    has_lookup: bool = True
    #: Window in which the gateway itself drops look-alikes (it is no protection), 0 if none.
    duplicate_window_seconds: int = 0
    #: How long before a debit the customer must have been told, 0 if no rule.
    minimum_notice_seconds: int = 0
    #: Smallest charge per currency in minor units; a currency not listed has no minimum.
    minimums: Mapping[str, int] = field(default_factory=dict)
    #: Where the card is typed: the gateway's fields in our page, or its own page.
    mode: Literal["fields", "redirect"] = "redirect"
    #: How many charges may be in flight at once.
    max_in_flight: int = 1
    #: Charges per second the gateway accepts; None if it names no limit.
    per_second: float | None = None


@dataclass(frozen=True, slots=True)
class SetupOrder:
    """Ask the gateway to store a payment method."""

    #: Our public id of the set-up; also the idempotency key.
    reference: str
    #: Where the customer comes back to, whatever happened.
    return_url: str
    #: Where "go back without paying" leads.
    cancel_url: str
    #: What will be charged right after, shown to the customer; None if nothing is due today.
    amount: Money | None = None
    merchant: str = ""
    description: str = ""
    locale: str = ""


@dataclass(frozen=True, slots=True)
class SetupStart:
    """How the customer goes on: a page of the gateway, or values for its fields in our page."""

    redirect_url: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VaultedMethod:
    """A stored payment method. Never a card number."""

    token: str
    brand: str
    last4: str
    exp_month: int | None = None
    exp_year: int | None = None
    #: Same for the same card whatever the token, for the card schemes' retry limits.
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class SetupAnswer:
    """``method`` is there if and only if ``status`` is succeeded."""

    status: AnswerStatus
    method: VaultedMethod | None = None
    decline: DeclineKind | None = None
    #: Stable code such as ``expired_card``, ``insufficient_funds``, ``left``.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChargeOrder:
    """One question to the gateway. Plain values: asking touches no row and no transaction."""

    #: The attempt's public id: idempotency key and our reference at the gateway.
    reference: str
    amount: Money
    token: str
    #: True while the customer is there to answer their bank.
    on_session: bool
    #: Where the bank's page sends the customer back to; empty when off session.
    return_url: str = ""
    description: str = ""
    #: Public id of the invoice: stored with the charge at the gateway, so that a count made
    #: there can tell two charges for one invoice without asking our tables.
    invoice: str = ""


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    """What the gateway said. Declined and unknown are answers, never exceptions."""

    status: AnswerStatus
    gateway_reference: str = ""
    #: Set if and only if ``status`` is declined.
    decline: DeclineKind | None = None
    #: Stable code such as ``insufficient_funds``, ``timeout``.
    reason: str = ""
    #: Where the customer confirms; set if ``status`` is action_required on session.
    action_url: str | None = None
    #: What was really taken, as the gateway says; compared with what was asked.
    amount: Money | None = None


class CancelAnswer(StrEnum):
    """What became of a charge that was waiting for the customer."""

    CANCELLED = "cancelled"  # it can never succeed any more
    SUCCEEDED = "succeeded"  # too late: the money was taken
    UNKNOWN = "unknown"  # ask again later; treat it as still open


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """Give money of one charge back."""

    #: Our public id of the refund: idempotency key and reference.
    reference: str
    #: Our reference of the charge (the attempt's public id).
    charge_reference: str
    #: The gateway's name of that charge.
    gateway_reference: str
    amount: Money
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """``declined`` means the gateway refused, such as more than was taken."""

    status: AnswerStatus
    gateway_reference: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChargeRecord:
    """A charge as the gateway's own list has it, for reconciliation."""

    reference: str
    gateway_reference: str
    status: AnswerStatus
    amount: Money
    refunded: Money
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """A verified message from the gateway: only that something changed, never how."""

    id: str
    type: str
    #: Our reference of the charge, refund or set-up it speaks of; empty if unknown to us.
    reference: str
    occurred_at: datetime
    account: str = ""


class WebhookError(ValueError):
    """The message is forged, too old, or not for us. ``args[0]`` is a stable code."""


@runtime_checkable
class Gateway(Protocol):
    """A card vault plus one charge call.

    The engine asks inside no transaction, from several threads at once. Every method that
    takes a reference may be repeated with it and then does nothing new. Nothing here decides
    *whether* to charge: that is the guard's, and a plugin has no other way to a charge.
    """

    #: Stable name, stored with every attempt.
    name: str
    #: Id of the gateway account that the tokens belong to; another account's are refused.
    account: str
    capabilities: Capabilities

    def begin_setup(self, order: SetupOrder) -> SetupStart:
        """Open a set-up and say where the customer goes on."""
        ...

    def finish_setup(self, reference: str, params: Mapping[str, str]) -> SetupAnswer:
        """Say what became of a set-up; ``params`` is the query of the return visit.

        The answer comes from the gateway, never from ``params``, which the customer can write.
        Unfinished is ``action_required``; an unknown reference is ``unknown``.
        """
        ...

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        """Charge once per ``order.reference``, however often it is called.

        A repeat inside the key window gives the first answer. The same reference with another
        amount or token is refused as ``unknown`` with reason ``key_reused``, and takes nothing.
        """
        ...

    def lookup(self, reference: str) -> ChargeAnswer | None:
        """Say what the gateway knows of a charge; None means it knows nothing.

        A look-up that failed is ``unknown``, never None.
        """
        ...

    def cancel(self, reference: str) -> CancelAnswer:
        """Stop a charge that waits for the customer."""
        ...

    def refund(self, order: RefundOrder) -> RefundAnswer:
        """Give back once per ``order.reference``; never more in sum than was taken."""
        ...

    def lookup_refund(self, reference: str) -> RefundAnswer | None:
        """As ``lookup``, for a refund."""
        ...

    def detach(self, token: str) -> bool:
        """Forget a stored method; True if it is gone, also if it was gone before."""
        ...

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        """Check and read a message. Raises ``WebhookError``."""
        ...

    def list_charges(self, since: datetime) -> Iterable[ChargeRecord]:
        """Every charge made at or after ``since`` (aware UTC) that took money, oldest first."""
        ...

    def csp_sources(self) -> Mapping[str, Sequence[str]]:
        """Extra hosts our pages need, by directive: ``{"script-src": ["https://..."]}``."""
        ...


def charge_many(gateway: Gateway, orders: Sequence[ChargeOrder]) -> list[ChargeAnswer]:
    """Ask one after the other; an exception is that order's *unknown*.

    No part of the protocol: a caller that wants several in flight uses threads of its own.
    """
    answers = []
    for order in orders:
        try:
            answers.append(gateway.charge(order))
        except Exception:
            logging.getLogger(__name__).exception("gateway %s raised", gateway.name)
            answers.append(ChargeAnswer(AnswerStatus.UNKNOWN, reason="exception"))
    return answers
