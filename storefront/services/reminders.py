"""Tell customers before something costs: a pause or trial ends, a first charge comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.domain.renewals import NOTICE_DAYS
from storefront.models import Gift, Invoice, InvoiceLine, Notice, Subscription, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime

#: Days before a pause ends.
RESUME_DAYS = 7
#: Subscriptions told in one transaction.
BATCH = 200


@dataclass(slots=True)
class ReminderReport:
    """How many customers were told of what."""

    resuming: int = 0
    trials: int = 0
    #: Before a period after a trial or a gift, while nothing was paid yet.
    first_charges: int = 0


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
        table.c.state == SubscriptionState.TRIALING, within(table.c.next_on, NOTICE_DAYS)
    )
    report.resuming = _tell(rt, "resume_soon", table.c.resumes_on, paused)
    report.trials = _tell(rt, "trial_ends", table.c.next_on, trying)
    # So are recipients who go on where their gift ends. A code may have paid for what the
    # trial's end would have cost: told again before each
    # period until one was paid for, and mailed where it costs something.
    begun = sa.and_(
        # Worded so that no index of states is taken, which would read every active one.
        table.c.state.not_in([one for one in SubscriptionState if one != "active"]),
        within(table.c.next_on, NOTICE_DAYS),
        # The same days once more, as the index of what renews knows them: few of all.
        table.c.renews_at < rt.moment().start_of(today + timedelta(days=NOTICE_DAYS + 1)),
        table.c.parked_at.is_(None),
        table.c.held_at.is_(None),
        sa.or_(_has_period(PeriodKind.TRIAL), _follows_a_gift()),
        sa.not_(_has_period(PeriodKind.BILLED, _cost_something())),
    )
    report.first_charges = _tell(rt, "first_charge", table.c.next_on, begun)
    return report


def _has_period(kind: PeriodKind, *more: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    period = table_of(SubscriptionPeriod)
    return sa.exists().where(
        period.c.subscription_id == table_of(Subscription).c.id, period.c.kind == kind, *more
    )


def _follows_a_gift() -> sa.ColumnElement[bool]:
    gift = table_of(Gift)
    return sa.exists().where(gift.c.checkout_id == table_of(Subscription).c.checkout_id)


def _cost_something() -> sa.ColumnElement[bool]:
    period, line, invoice = table_of(SubscriptionPeriod), table_of(InvoiceLine), table_of(Invoice)
    return sa.exists().where(
        line.c.period_id == period.c.id,
        invoice.c.id == line.c.invoice_id,
        invoice.c.total_minor > 0,
    )


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
        .order_by(on, table.c.id)
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
