"""Conversations as who asked and as the staff see them; read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.inquiries import MOST_MESSAGES, Author, Standing, about_kind
from storefront.models import (
    Box,
    BoxCycle,
    Customer,
    Inquiry,
    InquiryMessage,
    Invoice,
    NumberSeries,
    Plan,
    Staff,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.queries.invoices import ISSUED

#: Rows of a page of a list, and of each kind that a question can be about.
PAGE, _CHOICES = 30, 12


@dataclass(frozen=True, slots=True)
class About:
    """What an inquiry can be about: a plan, the box of a day, an invoice."""

    kind: str
    ref: str
    #: Name of the plan, or number of the invoice.
    name: str
    #: When a box leaves.
    on: date | None = None


@dataclass(frozen=True, slots=True)
class InquiryRow:
    """One conversation in a list."""

    ref: str
    topic: str
    subject: str
    state: str
    opened_at: datetime
    last_at: datetime
    #: Whose it is.
    customer: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class InquiryList:
    """A page, the one written to last first; ``older`` is the next page's key."""

    rows: tuple[InquiryRow, ...]
    older: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """One message; ``by`` names the staff user who wrote it."""

    number: int
    author: str
    text: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with its messages, the first first."""

    row: InquiryRow
    about: About | None
    said: tuple[Said, ...]
    #: How many messages and notes there were when this was read.
    seen: int


def own(session: AnySession, customer_id: int, before: str = "") -> InquiryList:
    """Return the conversations of a customer."""
    table = table_of(Inquiry)
    return _page(session, [table.c.customer_id == customer_id], before)


def listed(session: AnySession, state: str = "", q: str = "", before: str = "") -> InquiryList:
    """Return conversations for the staff, of one state and of whom ``q`` names."""
    table = table_of(Inquiry)
    which: list[sa.ColumnElement[bool]] = [table.c.state == state] if state else []
    if q:
        which.append(_search(q))
    return _page(session, which, before)


def conversation(
    session: AnySession, ref: str, customer_id: int | None = None
) -> Conversation | None:
    """Return one; with ``customer_id`` only if it is theirs, and without the staff's notes."""
    table, message, staff = table_of(Inquiry), table_of(InquiryMessage), table_of(Staff)
    which = [table.c.public_id == ref]
    wanted = [message.c.inquiry_id == table.c.id]
    if customer_id is not None:
        which.append(table.c.customer_id == customer_id)
        wanted.append(message.c.author != Author.NOTE.value)
    rows = session.execute(
        _rows()
        .add_columns(
            table.c.about_ref,
            table.c.messages,
            message.c.number,
            message.c.author,
            message.c.text,
            message.c.at,
            staff.c.name.label("by"),
        )
        .join(message, sa.and_(*wanted))
        .outerjoin(staff, staff.c.id == message.c.staff_id)
        .where(*which)
        .order_by(message.c.number.desc())
        .limit(2 * MOST_MESSAGES)
    ).all()
    if not rows:
        return None
    said = tuple(Said(one.number, one.author, one.text, one.at, one.by or "") for one in rows[::-1])
    found = about(session, rows[0].about_ref)
    return Conversation(_row(rows[0]), found, said, rows[0].messages)


def about(session: AnySession, ref: str) -> About | None:
    """Return what a public id names; no statement for none."""
    kind = about_kind(ref)
    if not kind:
        return None
    table = {"subscription": Subscription, "box": Box, "invoice": Invoice}[kind]
    chosen = {"subscription": _plans, "box": _boxes, "invoice": _invoices}[kind]()
    row = session.execute(chosen.where(table_of(table).c.public_id == ref)).one_or_none()
    return None if row is None else _about(kind, row)


