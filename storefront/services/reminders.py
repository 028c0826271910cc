"""Tell customers before something begins to cost again: a pause that ends, a trial that ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Notice, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime

#: Days before a pause, and a trial, ends.
RESUME_DAYS = 7
TRIAL_DAYS = 3
#: Subscriptions told in one transaction.
BATCH = 200


@dataclass(slots=True)
class ReminderReport:
    """How many customers were told of what."""

    resuming: int = 0
    trials: int = 0


def remind(rt: Runtime) -> ReminderReport:
    """Write the mails that are due, one for each end of a pause or trial; again is nothing new."""
    table, report = table_of(Subscription), ReminderReport()
    today = rt.today()

    def within(column: sa.Column[object], days: int) -> sa.ColumnElement[bool]:
        return column.between(today + timedelta(days=1), today + timedelta(days=days))

    paused = sa.and_(
        table.c.state == SubscriptionState.PAUSED, within(table.c.resumes_on, RESUME_DAYS)
    )
    trying = sa.and_(
        table.c.state == SubscriptionState.TRIALING, within(table.c.next_on, TRIAL_DAYS)
    )
    report.resuming = _tell(rt, "resume_soon", table.c.resumes_on, paused)
    report.trials = _tell(rt, "trial_ends", table.c.next_on, trying)
    return report


def _tell(rt: Runtime, topic: str, on: sa.Column[object], which: sa.ColumnElement[bool]) -> int:
    total = 0
    while count := retrying(rt.session, partial(_batch, rt, topic, on, which)):
        total += count
    return total


def _batch(rt: Runtime, topic: str, on: sa.Column[object], which: sa.ColumnElement[bool]) -> int:
    table, notice = table_of(Subscription), table_of(Notice)
    told = sa.exists().where(
        notice.c.subscription_id == table.c.id,
        notice.c.kind == topic,
        notice.c.period_start_on == sa.cast(on, sa.String(10)),
    )
    rows = rt.session.execute(
        sa.select(table.c.id, table.c.public_id, table.c.customer_id, on.label("on_day"))
        .where(
            which,
            table.c.cancel_on.is_(None),
            table.c.held_at.is_(None),
            table.c.customer_id.is_not(None),
            sa.not_(told),
        )
        .order_by(table.c.id)
        .limit(BATCH)
    ).all()
    if rows:
        rt.session.execute(sa.insert(notice), [_notice(rt, topic, row) for row in rows])
        enqueue(rt.session, [_mail(topic, row) for row in rows], rt.now())
    rt.session.commit()
    return len(rows)


def _notice(rt: Runtime, topic: str, row: AnyRow) -> dict[str, object]:
    return {
        "kind": topic,
        "subscription_id": row.id,
        "period_start_on": row.on_day.isoformat(),
        "at": rt.now(),
    }


def _mail(topic: str, row: AnyRow) -> Message:
    day = row.on_day.isoformat()
    payload = {"subscription": row.public_id, "on": day}
    return Message("mail", topic, f"mail:{topic}:{row.public_id}:{day}", payload, row.customer_id)
