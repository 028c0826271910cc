"""Messages of shipping providers as rows: stored once, claimed by one worker, kept until done.

Like those of gateways, but what such a message says is taken as it is: it moves a box forward at
most, and nothing of it is money. Source: docs/decisions/0178-shipping-providers.md.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.parcels import ParcelMessage
from storefront.domain.tracking_rows import MOST_CARRIER, MOST_NUMBER
from storefront.models import ParcelEvent
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, at_now

#: After try n a message about a parcel nobody knows waits so long: its number may come with a file.
BACK_OFF = tuple(timedelta(minutes=each) for each in (1, 30, 240, 1440))
LEASE = timedelta(minutes=2)
KEPT_DAYS = 90


def store(session: AnySession, provider: str, message: ParcelMessage, moment: Moment) -> int | None:
    """Write a genuine message and claim it; None when it was there already."""
    table, news = table_of(ParcelEvent), message.news
    values = {
        "provider": provider,
        "event_id": _text(message.id, 120),
        "kind": _text(message.type, 80),
        "reference": _text(news.reference, 80),
        "provider_reference": _text(news.provider_reference, 80),
        # A number that is cut would be another parcel's.
        "number": _text(news.number, 80) if len(news.number) <= MOST_NUMBER else "",
        "carrier": _text(news.carrier, MOST_CARRIER),
        "says": news.state.value if news.state else "",
        "occurred_at": news.occurred_at,
        "received_at": moment.now,
        "state": "waiting",
        "tries": 1,
        "try_at": moment.now + LEASE,
        "error": "",
    }
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    insert: Any = (postgresql if is_postgresql else sqlite).insert(table).values(values)
    key: int | None = session.scalar(
        insert.on_conflict_do_nothing(index_elements=["provider", "event_id"]).returning(table.c.id)
    )
    return key


def read(session: AnySession, key: int) -> AnyRow | None:
    """Return a message that waits."""
    table = table_of(ParcelEvent)
    return session.execute(
        sa.select(table).where(table.c.id == key, table.c.state == "waiting")
    ).one_or_none()


def take(session: AnySession, moment: Moment, limit: int) -> list[int]:
    """Claim messages whose time has come; no other worker gets them before the lease is over."""
    table, due = table_of(ParcelEvent), _due()
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    ids = list(session.scalars(due, {"now": moment.now, "size": limit}))
    if ids:
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids))
            .values(tries=table.c.tries + 1, try_at=moment.now + LEASE)
        )
    return ids


@cache
def _due() -> AnySelect:
    table = table_of(ParcelEvent)
    return (
        sa.select(table.c.id)
        .where(
            # To the letter as in the index of waiting messages, or SQLite would not use it.
            sa.text("parcel_event.state = 'waiting'"),
            table.c.try_at <= sa.bindparam("now", type_=table.c.try_at.type),
        )
        .order_by(table.c.try_at, table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


#: Whether messages of shipping providers wait to be applied.
PARCEL_EVENTS_DUE = Question(lambda: [_due()], at_now)


def settle(session: AnySession, row: AnyRow, state: str, error: str, moment: Moment) -> None:
    """End a message as ``applied``, ``orphan`` or ``failed``, or let it wait."""
    if state == "waiting" and row.tries > len(BACK_OFF):
        state = "orphan" if error == "unknown" else "failed"
    waits = moment.now + BACK_OFF[max(row.tries, 1) - 1] if state == "waiting" else None
    table = table_of(ParcelEvent)
    session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state == "waiting")
        .values(
            state=state,
            error=error[:255],
            try_at=waits,
            applied_at=moment.now if state == "applied" else None,
        )
    )


def delete_old(session: AnySession, moment: Moment, limit: int) -> int:
    """Delete messages that were applied, or nobody's, from before the last 90 days."""
    table = table_of(ParcelEvent)
    cut = moment.start_of(moment.today - timedelta(days=KEPT_DAYS))
    ids = list(
        session.scalars(
            sa.select(table.c.id)
            .where(table.c.state.in_(("applied", "orphan")), table.c.received_at < cut)
            .limit(limit)
        )
    )
    if ids:
        session.execute(sa.delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def _text(value: str, length: int) -> str:
    """Return a text that both databases can keep."""
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:length]
