"""Mark notices as read; whom announcements are shown to, and putting them away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql
from storefront.domain.account_notices import TOPICS
from storefront.domain.lifecycle import ENDED
from storefront.models import Announcement, AnnouncementDismissal, OutboxMessage, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def find_notice(session: AnySession, customer_id: int, ref: str) -> int | None:
    """Return the key of a customer's notice."""
    table = table_of(OutboxMessage)
    found: int | None = session.scalar(
        sa.select(table.c.id).where(table.c.public_id == ref, *_theirs(customer_id))
    )
    return found


def read_one(session: AnySession, key: int, now: datetime) -> None:
    """Mark one as read; one that is read stays as it is."""
    table = table_of(OutboxMessage)
    mine = sa.and_(table.c.id == key, table.c.read_at.is_(None))
    session.execute(sa.update(table).where(mine).values(read_at=now))


def read_until(session: AnySession, customer_id: int, key: int, now: datetime) -> None:
    """Mark as read what is there up to the notice with this key."""
    table = table_of(OutboxMessage)
    session.execute(
        sa.update(table)
        .where(*_theirs(customer_id), table.c.id <= key, table.c.read_at.is_(None))
        .values(read_at=now)
    )


def shown_to(
    customer_id: int | sa.BindParameter[Any], today: date | sa.BindParameter[Any]
) -> list[sa.ColumnElement[bool]]:
    """Return what makes an announcement one that this customer sees today.

    Both may be parameters of a statement that is built once.
    """
    table, away = table_of(Announcement), table_of(AnnouncementDismissal)
    subscription = table_of(Subscription)
    has_plan = sa.exists().where(
        subscription.c.customer_id == customer_id,
        subscription.c.plan_id == table.c.plan_id,
        subscription.c.state.not_in([*ENDED, "incomplete"]),
    )
    return [
        table.c.from_on <= today,
        table.c.until_on >= today,
        sa.or_(table.c.plan_id.is_(None), has_plan),
        ~sa.exists().where(away.c.customer_id == customer_id, away.c.announcement_id == table.c.id),
    ]


def put_away(session: AnySession, customer_id: int, key: int, today: date, now: datetime) -> None:
    """Note that somebody put an announcement away, and forget those that are over."""
    table, announced = table_of(AnnouncementDismissal), table_of(Announcement)
    over = sa.select(announced.c.id).where(announced.c.until_on < today)
    session.execute(
        sa.delete(table).where(
            table.c.customer_id == customer_id, table.c.announcement_id.in_(over)
        )
    )
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    row = {"announcement_id": key, "customer_id": customer_id, "at": now}
    session.execute(insert(AnnouncementDismissal).values(**row).on_conflict_do_nothing())


def forget_dismissals(session: AnySession, ids: Sequence[int]) -> None:
    """Forget what erased customers put away."""
    table = table_of(AnnouncementDismissal)
    session.execute(sa.delete(table).where(table.c.customer_id.in_(ids)))


def _theirs(customer_id: int) -> list[sa.ColumnElement[bool]]:
    table = table_of(OutboxMessage)
    return [
        table.c.customer_id == customer_id,
        table.c.kind == "mail",
        table.c.topic.in_(sorted(TOPICS)),
    ]
