"""Questions to a gateway: the states of a charge attempt and the answers there are.

Source: the attempt state machine of ``docs/decisions/0003-attempts-before-charges.md``.
"""

from __future__ import annotations

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
    """``soft`` may be tried again later; ``hard`` must never be tried again on that method."""

    SOFT = "soft"
    HARD = "hard"


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
