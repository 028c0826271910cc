"""What a customer owes and has paid: open invoice, list, and what became of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.charging import AttemptState
from storefront.domain.gateways import proper_name
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    CreditNote,
    DunningCase,
    GatewaySetup,
    Invoice,
    InvoiceLine,
    NumberSeries,
    PaymentMethod,
    Refund,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.ceilings import PaidNow, tries_today
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.queries.document_groups import subjects_of
from storefront.queries.documents import ISSUED

_PAGE = 24
#: Open invoices shown at once; more are named when these are settled.
_MOST_OWED = 12


@dataclass(frozen=True, slots=True)
class Owed:
    """An open invoice and what became of the last question to the bank."""

    invoice: str
    subscription: str
    amount: Money
    due_on: date
    #: State of the last attempt, empty when none was made, and the bank's reason.
    attempt: str
    reason: str
    tried_at: datetime | None
    next_try_at: datetime | None
    action_url: str
    is_past_due: bool
    #: How often the customer tried to pay it today with the card that pays.
    paid_now: PaidNow
    #: True: a transfer is waited for until ``due_on``, no card is charged.
    by_bank: bool = False


def has_open_invoices(payer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether a customer may owe anything."""
    invoice = table_of(Invoice)
    return sa.exists().where(invoice.c.state == InvoiceState.OPEN, invoice.c.payer_id == payer)


def owed(session: AnySession, customer_id: int, moment: Moment) -> Owed | None:
    """Return the most urgent open invoice of the customer, or None; one statement."""
    return next(iter(all_owed(session, customer_id, moment, most=1)), None)


def owed_values(customer_id: int, moment: Moment, most: int = 1) -> dict[str, Any]:
    """Return the parameters of ``open_invoices``."""
    return {"payer": customer_id, "day_began": moment.start_of(moment.today), "most": most}


def owed_from(rows: Iterable[AnyRow]) -> Owed | None:
    """Return the first that ``open_invoices`` found, or None."""
    return next(map(_owed, rows), None)


def all_owed(
    session: AnySession, customer_id: int, moment: Moment, most: int = _MOST_OWED
) -> tuple[Owed, ...]:
    """Return the customer's open invoices, the most urgent first; one statement."""
    values = owed_values(customer_id, moment, most)
    return tuple(map(_owed, session.execute(open_invoices(), values)))


@cache
def open_invoices() -> AnySelect:
    """The open invoices of a ``payer``, the ``most`` urgent first; built once."""
    invoice, attempt, case = table_of(Invoice), table_of(ChargeAttempt), table_of(DunningCase)
    line, table = table_of(InvoiceLine), table_of(Subscription)
    tried = attempt.alias()
    newest = (
        sa.select(sa.func.max(tried.c.id))
        .where(tried.c.invoice_id == invoice.c.id)
        .scalar_subquery()
    )
    of = (
        sa.select(sa.func.min(line.c.subscription_id))
        .where(line.c.invoice_id == invoice.c.id, sa.not_(line.c.is_void))
        .scalar_subquery()
    )
    return (
        sa.select(
            invoice.c.public_id,
            table.c.public_id.label("subscription"),
            table.c.state,
            invoice.c.due_minor,
            invoice.c.currency,
            invoice.c.due_on,
            invoice.c.pay_by,
            attempt.c.state.label("attempt"),
            attempt.c.reason,
            attempt.c.answered_at,
            attempt.c.action_url,
            case.c.next_at,
            case.c.next_action,
            case.c.resume_at,
            *tries_today(invoice),
        )
        .select_from(invoice)
        .outerjoin(attempt, attempt.c.id == newest)
        .outerjoin(case, sa.and_(case.c.invoice_id == invoice.c.id, case.c.state == "open"))
        .join(table, table.c.id == of)
        .where(
            invoice.c.state == InvoiceState.OPEN,
            invoice.c.payer_id == sa.bindparam("payer", type_=invoice.c.payer_id.type),
        )
        .order_by(invoice.c.due_on, invoice.c.id)
        .limit(sa.bindparam("most", type_=sa.Integer()))
    )


def _owed(row: AnyRow) -> Owed:
    return Owed(
        row.public_id,
        row.subscription,
        Money(row.due_minor, row.currency),
        row.due_on,
        AttemptState(row.attempt).value if row.attempt else "",
        row.reason or "",
        row.answered_at,
        row.next_at if row.next_action == "retry" or row.resume_at else None,
        row.action_url or "",
        row.state == SubscriptionState.PAST_DUE,
        PaidNow(row.tries_with_card, row.tries_in_all),
        row.pay_by == "bank",
    )


def has_setup(session: AnySession, customer_id: int, public_id: str) -> bool:
    """Return whether this customer began to add a card under that id."""
    table = table_of(GatewaySetup)
    found = sa.select(table.c.id).where(
        table.c.public_id == public_id, table.c.customer_id == customer_id
    )
    return session.execute(found).one_or_none() is not None


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A credit note under its invoice in the list; ``total`` is below zero."""

    public_id: str
    number: str
    at: datetime
    total: Money


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One line of the list. ``state`` is a pill's: open, overdue, paid, void …"""

    public_id: str
    number: str
    #: When it was issued, as it says itself; what it is for may be of another day.
    on: datetime
    text: str
    total: Money
    state: str
    notes: tuple[NoteRow, ...]


