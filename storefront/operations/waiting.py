"""The waiting list of a plan: places kept for who was invited, and who is invited next.

Source: docs/decisions/0184-waiting-lists.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from storefront.models import (
    Checkout,
    Customer,
    OrderHold,
    OutboxMessage,
    Plan,
    PlanPlaces,
    WaitingPlace,
)
from storefront.models.base import table_of
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.questions import Question, at_now

#: Invitations written in one transaction.
AT_ONCE = 50
#: How long a place is kept where the plan has no limits of its own any more.
HOURS = 48
#: Mails about an entry.
_TOPICS = _JOINED, _FREE = ("waiting_joined", "place_free")


def kept_for_invited(
    session: AnySession, plan_ids: Iterable[int], now: datetime, checkout_id: int | None = None
) -> Counter[int]:
    """Return the places by plan that are kept for who was invited and is not ordering yet.

    The place kept for the e-mail of ``checkout_id`` is left out: it is that order's own.
    """
    table, hold, checkout = table_of(WaitingPlace), table_of(OrderHold), table_of(Checkout)
    orders = sa.exists().where(
        hold.c.plan_id == table.c.plan_id,
        hold.c.until_at > now,
        checkout.c.id == hold.c.checkout_id,
        checkout.c.state == "open",
        checkout.c.email == table.c.email,
    )
    statement = (
        sa.select(table.c.plan_id, sa.func.count().label("places"))
        .where(table.c.plan_id.in_(set(plan_ids)), table.c.until_at > now, sa.not_(orders))
        .group_by(table.c.plan_id)
    )
    if checkout_id is not None:
        own = sa.select(checkout.c.email).where(checkout.c.id == checkout_id).scalar_subquery()
        statement = statement.where(table.c.email != own)
    return Counter({row.plan_id: int(row.places) for row in session.execute(statement)})


def in_line(session: AnySession, plan_ids: Iterable[int]) -> Counter[int]:
    """Return how many wait for each plan and are not invited yet: what is free is theirs first."""
    table = table_of(WaitingPlace)
    statement = (
        sa.select(table.c.plan_id, sa.func.count().label("waiting"))
        .where(table.c.plan_id.in_(set(plan_ids)), table.c.until_at.is_(None))
        .group_by(table.c.plan_id)
    )
    return Counter({row.plan_id: int(row.waiting) for row in session.execute(statement)})


def email_of(who: type[Checkout | Customer], key: int) -> sa.ScalarSelect[str]:
    """Return the e-mail of an order or of a customer, for a statement."""
    table = table_of(who)
    return sa.select(table.c.email).where(table.c.id == key).scalar_subquery()


def invited_to(
    session: AnySession, plan_ids: Iterable[int], email: sa.ScalarSelect[str], now: datetime
) -> set[int]:
    """Return the plans of which a place is kept for an e-mail."""
    table = table_of(WaitingPlace)
    kept = (table.c.plan_id.in_(set(plan_ids)), table.c.email == email, table.c.until_at > now)
    return set(session.scalars(sa.select(table.c.plan_id).where(*kept)))


def forget(session: AnySession, *which: sa.ColumnElement[bool]) -> int:
    """Delete entries, and the e-mail from the mails about them; returns how many there were.

    What was not sent yet is not sent any more.
    """
    table, mail = table_of(WaitingPlace), table_of(OutboxMessage)
    refs = session.scalars(sa.delete(table).where(*which).returning(table.c.public_id)).all()
    keys = [f"mail:{topic}:{ref}" for ref in refs for topic in _TOPICS]
    if keys:
        # What was kept for them is everybody's: the pages that called it sold out are made anew.
        raise_version(session)
        unsent = sa.case((mail.c.state.in_(["waiting", "dead"]), "stopped"), else_=mail.c.state)
        session.execute(
            sa.update(mail).where(mail.c.key.in_(keys)).values(payload={}, state=unsent, error="")
        )
    return len(refs)


def take_off_list(session: AnySession, email: str, plan_ids: Iterable[int] | None = None) -> None:
    """Forget that this e-mail waits, for these plans or for any."""
    table = table_of(WaitingPlace)
    own = (table.c.email == email,)
    forget(session, *own, *(() if plan_ids is None else (table.c.plan_id.in_(set(plan_ids)),)))


def due_plans(session: AnySession, now: datetime) -> list[int]:
    """Return the plans, also archived ones, with somebody to invite or an invitation over."""
    table = table_of(WaitingPlace)
    due = sa.or_(table.c.until_at.is_(None), table.c.until_at <= now)
    statement = sa.select(table.c.plan_id).distinct().where(due)
    return list(session.scalars(statement.order_by(table.c.plan_id)))


def _due() -> list[AnySelect]:
    table = table_of(WaitingPlace)
    now = sa.bindparam("now", type_=table.c.until_at.type)
    return [
        sa.select(table.c.id).where(table.c.until_at.is_(None)),
        sa.select(table.c.id).where(table.c.until_at <= now),
    ]


#: Whether anybody waits or an invitation is over: by the index, one probe where nobody does.
WAITING_DUE = Question(_due, at_now)


def lock_limits(session: AnySession, plan_id: int) -> int:
    """Lock the limits of a plan, as an order does, and return how long a place is kept: hours."""
    table = table_of(PlanPlaces)
    hours = session.scalar(
        sa.select(table.c.invite_hours).where(table.c.plan_id == plan_id).with_for_update()
    )
    return int(hours or HOURS)


def drop_over(session: AnySession, plan_id: int, now: datetime) -> int:
    """Forget who was invited and let the time pass; returns how many.

    Of an archived plan, which nobody can order, everybody.
    """
    return forget(session, *_over(plan_id, now))


def is_over(session: AnySession, plan_id: int, now: datetime) -> bool:
    """Return whether ``drop_over`` would forget anybody."""
    table = table_of(WaitingPlace)
    found = session.execute(sa.select(table.c.id).where(*_over(plan_id, now)).limit(1))
    return found.first() is not None


def _over(plan_id: int, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    table, plan = table_of(WaitingPlace), table_of(Plan)
    archived = sa.exists().where(plan.c.id == plan_id, plan.c.archived_at.is_not(None))
    return (table.c.plan_id == plan_id, sa.or_(table.c.until_at <= now, archived))


def next_in_line(session: AnySession, plan_id: int, count: int) -> list[AnyRow]:
    """Return the first ``count`` who wait and were not invited, in the order they came."""
    table = table_of(WaitingPlace)
    return list(
        session.execute(
            sa.select(table)
            .where(table.c.plan_id == plan_id, table.c.until_at.is_(None))
            .order_by(table.c.id)
            .limit(max(count, 0))
        )
    )


def invite_rows(session: AnySession, rows: Sequence[AnyRow], hours: int, moment: Moment) -> int:
    """Keep a place for each of ``rows`` and tell them, in the caller's transaction.

    Who left the list since it was read hears nothing; returns how many were invited. The caller
    holds the limits of the plan and has seen that there are as many places.
    """
    table = table_of(WaitingPlace)
    until = moment.now + timedelta(hours=hours)
    invited = session.execute(
        sa.update(table)
        .where(table.c.id.in_([row.id for row in rows]), table.c.until_at.is_(None))
        .values(invited_at=moment.now, until_at=until)
        .returning(table.c.id, table.c.public_id, table.c.email, table.c.locale)
    ).all()
    if invited:
        in_turn = sorted(invited, key=lambda row: row.id)
        enqueue(session, [_mail(_FREE, row) for row in in_turn], moment.now)
        raise_version(session)
    return len(invited)


def mail_joined(session: AnySession, row: AnyRow, moment: Moment) -> None:
    """Tell somebody that they are on the list, and how to get off it."""
    enqueue(session, [_mail(_JOINED, row)], moment.now)


def _mail(topic: str, row: AnyRow) -> Message:
    payload = {"place": row.public_id, "to": row.email, "locale": row.locale}
    return Message("mail", topic, f"mail:{topic}:{row.public_id}", payload)
