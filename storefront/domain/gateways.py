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
    #: How far back ``lookup`` finds a charge by our reference alone, 0 for always. "Nothing" about
    #: an older one says nothing.
    lookup_reach_seconds: int = 0
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
    #: What a decline means, by (card network, code); the network ``""`` stands for any.
    decline_meanings: Mapping[tuple[str, str], DeclineKind] = field(default_factory=dict)
    #: False for play money: neither the live-lock nor a confirmation guards it.
    moves_money: bool = True
    #: Kinds of method it stores, in the order to offer: card, paypal, upi, bank, wallet.
    kinds: tuple[str, ...] = ("card",)
    #: How many characters of ours may stand on the statement, 0 if none: the shop's name, and
    #: that a trial is over.
    descriptor_length: int = 0
    #: Currencies it takes, ISO codes; empty if it takes any.
    currencies: frozenset[str] = frozenset()


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
    #: Our public id of the customer, empty while there is no account yet.
    customer: str = ""
    #: The gateway's own id of that customer, if it has given one before.
    gateway_customer: str = ""
    email: str = ""
    name: str = ""
    #: ISO code of the country delivered to.
    country: str = ""
    #: The most one later charge may take, for gateways whose mandates have a cap.
    limit: Money | None = None


@dataclass(frozen=True, slots=True)
class SetupStart:
    """How the customer goes on: a page of the gateway, or a page of the plugin with its fields.

    Fields of a gateway stand on a page of the plugin's own inside the shop's frame, never on
    ours: its scripts are allowed there and nowhere else.
    """

    redirect_url: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    #: The gateway's own name of the set-up, handed back to ``finish_setup``.
    gateway_reference: str = ""


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
    #: card, paypal, upi, bank, wallet. Only cards have ``last4`` of four digits.
    kind: str = "card"
    #: What the customer knows it by where there is no number, such as ``m…@example.org``.
    label: str = ""
    #: The gateway's own id of the customer it belongs to, handed back with every charge.
    gateway_customer: str = ""
    #: Reference of the agreement the customer gave (mandate, network transaction), as well.
    agreement: str = ""
    #: The most one charge may take, if the agreement says so.
    limit: Money | None = None


#: Names that people write in a way of their own; the same in every language.
_PROPER = {"paypal": "PayPal", "upi": "UPI"}


def proper_name(brand: str) -> str:
    """Return what stands on a document for a method without a number.

    >>> proper_name("paypal"), proper_name("hdfc")
    ('PayPal', 'HDFC')
    """
    return _PROPER.get(brand, brand.upper())


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
    gateway_customer: str = ""
    #: Reference of the agreement under which it is charged, as the set-up gave it.
    agreement: str = ""
    #: What stands on the card statement beside the gateway's own prefix, no longer than
    #: ``descriptor_length``; may be empty.
    descriptor: str = ""
    #: When the customer was told of this charge (aware UTC), where a notice is required.
    notified_at: datetime | None = None


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
    #: Card network and the network's or gateway's code of a decline, as they came.
    network: str = ""
    code: str = ""
    #: The method after the charge, if the gateway replaced its token or renewed its card.
    method: VaultedMethod | None = None
    #: Seconds to wait, if the gateway named them with ``rate_limited``.
    retry_after: float | None = None


#: Reasons of *unknown* on which nothing more is sent to this gateway before a person looked:
#: our key was refused, or the connection was not the gateway's.
CLOSED_REASONS = frozenset({"unauthorized", "wrong_certificate"})
#: Reason of *unknown* on which sending slows down.
TOO_FAST = "rate_limited"
#: Reason of *unknown* when the order never left: no connection came about.
NOT_SENT = "not_sent"
#: Reasons of *unknown* that say the gateway did nothing. Only an answer to the first question
#: proves that: after a repeat, the first one may still have been done.
NOT_DONE = CLOSED_REASONS | {TOO_FAST, NOT_SENT}


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
    is_disputed: bool = False


class DisputeState(StrEnum):
    """``open`` while the bank decides. An inquiry that takes no money is open with amount 0."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class DisputeRecord:
    """A chargeback as the gateway has it now."""

    #: The gateway's own name of the dispute.
    gateway_reference: str
    #: Our reference of the charge it is about; empty if the gateway does not say.
    charge_reference: str
    charge_gateway_reference: str
    state: DisputeState
    #: What was taken back from the merchant; zero for a mere inquiry.
    amount: Money
    reason: str
    opened_at: datetime
    #: What the gateway keeps for its work, whoever wins.
    fee: Money | None = None
    answer_by: datetime | None = None


class EventAbout(StrEnum):
    """What kind of thing a message speaks of; what became of it is read at the gateway."""

    CHARGE = "charge"
    REFUND = "refund"
    SETUP = "setup"
    DISPUTE = "dispute"
    METHOD = "method"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GatewayEvent:
    """A verified message from the gateway: only that something changed, never how."""

    id: str
    type: str
    #: Our reference of the charge, refund or set-up it speaks of; empty if unknown to us.
    reference: str
    occurred_at: datetime
    account: str = ""
    about: EventAbout = EventAbout.OTHER
    #: The gateway's own name of what it speaks of; for ``method`` the token.
    gateway_reference: str = ""


class WebhookError(ValueError):
    """The message is forged, too old, or not for us. ``args[0]`` is a stable code:
    no_signature, bad_signature, too_old, unreadable, other_account, wrong_mode, unreachable.
    """


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

    def finish_setup(
        self, reference: str, params: Mapping[str, str], gateway_reference: str = ""
    ) -> SetupAnswer:
        """Say what became of a set-up; ``params`` is the query of the return visit.

        ``gateway_reference`` is what ``begin_setup`` gave; empty if its answer was lost.

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

    def lookup(self, reference: str, gateway_reference: str = "") -> ChargeAnswer | None:
        """Say what the gateway knows of a charge; None means it knows nothing.

        ``gateway_reference`` is the gateway's own name of it, if any answer ever gave one.

        A look-up that failed is ``unknown``, never None. Where the customer's yes alone takes
        nothing, a look takes what was approved; so nobody looks for a charge that was given up
        before it was cancelled.
        """
        ...

    def cancel(self, reference: str, gateway_reference: str = "") -> CancelAnswer:
        """Stop a charge that waits for the customer."""
        ...

    def refund(self, order: RefundOrder) -> RefundAnswer:
        """Give back once per ``order.reference``; never more in sum than was taken."""
        ...

    def lookup_refund(
        self, reference: str, gateway_reference: str = "", charge: str = ""
    ) -> RefundAnswer | None:
        """As ``lookup``, for a refund. ``charge`` is the gateway's own name of its charge."""
        ...

    def disputes(self, reference: str, gateway_reference: str = "") -> Sequence[DisputeRecord]:
        """Return every dispute of one charge as it stands now.

        ``reference`` and ``gateway_reference`` name the charge, as in ``lookup``.
        Raises any exception if the gateway does not answer: none known is not none there.
        """
        ...

    def read_method(self, token: str, gateway_customer: str = "") -> VaultedMethod | None:
        """Return a stored method as it is now (expiry, network updates); None if it is gone.

        Raises any exception if the gateway does not answer.
        """
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
