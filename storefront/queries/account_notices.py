"""What a subscriber has not read yet, the list of it, and what the merchant announces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.account_notices import LASTS, MOST, SHOWN, TOPICS
from storefront.models import (
    Announcement,
    AnnouncementDismissal,
    OutboxMessage,
    Plan,
)
from storefront.models.base import table_of, written_out
from storefront.operations.account_notices import shown_to
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment

#: Announcements one page of the account shows, and the admin lists.
_BANNERS, _LISTED = 3, 100


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice; its words and where it leads are the page's."""

    ref: str
    topic: str
    payload: Mapping[str, Any]
    at: datetime
    is_read: bool


@dataclass(frozen=True, slots=True)
class Banner:
    """An announcement of now; ``texts`` by language."""

    ref: str
    texts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class News:
    """What a page of the account says beside its own matter."""

    unread: int = 0
    #: The newest of them.
    notices: tuple[NoticeRow, ...] = ()
    banners: tuple[Banner, ...] = ()


@dataclass(frozen=True, slots=True)
class AnnouncementRow:
    """An announcement as staff see it."""

    ref: str
    texts: Mapping[str, Mapping[str, str]]
    from_on: date
    until_on: date
    #: Code and name of the plan whose subscribers see it; empty: everybody.
    plan: str
    plan_name: str
    dismissed: int


def news(session: AnySession, customer_id: int, moment: Moment) -> News:
    """Return how much is unread, the newest, and the announcements; one statement."""
    values = {"customer": customer_id, **news_values(moment)}
    return news_from(session.execute(news_statement(), values).all())


def news_from(rows: Sequence[AnyRow]) -> News:
    """Return what ``news_statement`` found."""
    notices = [one for one in rows if one.what == "notice"]
    banners = [Banner(one.public_id, one.data) for one in rows if one.what == "announcement"]
    newest = sorted(notices, key=lambda one: one.at, reverse=True)
    return News(
        int(notices[0].many) if notices else 0,
        tuple(NoticeRow(one.public_id, one.topic, one.data, one.at, False) for one in newest),
        tuple(banners),
    )


def has_news() -> sa.ColumnElement[bool]:
    """Return the column that says whether there are any, of a ``customer``."""
    return sa.or_(sa.exists().where(*_unread()), sa.exists().where(*_announced()))


def news_values(moment: Moment) -> dict[str, Any]:
    """Return the parameters that say what is news now."""
    return {"today": moment.today, **_times(moment)}


@cache
def news_statement() -> sa.CompoundSelect[Any]:
    """The newest unread notices and today's announcements, of a ``customer``; built once."""
    message, table = table_of(OutboxMessage), table_of(Announcement)
    unread = (
        sa.select(
            sa.literal("notice").label("what"),
            message.c.public_id,
            message.c.topic,
            message.c.payload.label("data"),
            message.c.created_at.label("at"),
            sa.func.count().over().label("many"),
        )
        .where(*_unread())
        .order_by(message.c.id.desc())
        .limit(SHOWN)
        .subquery()
    )
    said = (
        sa.select(
            sa.literal("announcement").label("what"),
            table.c.public_id,
            sa.literal("").label("topic"),
            table.c.texts.label("data"),
            table.c.created_at.label("at"),
            sa.literal(0).label("many"),
        )
        .where(*_announced())
        .order_by(table.c.id.desc())
        .limit(_BANNERS)
        .subquery()
    )
    return sa.union_all(sa.select(unread), sa.select(said))


def notices(session: AnySession, customer_id: int, moment: Moment) -> tuple[NoticeRow, ...]:
    """Return the notices of the last weeks, the newest first."""
    table = table_of(OutboxMessage)
    rows = session.execute(
        sa.select(
            table.c.public_id, table.c.topic, table.c.payload, table.c.created_at, table.c.read_at
        )
        .where(*_of_customer())
        .order_by(table.c.id.desc())
        .limit(MOST),
        {"customer": customer_id, **_times(moment)},
    )
    return tuple(
        NoticeRow(one.public_id, one.topic, one.payload, one.created_at, one.read_at is not None)
        for one in rows
    )


def announcements(session: AnySession) -> tuple[AnnouncementRow, ...]:
    """Return the merchant's announcements, those that end last first."""
    table = table_of(Announcement)
    chosen = _announcements().order_by(table.c.until_on.desc(), table.c.id.desc()).limit(_LISTED)
    return tuple(_announcement(row) for row in session.execute(chosen))


def announcement(session: AnySession, ref: str) -> AnnouncementRow | None:
    """Return one announcement."""
    table = table_of(Announcement)
    row = session.execute(_announcements().where(table.c.public_id == ref)).one_or_none()
    return None if row is None else _announcement(row)


def plan_names(session: AnySession) -> list[tuple[str, str]]:
    """Return (code, name) of every plan, by name."""
    table = table_of(Plan)
    rows = session.execute(sa.select(table.c.code, table.c.name).order_by(table.c.name))
    return [(row.code, row.name) for row in rows]


def _of_customer() -> list[sa.ColumnElement[bool]]:
    """Return what makes a mail a notice of ``customer`` now: it left, or is about to."""
    table = table_of(OutboxMessage)
    customer = sa.bindparam("customer", type_=table.c.customer_id.type)
    now = sa.bindparam("now", type_=table.c.due_at.type)
    since = sa.bindparam("since", type_=table.c.created_at.type)
    is_out = sa.or_(
        table.c.state.in_(written_out(["delivered", "dead"])),
        table.c.due_at <= now,
        table.c.tries > 0,
    )
    return [
        table.c.customer_id == customer,
        table.c.kind == written_out("mail"),
        table.c.topic.in_(sorted(TOPICS)),
        table.c.state != written_out("stopped"),
        table.c.created_at > since,
        is_out,
    ]


def _unread() -> list[sa.ColumnElement[bool]]:
    return [*_of_customer(), table_of(OutboxMessage).c.read_at.is_(None)]


def _announced() -> list[sa.ColumnElement[bool]]:
    customer = sa.bindparam("customer", type_=table_of(OutboxMessage).c.customer_id.type)
    return shown_to(customer, sa.bindparam("today", type_=table_of(Announcement).c.from_on.type))


def _times(moment: Moment) -> dict[str, datetime]:
    return {"now": moment.now, "since": moment.now - LASTS}


def _announcements() -> sa.Select[Any]:
    table, plan, away = table_of(Announcement), table_of(Plan), table_of(AnnouncementDismissal)
    many = sa.select(sa.func.count()).where(away.c.announcement_id == table.c.id).scalar_subquery()
    return sa.select(
        table, plan.c.code.label("plan"), plan.c.name.label("plan_name"), many.label("dismissed")
    ).outerjoin(plan, plan.c.id == table.c.plan_id)


def _announcement(row: AnyRow) -> AnnouncementRow:
    return AnnouncementRow(
        row.public_id,
        row.texts,
        row.from_on,
        row.until_on,
        row.plan or "",
        row.plan_name or "",
        row.dismissed,
    )
