"""Where our books and a gateway's own list of charges differ.

Source: docs/decisions/0130-nightly-comparison.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState
from storefront.domain.gateways import ChargeRecord
from storefront.domain.money import Money
from storefront.domain.references import is_foreign

#: What our references of charges begin with.
CHARGE_SHAPE = "pay_"


class DifferenceKind(StrEnum):
    """What is not the same on both sides."""

    #: They took money under a reference that looks like ours and that no book of ours has.
    MISSING_HERE = "missing_here"
    #: We have it as paid, and they know nothing of it.
    MISSING_THERE = "missing_there"
    AMOUNT = "amount"
    REFUNDED = "refunded"
    #: They took the money, and we have it as not paid; or the other way round.
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Ours:
    """A charge as our books have it."""

    state: AttemptState
    amount: Money
    #: Of it, what refunds that went through have given back.
    refunded_minor: int = 0
    #: A refund is under way, so both sides may say something else for a while.
    is_refunding: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, with what either side says in minor units of ``currency``."""

    kind: DifferenceKind
    reference: str
    gateway_reference: str
    ours_minor: int | None
    theirs_minor: int | None
    currency: str


def compare(ours: Ours | None, theirs: ChargeRecord, mark: str = "") -> Difference | None:
    """Return how a charge of their list differs from ours; None when it does not.

    What is not ours at all, by the shape of its reference or by the mark of another
    installation (ours is ``mark``), is nobody's difference: others may use the same account.
    """
    if ours is None:
        is_ours = theirs.reference.startswith(CHARGE_SHAPE)
        if not is_ours or is_foreign(theirs.reference, mark) or not _took(theirs):
            return None
        return _difference(DifferenceKind.MISSING_HERE, theirs, None, theirs.amount.minor)
    if _took(theirs) and ours.amount != theirs.amount and _may_be_paid(ours):
        minor = ours.amount.minor
        return _difference(DifferenceKind.AMOUNT, theirs, minor, theirs.amount.minor)
    return _compare_states(ours, theirs) or _compare_refunds(ours, theirs)


def _compare_states(ours: Ours, theirs: ChargeRecord) -> Difference | None:
    if ours.state is not AttemptState.SUCCEEDED:
        minor = theirs.amount.minor
        return _difference(DifferenceKind.STATE, theirs, 0, minor) if _took(theirs) else None
    if theirs.status is AnswerStatus.DECLINED:
        return _difference(DifferenceKind.STATE, theirs, ours.amount.minor, 0)
    return None


def _compare_refunds(ours: Ours, theirs: ChargeRecord) -> Difference | None:
    # What a bank took back is a dispute's matter; some gateways count it as given back.
    if ours.state is not AttemptState.SUCCEEDED or ours.is_refunding or theirs.is_disputed:
        return None
    back = theirs.refunded.minor
    if ours.refunded_minor == back:
        return None
    return _difference(DifferenceKind.REFUNDED, theirs, ours.refunded_minor, back)


def _may_be_paid(ours: Ours) -> bool:
    return ours.state is AttemptState.SUCCEEDED or ours.state in ANSWERABLE


def _took(theirs: ChargeRecord) -> bool:
    return theirs.status is AnswerStatus.SUCCEEDED


def _difference(
    kind: DifferenceKind, theirs: ChargeRecord, ours_minor: int | None, theirs_minor: int
) -> Difference:
    return Difference(
        kind,
        theirs.reference,
        theirs.gateway_reference,
        ours_minor,
        theirs_minor,
        theirs.amount.currency,
    )
