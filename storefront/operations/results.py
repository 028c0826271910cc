"""Write down what a gateway said, many answers at once, the same answer twice being one.

Shared by renewals, checkout, dunning, webhooks and reconciliation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa

from storefront.domain.charging import ANSWERABLE, AnswerStatus, AttemptState, DeclineKind
from storefront.domain.gateways import ChargeAnswer, VaultedMethod
from storefront.domain.invoices import InvoiceState
from storefront.domain.mismatches import AMOUNT_MISMATCH, taken_text
from storefront.models import ChargeAttempt, Checkout, Invoice, ParkedWork, PaymentMethod
from storefront.models.base import table_of
from storefront.operations.added import withdraw_additions, withdraw_late_additions
from storefront.operations.bulk import update_many
from storefront.operations.card_tries import note_declined
from storefront.operations.carrying import Minimums, plan_or_carry, settle_carried
from storefront.operations.changes import withdraw_overtaken, withdraw_unpaid
from storefront.operations.charging import (
    ACTION_CHECK_AFTER,
    AttemptDraft,
    next_check,
    plan_attempts,
)
from storefront.operations.dunning import chase_authentication, chase_declined
from storefront.operations.kept_methods import renew_methods
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, named
from storefront.operations.moment import Moment
from storefront.operations.overtaken import Overtaken, overtaken, try_at_once
from storefront.operations.replanning import replan
from storefront.operations.settling import Settlement, settle_invoices
from storefront.operations.surplus import Surplus, plan_surplus_refunds
from storefront.operations.undone import is_undone, take_back
from storefront.operations.unpaid_boxes import make_unpaid_boxes

#: Reason of an attempt that the gateway, asked after its settle time, knows nothing of.
NEVER_ARRIVED = "never_arrived"
#: A pending bank debit is asked about this often.
PENDING_CHECK_AFTER = timedelta(hours=1)


class Result(NamedTuple):
    """An answer to the attempt whose public id is ``reference``."""

    reference: str
    answer: ChargeAnswer
    #: True if nobody had asked for it before: then "not done" means never done.
    is_first: bool = False


@dataclass(slots=True)
class Recorded:
    """How many answers ended how; what changed nothing is counted as ``repeated``."""

    settled: int = 0
    surplus: int = 0
    declined: int = 0
    action_required: int = 0
    pending: int = 0
    unknown: int = 0
    repeated: int = 0
    parked: int = 0
    #: Surely not done: sent again later, or given up where the customer was waiting.
    not_sent: int = 0


@dataclass(slots=True)
class _Sorted:
    settles: list[AnyRow] = field(default_factory=list)
    surplus: list[tuple[AnyRow, int]] = field(default_factory=list)
    declined: list[AnyRow] = field(default_factory=list)
    #: Never reached the gateway, as its own books show: no decline, asked anew.
    lost: list[AnyRow] = field(default_factory=list)
    action: list[AnyRow] = field(default_factory=list)
    waiting: list[AnyRow] = field(default_factory=list)
    odd: list[AnyRow] = field(default_factory=list)


def record_results(
    session: AnySession,
    results: Sequence[Result],
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
) -> Recorded:
    """Apply gateway answers to attempts, invoices, subscriptions, boxes, books and mails.

    A success is final and nothing overwrites it. One that finds its invoice settled, void or
    discarded is recorded as it is, booked as surplus, and its refund planned here. A success
    over another amount than was asked is not recorded as paid but parked for a person.
    What never arrived is asked for again, or carried when it is under the ``minimums``. What a
    gateway says it surely did not do is taken back, and nobody is chased for it.
    """
    answers = {result.reference: result.answer for result in results}
    recorded = Recorded()
    rows = answerable(session, list(answers))
    if _unpaid_offers(rows):
        withdraw_overtaken(session, _unpaid_offers(rows), moment)
        withdraw_late_additions(session, _unpaid_offers(rows), moment)
        rows = answerable(session, list(answers))
    known = [row for row in rows if AttemptState(row.state) in ANSWERABLE]
    recorded.repeated = len(results) - len(known)
    if not known:
        return recorded
    first = {result.reference for result in results if result.is_first}
    undone = [row for row in known if row.public_id in first and is_undone(row, answers)]
    asked = [row for row in known if row not in undone] if undone else known
    found = _sort(asked, answers)
    _write_attempts(session, asked, answers, found, moment)
    take_back(session, undone, answers, moment)
    settle_invoices(
        session,
        [
            Settlement(r.invoice_id, r.due_minor, r.gateway, r.public_id, r.carried_minor)
            for r in found.settles
        ],
        moment,
    )
    settle_carried(session, [row.id for row in found.settles if row.carried_minor], moment)
    plan_surplus_refunds(session, [_surplus(row, minor) for row, minor in found.surplus], moment)
    _refuse_methods(session, found.declined, answers, moment)
    renew_methods(session, _renewed(asked, answers))
    late = overtaken(session, _owing(found.declined + found.action + found.lost + undone))
    unpaid = found.declined + found.lost + [row for row in undone if row.on_session]
    _reopen_checkouts(session, unpaid)
    _drop_offers(session, unpaid, moment)
    _plan_again(session, _owing(found.lost), moment, minimums)
    _ask_chosen(session, late, moment, minimums)
    # A customer's own try that never went out is no answer to wait for: theirs is next.
    try_at_once(
        session, [r.invoice_id for r in undone if r.on_session and r.invoice_id in late], moment
    )
    chase_declined(session, _owing(found.declined), answers, moment, late)
    chase_authentication(session, _owing(found.action), moment, late)
    pending = [row for row in found.waiting if _is_pending(answers[row.public_id])]
    unpaid_now = [row.invoice_id for row in _owing(found.declined + found.action + pending)]
    make_unpaid_boxes(session, unpaid_now, moment)
    tried = [row.id for row in found.declined if row.on_session]
    if tried:
        note_declined(session, tried, moment.now)
    _park(session, found.odd, answers, moment)
    recorded.settled, recorded.surplus = len(found.settles), len(found.surplus)
    recorded.declined, recorded.action_required = len(found.declined), len(found.action)
    recorded.parked, recorded.not_sent = len(found.odd), len(undone)
    recorded.pending, recorded.unknown = len(pending), len(found.waiting) - len(pending)
    return recorded


def _is_pending(answer: ChargeAnswer) -> bool:
    return answer.status is AnswerStatus.PENDING


def answerable(session: AnySession, references: Sequence[str]) -> list[AnyRow]:
    """Return attempts by public id with what their invoices owe, locked for us."""
    statement = _attempts_statement(session.get_bind().dialect.name == "postgresql")
    return named(session.execute(statement, {"ids": references}))


@cache
def _attempts_statement(locks: bool) -> AnySelect:
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    statement = (
        sa.select(
            attempt.c.id,
            attempt.c.public_id,
            attempt.c.invoice_id,
            attempt.c.number,
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.fingerprint,
            attempt.c.payment_method_id,
            attempt.c.amount_minor,
            attempt.c.carried_minor,
            attempt.c.currency,
            attempt.c.on_session,
            attempt.c.state,
            attempt.c.reason,
            attempt.c.gateway_reference,
            attempt.c.checks,
            attempt.c.sent_at,
            invoice.c.public_id.label("invoice_ref"),
            invoice.c.state.label("invoice_state"),
            invoice.c.due_minor,
            invoice.c.payer_id,
            invoice.c.checkout_id,
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(any_of(attempt.c.public_id))
        .order_by(attempt.c.id)
    )
    return statement.with_for_update() if locks else statement


def _sort(rows: Sequence[AnyRow], answers: dict[str, ChargeAnswer]) -> _Sorted:
    found = _Sorted()
    settled: set[int] = set()
    for row in rows:
        answer = answers[row.public_id]
        if answer.status is AnswerStatus.SUCCEEDED:
            if answer.amount is not None and (
                answer.amount.minor != row.amount_minor or answer.amount.currency != row.currency
            ):
                found.odd.append(row)
                continue
            owed = InvoiceState(row.invoice_state) in (InvoiceState.OPEN, InvoiceState.OFFERED)
            due = row.due_minor if owed and row.invoice_id not in settled else 0
            carried = 0
            if 0 < due <= row.amount_minor - row.carried_minor:
                found.settles.append(row)
                settled.add(row.invoice_id)
                carried = row.carried_minor
            if row.amount_minor > due + carried:
                found.surplus.append((row, row.amount_minor - due - carried))
        elif answer.status is AnswerStatus.DECLINED:
            lost = answer.reason == NEVER_ARRIVED
            (found.lost if lost else found.declined).append(row)
        elif answer.status is AnswerStatus.ACTION_REQUIRED:
            found.action.append(row)
        else:
            found.waiting.append(row)
    return found


_STATES = {
    AnswerStatus.SUCCEEDED: AttemptState.SUCCEEDED,
    AnswerStatus.DECLINED: AttemptState.DECLINED,
    AnswerStatus.ACTION_REQUIRED: AttemptState.ACTION_REQUIRED,
    AnswerStatus.PENDING: AttemptState.PENDING,
    AnswerStatus.UNKNOWN: AttemptState.UNKNOWN,
}


def _write_attempts(
    session: AnySession,
    rows: Sequence[AnyRow],
    answers: dict[str, ChargeAnswer],
    found: _Sorted,
    moment: Moment,
) -> None:
    settles = {row.id for row in found.settles}
    surplus = {row.id: minor for row, minor in found.surplus}
    odd = {row.id for row in found.odd}
    values = []
    for row in rows:
        answer = answers[row.public_id]
        status = AnswerStatus.UNKNOWN if row.id in odd else answer.status
        values.append(
            {
                "id": row.id,
                "state": _STATES[status],
                "decline_kind": answer.decline if status is AnswerStatus.DECLINED else None,
                "reason": AMOUNT_MISMATCH if row.id in odd else answer.reason[:80],
                "gateway_reference": answer.gateway_reference or row.gateway_reference,
                "network": answer.network[:24],
                "code": answer.code[:40],
                "action_url": answer.action_url or "",
                "settles": row.id in settles,
                "refunded_minor": surplus.get(row.id, 0),
                "check_at": None if row.id in odd else _check_at(row, status, moment),
                "answered_at": moment.now,
            }
        )
    # The rows were read as answerable, under the lock of this transaction.
    found_now = update_many(session, ChargeAttempt, values, where=("id",))
    if found_now != len(values):
        raise RuntimeError("an attempt changed while its answer was written")


def _check_at(row: AnyRow, status: AnswerStatus, moment: Moment) -> Any:
    if status is AnswerStatus.UNKNOWN:
        return next_check(moment.now, row.checks, row.on_session)
    if status is AnswerStatus.PENDING:
        return moment.now + PENDING_CHECK_AFTER
    if status is AnswerStatus.ACTION_REQUIRED:
        return moment.now + ACTION_CHECK_AFTER
    return None


def _refuse_methods(
    session: AnySession,
    declined: Sequence[AnyRow],
    answers: dict[str, ChargeAnswer],
    moment: Moment,
) -> None:
    hard = [
        row.payment_method_id
        for row in declined
        if answers[row.public_id].decline is DeclineKind.HARD and row.payment_method_id
    ]
    if hard:
        table = table_of(PaymentMethod)
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(hard), table.c.refused_at.is_(None))
            .values(refused_at=moment.now)
        )


def _renewed(rows: Sequence[AnyRow], answers: dict[str, ChargeAnswer]) -> dict[int, VaultedMethod]:
    """Return what gateways say about methods after a charge, by key."""
    found = {}
    for row in rows:
        method = answers[row.public_id].method
        if method is not None and row.payment_method_id:
            found[row.payment_method_id] = method
    return found


def _reopen_checkouts(session: AnySession, declined: Sequence[AnyRow]) -> None:
    """Let the shopper try another card: the order is as it was."""
    ids = [row.checkout_id for row in declined if row.checkout_id]
    if ids:
        table = table_of(Checkout)
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids), table.c.state == "paying")
            .values(state="open", version=table.c.version + 1)
        )


def _unpaid_offers(rows: Sequence[AnyRow]) -> list[int]:
    """Return offered invoices that belong to no checkout: changes and additions not paid."""
    return [
        row.invoice_id
        for row in rows
        if row.invoice_state == InvoiceState.OFFERED and row.checkout_id is None
    ]


def _drop_offers(session: AnySession, rows: Sequence[AnyRow], moment: Moment) -> None:
    """Drop the changes of plan and the additions to boxes that were not paid."""
    unpaid = _unpaid_offers(rows)
    withdraw_unpaid(session, unpaid, moment)
    # Who waits for the first answer sees it; any other was promised by mail.
    unseen = {row.invoice_id for row in rows if row.state != AttemptState.SENT or row.checks}
    withdraw_additions(session, unpaid, moment, unseen)


def _plan_again(
    session: AnySession, lost: Sequence[AnyRow], moment: Moment, minimums: Minimums
) -> None:
    """Plan a new attempt for charges that never arrived; the guard asks again before sending.

    With what was carried, unless its customer was shown another sum on a page.
    """
    owing = [row for row in lost if row.due_minor]
    shown = [_again(row) for row in owing if row.on_session]
    plan_attempts(session, shown, moment)
    drafts = [(row.payer_id, _again(row)) for row in owing if not row.on_session]
    plan_or_carry(session, drafts, minimums, moment)


def _again(row: AnyRow) -> AttemptDraft:
    return AttemptDraft(
        invoice_id=row.invoice_id,
        number=row.number + 1,
        gateway=row.gateway,
        account=row.account,
        payment_method_id=row.payment_method_id,
        fingerprint=row.fingerprint,
        amount_minor=row.due_minor,
        currency=row.currency,
    )


def _owing(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Only what is really owed is chased; an offered invoice just waits or goes away."""
    return [row for row in rows if row.invoice_state == InvoiceState.OPEN]


