"""Refunds that come back: a week after it was done each is looked up once more.

A bank can refuse money after its gateway reported success: an account was closed, a card
replaced. What came back is owed again and waits for staff, as one that was refused at once.
While the gateway does not say, a refund is asked for again a day later, for two weeks, so that
none stands before the others; then staff are told.
Source: docs/decisions/0106-refunds-that-come-back.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.gateways import Gateway, RefundAnswer
from storefront.domain.refunds import NO_ANSWER
from storefront.models import ChargeAttempt, Invoice, Refund
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.refund_results import park_refund, record_return
from storefront.runtime import Runtime

log = logging.getLogger(__name__)
#: Refunds looked up in one run.
AT_ONCE = 100
#: Without an answer a refund is asked for again after the first, and no more after the second.
ASK_AGAIN_AFTER, ASK_UNTIL = timedelta(days=1), timedelta(days=21)


@dataclass(slots=True)
class ReturnReport:
    """Refunds looked up again, by what was found."""

    stayed: int = 0
    came_back: int = 0
    waiting: int = 0


def look_again(rt: Runtime) -> ReturnReport:
    """Look up refunds that were done a week ago; what came back is owed again, once."""
    report = ReturnReport()
    if not charges.may_charge(rt):
        return report
    for row in _due(rt):
        answer = _look_up(rt.gateways[row.gateway], row)
        status = AnswerStatus.UNKNOWN if answer is None else answer.status
        if status is AnswerStatus.SUCCEEDED:
            retrying(rt.session, partial(_note_stay, rt, row))
            report.stayed += 1
        elif status is AnswerStatus.DECLINED and answer is not None:
            report.came_back += retrying(rt.session, partial(_note_return, rt, row, answer))
        else:
            retrying(rt.session, partial(_note_silence, rt, row))
            report.waiting += 1
    return report


def _due(rt: Runtime) -> list[AnyRow]:
    """Return the next refunds to look up, of the gateways and accounts the shop has now.

    Others could not be asked for, and wait until their gateway is back.
    """
    refund, attempt, invoice = table_of(Refund), table_of(ChargeAttempt), table_of(Invoice)
    here = [
        sa.and_(attempt.c.gateway == name, attempt.c.account == gateway.account)
        for name, gateway in rt.gateways.items()
    ]
    with reading():
        rows = rt.session.execute(
            sa.select(
                refund.c.id,
                refund.c.public_id,
                refund.c.amount_minor,
                refund.c.currency,
                refund.c.gateway_reference,
                sa.func.coalesce(refund.c.answered_at, refund.c.created_at).label("done_at"),
                attempt.c.gateway,
                attempt.c.gateway_reference.label("charge_at_gateway"),
                attempt.c.invoice_id,
                invoice.c.payer_id,
            )
            .join(attempt, attempt.c.id == refund.c.attempt_id)
            .join(invoice, invoice.c.id == attempt.c.invoice_id)
            .where(
                # To the letter as in the index of refunds to look up again.
                sa.text("refund.state = 'succeeded' AND refund.check_at IS NOT NULL"),
                refund.c.check_at <= rt.now(),
                sa.or_(sa.false(), *here),
            )
            .order_by(refund.c.check_at, refund.c.id)
            .limit(AT_ONCE)
        ).all()
        rt.session.rollback()
    return list(rows)


def _look_up(gateway: Gateway, row: AnyRow) -> RefundAnswer | None:
    try:
        return gateway.lookup_refund(row.public_id, row.gateway_reference, row.charge_at_gateway)
    except Exception:
        log.exception("gateway %s did not answer for refund %s", row.gateway, row.public_id)
        return None


def _note_stay(rt: Runtime, row: AnyRow) -> None:
    _move(rt, row, {"check_at": None})
    rt.session.commit()


def _note_silence(rt: Runtime, row: AnyRow) -> None:
    """Ask again tomorrow, behind all others; after some weeks a person has to look."""
    now = rt.now()
    if now < row.done_at + ASK_UNTIL:
        _move(rt, row, {"check_at": now + ASK_AGAIN_AFTER})
    elif _move(rt, row, {"check_at": None}):
        said = f"{row.public_id}: the gateway never said whether it stayed"
        park_refund(rt.session, row.public_id, NO_ANSWER, said, "", rt.moment())
    rt.session.commit()


def _note_return(rt: Runtime, row: AnyRow, answer: RefundAnswer) -> bool:
    """Book that the money is with the gateway and owed again; staff decide what becomes of it."""
    moved = record_return(rt.session, row, answer, rt.moment())
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
