"""Send planned refunds and record what became of them, each exactly once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial

import sqlalchemy as sa

from storefront import charges
from storefront.adapters.failpoints import failpoint
from storefront.database import retrying
from storefront.domain.charging import AnswerStatus, AttemptState
from storefront.domain.errors import DomainError
from storefront.domain.gateways import (
    NOT_DONE,
    Capabilities,
    Gateway,
    RefundAnswer,
    RefundOrder,
)
from storefront.domain.ledger import REFUNDS_DUE
from storefront.domain.money import Money
from storefront.domain.refunds import NO_ANSWER
from storefront.models import ChargeAttempt, Invoice, ParkedWork, Refund
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.customer_credit import grant_credit
from storefront.operations.disputes import money_is_disputed
from storefront.operations.gateway_states import is_closed
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, at_now
from storefront.operations.references import new_references
from storefront.operations.refund_results import CHECK_AFTER, park_refund, record_refund
from storefront.runtime import Runtime

log = logging.getLogger(__name__)
#: How often a refund is looked up that its gateway can no longer find by our reference.
OUT_OF_REACH_AGAIN = timedelta(days=1)
#: Reasons of *unknown* where nothing was asked again: "nothing" proves nothing yet, or any more.
TOO_EARLY, OUT_OF_REACH = "not_settled_yet", "out_of_reach"
_OPEN = (AttemptState.SENT, AttemptState.PENDING, AttemptState.UNKNOWN)


@dataclass(slots=True)
class RefundReport:
    """Refunds by how they ended."""

    done: int = 0
    refused: int = 0
    waiting: int = 0


def send_refunds(rt: Runtime, limit: int = 200) -> RefundReport:
    """Send what is planned and look up what has no answer yet.

    Marked sent and committed before the gateway is asked; refunded at most once per key.
    """
    report = RefundReport()
    if not charges.may_charge(rt):
        return report
    closed: set[str] = set()
    for row in retrying(rt.session, lambda: _take(rt, limit)):
        gateway = rt.gateways.get(row.gateway)
        if gateway is None or gateway.account != row.account or row.gateway in closed:
            retrying(rt.session, partial(_note_unasked, rt, row))
            report.waiting += 1
            continue
        answer = _ask(rt, gateway, row)
        if answer.status is AnswerStatus.UNKNOWN and answer.reason in NOT_DONE:
            closed.add(row.gateway)
            retrying(rt.session, partial(charges.halt, rt, row, answer.reason))
        failpoint("refund.after_answer")
        retrying(rt.session, partial(_record, rt, row, answer))
        if answer.status is AnswerStatus.SUCCEEDED:
            report.done += 1
        elif answer.status is AnswerStatus.DECLINED:
            report.refused += 1
        else:
            report.waiting += 1
    return report


class RefundSettled(DomainError):
    """The refund is not a refused one (any more), or there is none."""

    code = "refund_settled"


def send_again(rt: Runtime, who: Who, refund: str) -> str:
    """Plan a refused refund anew under a new key, once; returns that key.

    Only the gateway's own refusal is final, so nothing was paid under the old key. Raises
    ``RefundSettled``.
    """
    values: dict[str, object] = {
        "state": AttemptState.PLANNED,
        "answered_at": None,
        "check_at": None,
        "gateway_reference": "",
    }

    def work() -> str:
        [new] = new_references(rt.session, "ref", 1, rt.now())
        _decide(rt, who, refund, "refund.sent_again", {**values, "public_id": new})
        return new

    return retrying(rt.session, work)


def to_credit(rt: Runtime, who: Who, refund: str) -> None:
    """Give the customer a refused refund as credit instead, once. Raises ``RefundSettled``."""
    values: dict[str, object] = {"state": AttemptState.ABANDONED, "check_at": None}
    retrying(rt.session, partial(_decide, rt, who, refund, "refund.to_credit", values))


def _decide(rt: Runtime, who: Who, refund: str, action: str, values: dict[str, object]) -> None:
    """Move a refused refund on and take it off the list of what waits for a person."""
    table, moment = table_of(Refund), rt.moment()
    row = rt.session.execute(
        sa.update(table)
        .where(table.c.public_id == refund, table.c.state == AttemptState.DECLINED)
        .values(values)
        .returning(table.c.attempt_id, table.c.amount_minor, table.c.currency)
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        raise RefundSettled(refund=refund)
    if values["state"] is AttemptState.ABANDONED:
        _as_credit(rt, row, moment)
    work = table_of(ParkedWork)
    rt.session.execute(
        sa.update(work)
        .where(work.c.kind == "refund", work.c.subject == refund, work.c.resolved_at.is_(None))
        .values(resolved_at=moment.now, resolved_by=who.public_id)
    )
    after = {"amount_minor": row.amount_minor, "key": values.get("public_id", refund)}
    audit.write(rt.session, who.id, action, refund, {}, after, moment, who.ip)
    rt.session.commit()


def _as_credit(rt: Runtime, row: AnyRow, moment: Moment) -> None:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    payer = rt.session.execute(
        sa.select(invoice.c.payer_id)
        .join(attempt, attempt.c.invoice_id == invoice.c.id)
        .where(attempt.c.id == row.attempt_id)
        # A merge moves it to who is kept: nothing is given to an account that is closed.
        .with_for_update(of=invoice)
    ).scalar_one()
    amount = Money(row.amount_minor, row.currency)
    grant_credit(rt.session, payer, amount, "refund", "", moment, account=REFUNDS_DUE)


def _take(rt: Runtime, limit: int) -> list[AnyRow]:
    statement, now = _due_refunds(), rt.now()
    if rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table_of(Refund), skip_locked=True)
    rows = list(rt.session.execute(statement, {"now": now, "size": limit}))
    _mark_sent(rt, [row.id for row in rows], now)
    rt.session.commit()
    if rows:
        failpoint("refund.after_sent")
    return rows


@cache
def _due_refunds() -> AnySelect:
    refund, attempt, invoice = table_of(Refund), table_of(ChargeAttempt), table_of(Invoice)
    asked_by = sa.bindparam("now", type_=refund.c.check_at.type)
    due = sa.and_(
        # What waits for a gateway that is stopped goes out as soon as it is let go on.
        sa.not_(is_closed(attempt)),
        # To the letter as in the index of open refunds, or SQLite would not use it.
        sa.text("refund.state IN ('planned','sent','pending','unknown')"),
        sa.or_(refund.c.state == AttemptState.PLANNED, refund.c.check_at <= asked_by),
        # While the customer's bank has the money, none of it is sent beside that.
        sa.or_(refund.c.state != AttemptState.PLANNED, sa.not_(money_is_disputed(attempt.c.id))),
    )
    return (
        sa.select(
            refund.c.id,
            refund.c.public_id,
            refund.c.state,
            refund.c.amount_minor,
            refund.c.currency,
            refund.c.reason,
            refund.c.gateway_reference,
            refund.c.created_at,
            refund.c.sent_at,
            attempt.c.public_id.label("charge_ref"),
            attempt.c.gateway_reference.label("charge_at_gateway"),
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.invoice_id,
            invoice.c.payer_id,
        )
        .join(attempt, attempt.c.id == refund.c.attempt_id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(due)
        .order_by(refund.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether refunds are to be sent or looked up.
REFUNDS_TO_SEND = Question(lambda: [_due_refunds()], at_now)


def _mark_sent(rt: Runtime, ids: list[int], now: datetime) -> None:
    if ids:
        table = table_of(Refund)
        is_first = table.c.state == AttemptState.PLANNED
        rt.session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids))
            .values(
                state=AttemptState.SENT,
                sent_at=sa.case(
                    (is_first, sa.literal(now, table.c.sent_at.type)), else_=table.c.sent_at
                ),
                check_at=now + CHECK_AFTER,
            )
        )


def _note_unasked(rt: Runtime, row: AnyRow) -> None:
    """Write down that a refund which was marked sent never went out, so nothing waits for it."""
    if row.state == AttemptState.PLANNED:
        _set_sent(rt, row.id, None)
    rt.session.commit()


def _ask(rt: Runtime, gateway: Gateway, row: AnyRow) -> RefundAnswer:
    """Look an open refund up, and send it only where the gateway surely does not have it."""
    if row.state != AttemptState.PLANNED:
        known = _look_up(gateway, row)
        if known is not None:
            return known
        why_not = _why_not_again(gateway.capabilities, row, rt.now())
        if why_not:
            return RefundAnswer(AnswerStatus.UNKNOWN, reason=why_not)
        retrying(rt.session, partial(_mark_sent_again, rt, row))
    return _send(gateway, row)


def _why_not_again(can: Capabilities, row: AnyRow, now: datetime) -> str:
    """Return why "nothing" of a look-up is no leave to send once more; empty if it is.

    Inside the key window the same key is safe. After it, "nothing" is evidence from the settle
    time on, and as far back as a look-up reaches.
    """
    in_window = now - row.created_at < timedelta(seconds=can.key_window_seconds)
    if row.sent_at is None or in_window:
        return ""
    age = now - row.sent_at
    if age < timedelta(seconds=can.lookup_settle_seconds):
        return TOO_EARLY
    reach = timedelta(seconds=can.lookup_reach_seconds)
    return OUT_OF_REACH if reach and age > reach else ""


def _mark_sent_again(rt: Runtime, row: AnyRow) -> None:
    _set_sent(rt, row.id, rt.now())
    rt.session.commit()


def _set_sent(rt: Runtime, key: int, at: datetime | None) -> None:
    table = table_of(Refund)
    rt.session.execute(
        sa.update(table).where(table.c.id == key, table.c.state.in_(_OPEN)).values(sent_at=at)
    )


def _look_up(gateway: Gateway, row: AnyRow) -> RefundAnswer | None:
    try:
        return gateway.lookup_refund(row.public_id, row.gateway_reference, row.charge_at_gateway)
    except Exception as error:
        log.exception("gateway %s did not answer for refund %s", row.gateway, row.public_id)
        return RefundAnswer(AnswerStatus.UNKNOWN, reason=type(error).__name__)


def _send(gateway: Gateway, row: AnyRow) -> RefundAnswer:
    order = RefundOrder(
        reference=row.public_id,
        charge_reference=row.charge_ref,
        gateway_reference=row.charge_at_gateway,
        amount=Money(row.amount_minor, row.currency),
        reason=row.reason,
    )
    try:
        return gateway.refund(order)
    except Exception as error:
        log.exception("gateway %s did not answer for refund %s", row.gateway, row.public_id)
        return RefundAnswer(AnswerStatus.UNKNOWN, reason=type(error).__name__)


def _record(rt: Runtime, row: AnyRow, answer: RefundAnswer) -> None:
    """Write the answer once; a refund that is final already stays as it is."""
    moment = rt.moment()
    is_open = answer.status is AnswerStatus.UNKNOWN
    if record_refund(rt.session, row, answer, moment) and is_open:
        if answer.reason == OUT_OF_REACH:
            _leave_to_person(rt, row, moment)
        elif answer.reason in NOT_DONE and row.state == AttemptState.PLANNED:
            _set_sent(rt, row.id, None)
    rt.session.commit()


def _leave_to_person(rt: Runtime, row: AnyRow, moment: Moment) -> None:
    """Put a refund that nobody can find any more before staff, once; it is looked up each day."""
    refund, work = table_of(Refund), table_of(ParkedWork)
    rt.session.execute(
        sa.update(refund)
        .where(refund.c.id == row.id)
        .values(check_at=moment.now + OUT_OF_REACH_AGAIN)
    )
    told = sa.select(work.c.id).where(work.c.kind == NO_ANSWER, work.c.subject == row.public_id)
    if rt.session.scalar(told.limit(1)) is None:
        said = f"{row.public_id}: too old for the gateway to find"
        where = "Nothing is sent again. Look for it on the gateway's own pages."
        park_refund(rt.session, row.public_id, NO_ANSWER, said, where, moment)
