"""What the outbox holds, and what the worker set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Customer, OutboxMessage, ParkedWork, Subscription
from storefront.models.base import table_of

PAGE = 50
STATES = ("waiting", "delivered", "dead", "stopped")
KINDS = ("mail", "event")


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; empty values narrow nothing."""

    kind: str = ""
    state: str = ""
    topic: str = ""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message."""

    id: int
    ref: str
    kind: str
    topic: str
    key: str
    payload: Mapping[str, Any]
    state: str
    due_at: datetime
    tries: int
    error: str
    created_at: datetime
    delivered_at: datetime | None
    customer_id: int | None
    #: Whom it goes to; empty for an event.
    customer: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One page, newest first."""

    rows: tuple[MessageRow, ...]
    count: int
    newer: str
    older: str


def messages(
    session: AnySession, filters: Filters, *, after: str = "", before: str = ""
) -> MessagePage:
    """Return one page of the outbox; keyset paging by the message's key."""
    table = table_of(OutboxMessage)
    which = _conditions(filters)
    cursor = None
    if before or after:
        named = sa.select(table.c.id).where(table.c.public_id == (before or after))
        cursor = session.execute(named).scalar_one_or_none()
    backwards = bool(before) and cursor is not None
    statement = _rows().where(*which)
    if cursor is not None:
        statement = statement.where(table.c.id > cursor if backwards else table.c.id < cursor)
    order = table.c.id if backwards else table.c.id.desc()
    rows = [_row(row) for row in session.execute(statement.order_by(order).limit(PAGE + 1))]
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    count: int = session.execute(
        sa.select(sa.func.count()).select_from(table).where(*which)
    ).scalar_one()
    has_newer = more if backwards else cursor is not None
    has_older = backwards or more
    return MessagePage(
        tuple(rows),
        count,
        rows[0].ref if rows and has_newer else "",
        rows[-1].ref if rows and has_older else "",
    )


def message(session: AnySession, ref: str) -> MessageRow | None:
    """Return one message, or None."""
    table = table_of(OutboxMessage)
    row = session.execute(_rows().where(table.c.public_id == ref)).one_or_none()
    return _row(row) if row else None


def topics(session: AnySession) -> list[str]:
    """Return every topic the outbox has held, in order."""
    topic = table_of(OutboxMessage).c.topic
    return list(session.scalars(sa.select(topic).distinct().order_by(topic)))


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    table = table_of(OutboxMessage)
    pairs = (
        (table.c.kind, filters.kind),
        (table.c.state, filters.state),
        (table.c.topic, filters.topic),
    )
    return [column == value for column, value in pairs if value]


def _rows() -> sa.Select[Any]:
    table, customer = table_of(OutboxMessage), table_of(Customer)
    return sa.select(
        table,
        customer.c.public_id.label("customer"),
        customer.c.name.label("customer_name"),
        customer.c.email,
    ).outerjoin(customer, customer.c.id == table.c.customer_id)


def _row(row: sa.Row[Any]) -> MessageRow:
    return MessageRow(
        row.id,
        row.public_id,
        row.kind,
        row.topic,
        row.key,
        row.payload,
        row.state,
        row.due_at,
        row.tries,
        row.error,
        row.created_at,
        row.delivered_at,
        row.customer_id,
        row.customer or "",
        row.customer_name or "",
        row.email or "",
    )


@dataclass(frozen=True, slots=True)
class Parked:
    """A row that failed and waits for a person."""

    id: int
    kind: str
    #: Public id of the row, and of the customer it belongs to where that is known.
    subject: str
    customer: str
    name: str
    reason: str
    detail: str
    parked_at: datetime


def parked(session: AnySession, limit: int = 100) -> list[Parked]:
    """Return what waits for a person, the oldest first."""
    work, table, customer = table_of(ParkedWork), table_of(Subscription), table_of(Customer)
    rows = session.execute(
        sa.select(work, customer.c.public_id.label("customer"), customer.c.name)
        .outerjoin(table, table.c.public_id == work.c.subject)
        .outerjoin(customer, customer.c.id == table.c.customer_id)
        .where(work.c.resolved_at.is_(None))
        .order_by(work.c.parked_at, work.c.id)
        .limit(limit)
    )
    return [
        Parked(
            row.id,
            row.kind,
            row.subject,
            row.customer or "",
            row.name or "",
            row.reason,
            row.detail,
            row.parked_at,
        )
        for row in rows
    ]
