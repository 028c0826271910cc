"""Write down what a gateway said of a refund, once, whoever asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa

from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import RefundAnswer
from storefront.domain.ledger import REFUNDS_DUE, JournalKind, clearing
from storefront.models import ChargeAttempt, Invoice, ParkedWork, Refund
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment

#: A refund without an answer is looked up after this.
CHECK_AFTER = timedelta(minutes=5)
#: One that is done is looked up once more after this; see ``services.refund_returns``.
LOOK_AGAIN_AFTER = timedelta(days=7)
_STATES = {
    AnswerStatus.SUCCEEDED: AttemptState.SUCCEEDED,
    AnswerStatus.DECLINED: AttemptState.DECLINED,
    AnswerStatus.PENDING: AttemptState.PENDING,
    AnswerStatus.ACTION_REQUIRED: AttemptState.PENDING,
    AnswerStatus.UNKNOWN: AttemptState.UNKNOWN,
}
_REFUSED = "The gateway refused to give the money back; decide by hand."
_RETURNED = "The bank sent the money back after it had been paid out; decide by hand."


def find_refund(
    session: AnySession, reference: str, at_gateway: str, gateway: str
) -> AnyRow | None:
    """Return a refund by our reference, or by the gateway's own name of it."""
    refund, attempt, invoice = table_of(Refund), table_of(ChargeAttempt), table_of(Invoice)
    ours = refund.c.public_id == reference
    # To the letter as in the index of refunds by their gateways' names.
    named = sa.text("refund.gateway_reference <> ''")
    theirs = sa.and_(refund.c.gateway_reference == at_gateway, named)
    return session.execute(
        sa.select(
            refund.c.id,
            refund.c.public_id,
            refund.c.state,
            refund.c.amount_minor,
            refund.c.currency,
            refund.c.gateway_reference,
            attempt.c.public_id.label("charge_ref"),
            attempt.c.gateway_reference.label("charge_at_gateway"),
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.invoice_id,
            invoice.c.payer_id,
        )
        .join(attempt, attempt.c.id == refund.c.attempt_id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(attempt.c.gateway == gateway, ours if reference else theirs)
        .order_by(refund.c.id)
        .limit(1)
    ).one_or_none()


def record_refund(session: AnySession, row: AnyRow, answer: RefundAnswer, moment: Moment) -> bool:
    """Write the answer to the refund ``row`` once; one that is final stays as it is."""
    now = moment.now
    again = {AnswerStatus.SUCCEEDED: now + LOOK_AGAIN_AFTER, AnswerStatus.DECLINED: None}
    table = table_of(Refund)
    values = {
        "state": _STATES[answer.status],
        "gateway_reference": answer.gateway_reference or table.c.gateway_reference,
        "answered_at": now,
        "check_at": again.get(answer.status, now + CHECK_AFTER),
    }
    open_still = table.c.state.not_in(
        [AttemptState.SUCCEEDED, AttemptState.DECLINED, AttemptState.ABANDONED]
    )
    if not _move(session, row, open_still, values):
        return False
    if answer.status is AnswerStatus.SUCCEEDED:
        owner = (row.currency, row.payer_id, row.invoice_id)
        done = Transfer(REFUNDS_DUE, clearing(row.gateway), row.amount_minor, *owner)
        book(session, [Journal(JournalKind.REFUND_DONE, row.public_id, (done,))], now)
    elif answer.status is AnswerStatus.DECLINED:
        park_refund(
            session, row.public_id, "refund", answer.reason[:80] or "refused", _REFUSED, moment
        )
    return True


def record_return(session: AnySession, row: AnyRow, answer: RefundAnswer, moment: Moment) -> bool:
    """Book, once, that money which had been paid out is with the gateway and owed again."""
    values: dict[str, object] = {
        "state": AttemptState.DECLINED,
        "check_at": None,
        "answered_at": moment.now,
    }
    if not _move(session, row, table_of(Refund).c.state == AttemptState.SUCCEEDED, values):
        return False
    owner = (row.currency, row.payer_id, row.invoice_id)
    owed = Transfer(clearing(row.gateway), REFUNDS_DUE, row.amount_minor, *owner)
    book(session, [Journal(JournalKind.REFUND_FAILED, row.public_id, (owed,))], moment.now)
    park_refund(
        session, row.public_id, "refund", answer.reason[:80] or "returned", _RETURNED, moment
    )
    return True


def park_refund(
    session: AnySession, refund: str, kind: str, reason: str, detail: str, moment: Moment
) -> None:
    """Put a refund before a person."""
    session.execute(
        sa.insert(table_of(ParkedWork)).values(
            kind=kind, subject=refund, reason=reason, detail=detail, parked_at=moment.now
        )
    )


def _move(
    session: AnySession, row: AnyRow, when: sa.ColumnElement[bool], values: Mapping[str, object]
) -> bool:
    table = table_of(Refund)
    found = session.execute(
        sa.update(table).where(table.c.id == row.id, when).values(values).returning(table.c.id)
    ).all()
    return bool(found)
