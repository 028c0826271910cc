"""Refunds that come back: a week after it was done each is looked up once more.

A bank can refuse money after its gateway reported success: an account was closed, a card
replaced. What came back is owed again and waits for staff, as one that was refused at once.
Source: docs/decisions/0106-refunds-that-come-back.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import Gateway, RefundAnswer
from storefront.domain.ledger import REFUNDS_DUE, JournalKind, clearing
from storefront.models import ChargeAttempt, Invoice, ParkedWork, Refund
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.ledger import Journal, Transfer, book
from storefront.runtime import Runtime

log = logging.getLogger(__name__)
#: Refunds looked up in one run.
AT_ONCE = 100


@dataclass(slots=True)
class ReturnReport:
    """Refunds looked up again, by what was found."""

    stayed: int = 0
    came_back: int = 0


def look_again(rt: Runtime) -> ReturnReport:
    """Look up refunds that were done a week ago; what came back is owed again, once."""
    report = ReturnReport()
    if not charges.may_charge(rt):
        return report
    for row in _due(rt):
        gateway = rt.gateways.get(row.gateway)
        if gateway is None or gateway.account != row.account:
            continue
        answer = _look_up(gateway, row)
        if answer is None or answer.status is AnswerStatus.UNKNOWN:
            # Asked again with the next run.
            continue
        if answer.status is AnswerStatus.DECLINED:
            report.came_back += retrying(rt.session, partial(_note_return, rt, row, answer))
        else:
            retrying(rt.session, partial(_note_stay, rt, row))
            report.stayed += 1
    return report


def _due(rt: Runtime) -> list[AnyRow]:
    refund, attempt, invoice = table_of(Refund), table_of(ChargeAttempt), table_of(Invoice)
    with reading():
        rows = rt.session.execute(
            sa.select(
                refund.c.id,
                refund.c.public_id,
                refund.c.amount_minor,
                refund.c.currency,
                attempt.c.gateway,
                attempt.c.account,
                attempt.c.invoice_id,
                invoice.c.payer_id,
            )
            .join(attempt, attempt.c.id == refund.c.attempt_id)
            .join(invoice, invoice.c.id == attempt.c.invoice_id)
            .where(
                # To the letter as in the index of refunds to look up again.
                sa.text("refund.state = 'succeeded' AND refund.check_at IS NOT NULL"),
                refund.c.check_at <= rt.now(),
            )
            .order_by(refund.c.check_at, refund.c.id)
            .limit(AT_ONCE)
        ).all()
        rt.session.rollback()
    return list(rows)


def _look_up(gateway: Gateway, row: AnyRow) -> RefundAnswer | None:
    try:
        return gateway.lookup_refund(row.public_id)
    except Exception:
        log.exception("gateway %s did not answer for refund %s", row.gateway, row.public_id)
        return None


def _note_stay(rt: Runtime, row: AnyRow) -> None:
    _move(rt, row, {"check_at": None})
    rt.session.commit()


def _note_return(rt: Runtime, row: AnyRow, answer: RefundAnswer) -> bool:
    """Book that the money is with the gateway and owed again; staff decide what becomes of it."""
    now = rt.now()
    values: dict[str, object] = {
        "state": AttemptState.DECLINED,
        "check_at": None,
        "answered_at": now,
    }
    moved = _move(rt, row, values)
    if moved:
        owner = (row.currency, row.payer_id, row.invoice_id)
        owed = Transfer(clearing(row.gateway), REFUNDS_DUE, row.amount_minor, *owner)
        book(rt.session, [Journal(JournalKind.REFUND_FAILED, row.public_id, (owed,))], now)
        rt.session.execute(
            sa.insert(table_of(ParkedWork)).values(
                kind="refund",
                subject=row.public_id,
                reason=answer.reason[:80] or "returned",
                detail="The bank sent the money back after it had been paid out; decide by hand.",
                parked_at=now,
            )
        )
    rt.session.commit()
    return moved


def _move(rt: Runtime, row: AnyRow, values: dict[str, object]) -> bool:
    table = table_of(Refund)
    found = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state == AttemptState.SUCCEEDED)
        .values(values)
        .returning(table.c.id)
    ).all()
    return bool(found)
