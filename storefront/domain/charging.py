"""Questions to a gateway: the states of a charge attempt and the answers there are.

Source: the attempt state machine of ``docs/decisions/0003-attempts-before-charges.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from storefront.domain.errors import DomainError


class AnswerStatus(StrEnum):
    """What a gateway can say to a charge, a set-up or a refund."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PENDING = "pending"
    UNKNOWN = "unknown"


class DeclineKind(StrEnum):
    """``soft`` may be tried again later by the clock; ``ask`` only when the customer says so;
    ``hard`` must never be tried again on that method.
    """

    SOFT = "soft"
    ASK = "ask"
    HARD = "hard"


def decline_kind(
    meanings: Mapping[tuple[str, str], DeclineKind], network: str, code: str
) -> DeclineKind:
    """Return what a decline means by the card network it came from and the gateway's code.

    ``meanings`` is a gateway's table (``Capabilities.decline_meanings``); the network ``""``
    stands for any. A code nobody has listed is ``ask``: the same number means "try in 72
    hours" on one network and "never again" on another, so nothing is guessed from it.

    >>> decline_kind({("", "insufficient_funds"): DeclineKind.SOFT}, "visa", "insufficient_funds")
    <DeclineKind.SOFT: 'soft'>
    >>> decline_kind({}, "visa", "02")
    <DeclineKind.ASK: 'ask'>
    """
    return meanings.get((network, code)) or meanings.get(("", code)) or DeclineKind.ASK


class AttemptState(StrEnum):
    """``planned`` was never sent; ``sent`` may have been executed by the gateway."""

    PLANNED = "planned"
    SENT = "sent"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PENDING = "pending"
    UNKNOWN = "unknown"
    ABANDONED = "abandoned"


_A = AttemptState
#: While an attempt is in one of these, no other attempt for its invoice may start.
OPEN_ATTEMPTS = frozenset({_A.PLANNED, _A.SENT, _A.ACTION_REQUIRED, _A.PENDING, _A.UNKNOWN})
#: What an answer may still move. A success is final; nothing overwrites it.
ANSWERABLE = frozenset({_A.SENT, _A.ACTION_REQUIRED, _A.PENDING, _A.UNKNOWN})


class Refusal(StrEnum):
    """Why the guarded charge function did not send an attempt."""

    LIVE_LOCK = "live_lock"
    NOT_BILLABLE = "not_billable"
    HELD = "held"
    NO_CONSENT = "no_consent"
    NOTICE_MISSING = "notice_missing"
    RETRY_LIMIT = "retry_limit"
    ATTEMPT_OPEN = "attempt_open"
    NOTHING_DUE = "nothing_due"
    NO_METHOD = "no_method"
    #: Our key was refused there, or the connection was not the gateway's.
    GATEWAY_STOPPED = "gateway_stopped"
    #: It said that we were too fast, or nobody listened.
    GATEWAY_SLOW = "gateway_slow"
    #: More than the customer agreed that one charge may take.
    OVER_LIMIT = "over_limit"
    #: Told of, and its day has not come.
    TOO_EARLY = "too_early"


class TriedTooOften(DomainError):
    """The card schemes allow no further try of this card for this amount for now."""

    code = Refusal.RETRY_LIMIT.value


#: Hard ceilings per (card fingerprint, amount) that no merchant setting exceeds.
#: Source: card scheme retry rules, half of the strictest published limit.
MAX_TRIES_PER_DAY = 9
MAX_TRIES_PER_MONTH = 14
#: "Pay now" is let through so often per shop-local day: for an invoice with one card, and for
#: an invoice with any. Beyond it somebody tries out cards.
PAY_NOW_PER_CARD = 3
PAY_NOW_PER_INVOICE = 8