def choices(session: AnySession, customer_id: int) -> tuple[About, ...]:
    """Return what a customer can ask about: plans, last boxes, last invoices; three statements."""
    subscription, box, invoice = table_of(Subscription), table_of(Box), table_of(Invoice)
    mine = subscription.c.customer_id == customer_id
    # An order that was never paid for is no subscription to them.
    shown = subscription.c.state.not_in(["incomplete", "expired"])
    paid = sa.and_(invoice.c.payer_id == customer_id, invoice.c.state.in_(ISSUED))
    chosen = (
        ("subscription", _plans().where(mine, shown).order_by(subscription.c.id.desc())),
        ("box", _boxes().where(mine).order_by(box.c.id.desc())),
        ("invoice", _invoices().where(paid).order_by(invoice.c.id.desc())),
    )
    return tuple(
        _about(kind, row)
        for kind, statement in chosen
        for row in session.execute(statement.limit(_CHOICES))
    )


def waiting(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Return (id, minor, at) of the conversations in which it is the shop's turn."""
    table = table_of(Inquiry)
    return sa.select(
        table.c.id, sa.literal(None, sa.BigInteger).label("minor"), table.c.last_at.label("at")
    ).where(table.c.state == Standing.OPEN.value)


def _page(session: AnySession, which: list[sa.ColumnElement[bool]], before: str) -> InquiryList:
    table = table_of(Inquiry)
    chosen = _rows().where(*which).order_by(table.c.last_at.desc(), table.c.id.desc())
    if before:
        edge = session.execute(
            sa.select(table.c.last_at, table.c.id).where(table.c.public_id == before)
        ).one_or_none()
        if edge is None:
            return InquiryList((), None)
        later = sa.and_(table.c.last_at == edge.last_at, table.c.id < edge.id)
        chosen = chosen.where(sa.or_(table.c.last_at < edge.last_at, later))
    rows = [_row(one) for one in session.execute(chosen.limit(PAGE + 1))]
    return InquiryList(tuple(rows[:PAGE]), rows[PAGE - 1].ref if len(rows) > PAGE else None)


def _rows() -> sa.Select[Any]:
    table, customer = table_of(Inquiry), table_of(Customer)
    return sa.select(
        table.c.public_id,
        table.c.topic,
        table.c.subject,
        table.c.state,
        table.c.opened_at,
        table.c.last_at,
        customer.c.public_id.label("customer"),
        customer.c.name,
        customer.c.email,
    ).join(customer, customer.c.id == table.c.customer_id)


def _row(row: AnyRow) -> InquiryRow:
    return InquiryRow(
        row.public_id,
        row.topic,
        row.subject,
        row.state,
        row.opened_at,
        row.last_at,
        row.customer,
        row.name,
        row.email,
    )


def _search(typed: str) -> sa.ColumnElement[bool]:
    """Match the public id of a customer or conversation, an e-mail's beginning, or a name."""
    table, customer = table_of(Inquiry), table_of(Customer)
    low = typed.strip().lower()
    if low.startswith("inq_"):
        return table.c.public_id == low
    if low.startswith("cus_"):
        return customer.c.public_id == low
    people = [sa.and_(customer.c.email >= low, customer.c.email < f"{low}\uffff")]
    if "@" not in low:
        people.append(sa.func.lower(customer.c.name).contains(low, autoescape=True))
    return sa.or_(*people)


def _plans() -> sa.Select[Any]:
    table, plan = table_of(Subscription), table_of(Plan)
    return sa.select(table.c.public_id, plan.c.name, sa.null().label("on")).join(
        plan, plan.c.id == table.c.plan_id
    )


def _boxes() -> sa.Select[Any]:
    table, plan, cycle = table_of(Box), table_of(Plan), table_of(BoxCycle)
    subscription = table_of(Subscription)
    return (
        sa.select(table.c.public_id, plan.c.name, cycle.c.ship_from.label("on"))
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(cycle, cycle.c.id == table.c.cycle_id)
    )


def _invoices() -> sa.Select[Any]:
    table, series = table_of(Invoice), table_of(NumberSeries)
    number = sa.func.coalesce(series.c.prefix, "") + sa.cast(table.c.number, sa.String)
    return sa.select(table.c.public_id, number.label("name"), sa.null().label("on")).outerjoin(
        series, series.c.code == table.c.series
    )


def _about(kind: str, row: AnyRow) -> About:
    return About(kind, row.public_id, row.name or "", row.on)