@dataclass(frozen=True, slots=True)
class InvoiceList:
    """A page of invoices, newest first; ``older`` is the next page's key."""

    rows: tuple[InvoiceRow, ...]
    older: str | None


def invoices(
    session: AnySession, customer_id: int, today: date, before: str | None = None
) -> InvoiceList:
    """Return the customer's invoices, those older than ``before`` when given."""
    table, series = table_of(Invoice), table_of(NumberSeries)
    statement = (
        sa.select(
            table.c.id,
            table.c.public_id,
            series.c.prefix,
            table.c.number,
            table.c.finalised_at,
            table.c.due_on,
            table.c.total_minor,
            table.c.currency,
            table.c.state,
            subjects_of(table).label("text"),
        )
        .outerjoin(series, series.c.code == table.c.series)
        .where(table.c.payer_id == customer_id, table.c.state.in_(ISSUED))
        .order_by(table.c.id.desc())
        .limit(_PAGE + 1)
    )
    if before:
        edge = sa.select(table.c.id).where(
            table.c.public_id == before, table.c.payer_id == customer_id
        )
        statement = statement.where(table.c.id < edge.scalar_subquery())
    found = session.execute(statement).all()
    notes = notes_of(session, [row.id for row in found[:_PAGE]])
    rows = tuple(
        InvoiceRow(
            row.public_id,
            f"{row.prefix or ''}{row.number}",
            row.finalised_at,
            row.text or "",
            Money(row.total_minor, row.currency),
            pill_state(InvoiceState(row.state).value, row.due_on, today),
            tuple(notes.get(row.id, ())),
        )
        for row in found[:_PAGE]
    )
    return InvoiceList(rows, rows[-1].public_id if len(found) > _PAGE else None)


def notes_of(session: AnySession, invoice_ids: Sequence[int]) -> dict[int, list[NoteRow]]:
    """Return the credit notes of invoices; no statement for none."""
    if not invoice_ids:
        return {}
    note, series = table_of(CreditNote), table_of(NumberSeries)
    rows = session.execute(
        sa.select(note, series.c.prefix)
        .outerjoin(series, series.c.code == note.c.series)
        .where(note.c.invoice_id.in_(invoice_ids))
        .order_by(note.c.id)
    )
    found: dict[int, list[NoteRow]] = {}
    for row in rows:
        found.setdefault(row.invoice_id, []).append(
            NoteRow(
                row.public_id,
                f"{row.prefix or ''}{row.number}",
                row.created_at,
                Money(-row.total_minor, row.currency),
            )
        )
    return found


def pill_state(state: str, due_on: date, today: date) -> str:
    """Return an invoice's state as its pill says it: an open one may be overdue."""
    if state == InvoiceState.OPEN and due_on < today:
        return "overdue"
    return str(state)


@dataclass(frozen=True, slots=True)
class Event:
    """What became of an invoice. ``kind``: paid, refund, credit_note."""

    kind: str
    amount: Money
    at: datetime
    brand: str
    last4: str
    #: Of a credit note: its number and public id.
    number: str
    ref: str

    @property
    def way(self) -> str:
        """What paid, where it has no number, such as ``PayPal``; empty: by bank."""
        return proper_name(self.brand)


def history(session: AnySession, public_id: str) -> tuple[Event, ...]:
    """Return what was paid, given back and credited on an invoice, in the order it happened."""
    table, attempt, method = table_of(Invoice), table_of(ChargeAttempt), table_of(PaymentMethod)
    refund, note, series = table_of(Refund), table_of(CreditNote), table_of(NumberSeries)
    blank = sa.literal("")
    mine = sa.select(table.c.id).where(table.c.public_id == public_id).scalar_subquery()
    took = (
        sa.select(
            sa.literal("paid").label("kind"),
            attempt.c.amount_minor,
            attempt.c.currency,
            attempt.c.answered_at.label("at"),
            method.c.brand,
            method.c.last4,
            blank.label("number"),
            blank.label("ref"),
        )
        .outerjoin(method, method.c.id == attempt.c.payment_method_id)
        .where(attempt.c.invoice_id == mine, attempt.c.state == AttemptState.SUCCEEDED)
    )
    gave = (
        sa.select(
            sa.literal("refund"),
            refund.c.amount_minor,
            refund.c.currency,
            sa.func.coalesce(refund.c.answered_at, refund.c.created_at),
            method.c.brand,
            method.c.last4,
            blank,
            blank,
        )
        .join(attempt, attempt.c.id == refund.c.attempt_id)
        .outerjoin(method, method.c.id == attempt.c.payment_method_id)
        .where(attempt.c.invoice_id == mine, refund.c.state != AttemptState.DECLINED)
    )
    noted = (
        sa.select(
            sa.literal("credit_note"),
            note.c.total_minor,
            note.c.currency,
            note.c.created_at,
            blank,
            blank,
            sa.func.coalesce(series.c.prefix, "") + sa.cast(note.c.number, sa.String),
            note.c.public_id,
        )
        .outerjoin(series, series.c.code == note.c.series)
        .where(note.c.invoice_id == mine)
    )
    rows = session.execute(sa.union_all(took, gave, noted).order_by("at"))
    return tuple(
        Event(
            row.kind,
            Money(row.amount_minor, row.currency),
            row.at,
            row.brand or "",
            row.last4 or "",
            row.number,
            row.ref,
        )
        for row in rows
    )
