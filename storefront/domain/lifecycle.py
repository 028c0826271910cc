"""The states a subscription and its periods can be in, and the moves between them."""

from __future__ import annotations

from enum import StrEnum

from storefront.domain.errors import DomainError


class SubscriptionState(StrEnum):
    """See ``docs/architecture.md``, "States of a subscription"."""

    INCOMPLETE = "incomplete"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"
    EXPIRED = "expired"


class PeriodKind(StrEnum):
    """Why the days of a subscription period exist; periods tile time without exception."""

    TRIAL = "trial"
    BILLED = "billed"
    FREE = "free"
    GIFT = "gift"
    SKIPPED = "skipped"
    PAUSED = "paused"


#: Days that nobody pays for: a subscriber begins to count after them.
UNPAID_KINDS = frozenset({PeriodKind.TRIAL, PeriodKind.FREE})
#: Days that make nobody a subscriber: what a giver pays for ends by itself.
UNCOUNTED_KINDS = UNPAID_KINDS | {PeriodKind.GIFT}


class PeriodState(StrEnum):
    """Where the money of a period stands; a period without an invoice is paid at once."""

    INVOICED = "invoiced"
    PAID = "paid"
    VOID = "void"


class EndReason(StrEnum):
    """Why a subscription ended; voluntary and payment churn are counted apart."""

    VOLUNTARY = "voluntary"
    UNPAID = "unpaid"
    COMPLETED = "completed"
    STAFF = "staff"
    ABANDONED = "abandoned"


class HoldReason(StrEnum):
    """Why a subscription is neither billed nor packed, whatever its state."""

    DISPUTE = "dispute"
    STAFF = "staff"
    OUTAGE = "outage"
    NO_CONSENT = "no_consent"
    NO_METHOD = "no_method"


class MoveNotAllowed(DomainError):
    """Raised for a move that the table ``MOVES`` does not have."""

    code = "move_not_allowed"


_S = SubscriptionState
MOVES: dict[SubscriptionState, frozenset[SubscriptionState]] = {
    _S.INCOMPLETE: frozenset({_S.TRIALING, _S.ACTIVE, _S.EXPIRED}),
    _S.TRIALING: frozenset({_S.ACTIVE, _S.PAST_DUE, _S.CANCELED}),
    _S.ACTIVE: frozenset({_S.PAST_DUE, _S.PAUSED, _S.CANCELED}),
    _S.PAST_DUE: frozenset({_S.ACTIVE, _S.PAUSED, _S.CANCELED}),
    _S.PAUSED: frozenset({_S.ACTIVE, _S.CANCELED}),
    _S.CANCELED: frozenset(),
    _S.EXPIRED: frozenset(),
}

#: States in which the clock may bill or chase a subscription.
RUNNING = frozenset({_S.TRIALING, _S.ACTIVE, _S.PAST_DUE, _S.PAUSED})
#: States in which a new period may be invoiced.
BILLABLE = frozenset({_S.TRIALING, _S.ACTIVE})
ENDED = frozenset({_S.CANCELED, _S.EXPIRED})


def check_move(old: SubscriptionState, new: SubscriptionState) -> None:
    """Raise ``MoveNotAllowed`` unless ``MOVES`` has the move from ``old`` to ``new``."""
    if new not in MOVES[old]:
        raise MoveNotAllowed(f"cannot go from {old} to {new}")