def ask_anew(
    session: AnySession,
    rows: Sequence[AnyRow],
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
) -> None:
    """Free what the attempts ``rows`` of ``answerable`` were to pay for, whose money is gone.

    An order is open again, a change of plan is dropped, and what is owed is asked for again, of
    the method chosen meanwhile where there is one. Raises ``StaleSubscription`` as ``replan``.
    """
    _reopen_checkouts(session, rows)
    _drop_offers(session, rows, moment)
    _plan_again(session, _owing(rows), moment, minimums)
    _ask_chosen(session, overtaken(session, _owing(rows)), moment, minimums)


def _ask_chosen(session: AnySession, late: Overtaken, moment: Moment, minimums: Minimums) -> None:
    """Let what is planned for invoices ask the method that was chosen for them meanwhile."""
    replan(session, sorted({key for keys in late.values() for key in keys}), minimums, moment)


def _surplus(row: AnyRow, minor: int) -> Surplus:
    return Surplus(
        row.id, row.public_id, row.gateway, minor, row.currency, row.payer_id, row.invoice_id
    )


def _park(
    session: AnySession, odd: Sequence[AnyRow], answers: dict[str, ChargeAnswer], moment: Moment
) -> None:
    """Put each before a person once, with what the gateway took (``domain.mismatches``)."""
    if not odd:
        return
    table = table_of(ParkedWork)
    taken = {row.public_id: answers[row.public_id].amount for row in odd}
    details = {ref: taken_text(amount) for ref, amount in taken.items() if amount is not None}
    open_rows = sa.and_(table.c.reason == AMOUNT_MISMATCH, table.c.resolved_at.is_(None))
    there = session.execute(
        sa.select(table.c.id, table.c.subject).where(table.c.subject.in_(details), open_rows)
    ).all()
    for row in there:
        session.execute(
            sa.update(table).where(table.c.id == row.id).values(detail=details.pop(row.subject))
        )
    if details:
        session.execute(
            sa.insert(table),
            [
                {
                    "kind": "charge",
                    "subject": subject,
                    "reason": AMOUNT_MISMATCH,
                    "detail": detail,
                    "parked_at": moment.now,
                    "resolved_by": "",
                }
                for subject, detail in details.items()
            ],
        )
