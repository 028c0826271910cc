"""What staff decide about an open invoice: paid by transfer, void, or written off."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.charging import (
    OPEN_ATTEMPTS,
    AnswerStatus,
    AttemptState,
    Refusal,
)
from storefront.domain.errors import DomainError
from storefront.domain.gateways import ChargeAnswer
from storefront.domain.invoices import InvoiceState
from storefront.domain.ledger import BAD_DEBT, DEFERRED_REVENUE, RECEIVABLE, JournalKind
from storefront.domain.lifecycle import BILLABLE, PeriodState, SubscriptionState
from storefront.domain.money import Money
from storefront.models import (
    Box,
    ChargeAttempt,
    DunningCase,
    Invoice,
    InvoiceLine,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import public_id, table_of
from storefront.operations.earning import deferred_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import MANUAL, may_stop
from storefront.operations.results import Result, record_results
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.tiling import open_invoices


class NotOpen(DomainError):
    """The invoice is not open (any more), or there is none."""

    code = "not_open"


class ChargeOnItsWay(DomainError):
    """A charge for the invoice has no answer yet; that comes first."""

    code = "charge_on_its_way"


def read_open(session: AnySession, public: str) -> AnyRow:
    """Return the open invoice, locked for us, with no attempt that could be sent.

    What was only planned is abandoned. Raises ``NotOpen`` and ``ChargeOnItsWay``.
    """
    table, attempt = table_of(Invoice), table_of(ChargeAttempt)
    statement = sa.select(table).where(
        table.c.public_id == public, table.c.state == InvoiceState.OPEN
    )
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    row = session.execute(statement).one_or_none()
    if row is None:
        raise NotOpen(invoice=public)
    own = attempt.c.invoice_id == row.id
    session.execute(
        sa.update(attempt)
        .where(own, attempt.c.state == AttemptState.PLANNED)
        .values(
            state=AttemptState.ABANDONED,
            reason=Refusal.NOTHING_DUE.value,
            answered_at=sa.func.coalesce(attempt.c.answered_at, attempt.c.created_at),
            check_at=None,
        )
    )
    if session.scalar(sa.select(sa.exists().where(own, attempt.c.state.in_(OPEN_ATTEMPTS)))):
        raise ChargeOnItsWay(invoice=public)
    return row


def pay_by_hand(session: AnySession, invoice: AnyRow, moment: Moment) -> str:
    """Settle an invoice of ``read_open`` with money that came by bank; returns the payment.

    It is an attempt of the gateway ``manual`` and does all that any other success does.
    """
    attempt, public = table_of(ChargeAttempt), public_id("pay")
    last = sa.select(sa.func.coalesce(sa.func.max(attempt.c.number), 0)).where(
        attempt.c.invoice_id == invoice.id
    )
    session.execute(
        sa.insert(attempt).values(
            public_id=public,
            invoice_id=invoice.id,
            number=int(session.execute(last).scalar_one()) + 1,
            gateway=MANUAL,
            account="",
            amount_minor=invoice.due_minor,
            currency=invoice.currency,
            state=AttemptState.SENT,
            created_at=moment.now,
            sent_at=moment.now,
        )
    )
    answer = ChargeAnswer(AnswerStatus.SUCCEEDED, amount=Money(invoice.due_minor, invoice.currency))
    record_results(session, [Result(public, answer)], moment)
    return public


def write_off(session: AnySession, invoice: AnyRow, moment: Moment) -> None:
    """Give up an invoice of ``read_open``: uncollectible, what it owes is bad debt.

    What was deferred for boxes that never were made is taken off the bad debt again, so
    that only what was delivered is lost. Money that comes later goes back.
    """
    table = table_of(Invoice)
    session.execute(
        sa.update(table)
        .where(table.c.id == invoice.id, table.c.state == InvoiceState.OPEN)
        .values(state=InvoiceState.UNCOLLECTIBLE, written_off_at=moment.now)
    )
    case = table_of(DunningCase)
    session.execute(
        sa.update(case)
        .where(case.c.invoice_id == invoice.id, case.c.state == "open")
        .values(state="lost", closed_at=moment.now, next_at=None)
    )
    periods = periods_of(session, invoice.id)
    rests = deferred_of(session, periods) if periods else {}

    def transfer(debit: str, credit: str, minor: int, period: int | None = None) -> Transfer:
        return Transfer(
            debit, credit, minor, invoice.currency, invoice.payer_id, invoice.id, period
        )

    transfers = [transfer(BAD_DEBT, RECEIVABLE, invoice.due_minor)]
    transfers += [
        transfer(DEFERRED_REVENUE, BAD_DEBT, rests.get(period, 0), period) for period in periods
    ]
    journal = Journal(JournalKind.WRITTEN_OFF, invoice.public_id, tuple(transfers))
    book(session, [journal], moment.now)
    period = table_of(SubscriptionPeriod)
    session.execute(
        sa.update(period)
        .where(period.c.id.in_(periods), period.c.state == PeriodState.INVOICED)
        .values(state=PeriodState.VOID)
    )


def periods_of(session: AnySession, invoice_id: int) -> list[int]:
    """Return the periods an invoice pays for, without those of who left it."""
    return _named_on(session, invoice_id, table_of(InvoiceLine).c.period_id)


def waiting_for(session: AnySession, invoice_id: int) -> list[int]:
    """Return the subscriptions of an invoice, without those that left it.

    Ask before it is closed: that makes the lines void that say who is on it.
    """
    return _named_on(session, invoice_id, table_of(InvoiceLine).c.subscription_id)


def _named_on(
    session: AnySession, invoice_id: int, column: sa.ColumnElement[int | None]
) -> list[int]:
    """Return what ``column`` says on the lines of an invoice that are not void, each once."""
    line = table_of(InvoiceLine)
    return list(
        session.scalars(
            sa.select(column)
            .where(line.c.invoice_id == invoice_id, column.is_not(None), sa.not_(line.c.is_void))
            .distinct()
            .order_by(column)
        )
    )


def unsent_boxes(session: AnySession, periods: Sequence[int]) -> list[AnyRow]:
    """Return boxes of the periods that were made before they were paid and have not left."""
    box = table_of(Box)
    return list(
        session.execute(
            sa.select(box.c.id)
            .where(box.c.period_id.in_(periods), may_stop(box))
            .order_by(box.c.id)
        )
    )


def running_of(session: AnySession, ids: Sequence[int]) -> list[AnyRow]:
    """Return those of the subscriptions that run, with what is needed to move them on."""
    table = table_of(Subscription)
    running = [*BILLABLE, SubscriptionState.PAST_DUE, SubscriptionState.PAUSED]
    return list(
        session.execute(
            sa.select(
                table.c.id,
                table.c.public_id,
                table.c.version,
                table.c.state,
                table.c.next_on,
                table.c.cancel_on,
                table.c.renews_at,
            )
            .where(table.c.id.in_(ids), table.c.state.in_(running))
            .order_by(table.c.id)
        )
    )


def go_on(session: AnySession, rows: Sequence[AnyRow], moment: Moment) -> None:
    """Let subscriptions whose invoice is not waited for any more renew at their next boundary.

    One that owes another invoice for a period still waits for that.
    """
    changes = []
    for row in rows:
        if row.renews_at is not None or row.state == SubscriptionState.PAUSED:
            continue
        if open_invoices(session, row.id):
            continue
        stop = row.next_on if row.cancel_on is None else min(row.cancel_on, row.next_on)
        state = row.state
        if state == SubscriptionState.PAST_DUE:
            state = SubscriptionState.ACTIVE
        values = {"state": state, "renews_at": max(moment.start_of(stop), moment.now)}
        changes.append(SubscriptionChange(row.id, row.version, values))
    change_subscriptions(session, changes)
