"""Where the demo's clock can go, and what happened on the days it walked through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import BoxCycle, OutboxMessage, Subscription, SubscriptionEvent
from storefront.models.base import table_of
from storefront.queries.today import renews_on, will_renew


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day and how often each kind of thing happened on it."""

    day: date
    counts: Counter[str]


def next_cutoff(session: AnySession, today: date) -> date | None:
    """Return the next day on which a cut-off passes."""
    cycle = table_of(BoxCycle)
    return session.execute(
        sa.select(sa.func.min(cycle.c.cutoff_on)).where(cycle.c.cutoff_on >= today)
    ).scalar_one()


def next_charge(session: AnySession, today: date) -> date | None:
    """Return the first day after today on which somebody is charged."""
    table, day = table_of(Subscription), renews_on()
    return session.execute(
        sa.select(sa.func.min(day)).select_from(table).where(will_renew(), day > today)
    ).scalar_one()


def happened(
    session: AnySession, since: datetime, day_of: Callable[[datetime], date]
) -> list[DayRow]:
    """Return what happened on each day from ``since`` on, by kind of event; mails as "mail"."""
    event, message = table_of(SubscriptionEvent), table_of(OutboxMessage)
    days: dict[date, Counter[str]] = {}
    for at, kind in session.execute(sa.select(event.c.at, event.c.kind).where(event.c.at >= since)):
        days.setdefault(day_of(at), Counter())[kind] += 1
    sent = sa.select(message.c.delivered_at).where(
        message.c.kind == "mail", message.c.delivered_at >= since
    )
    for at in session.scalars(sent):
        if at is not None:
            days.setdefault(day_of(at), Counter())["mail"] += 1
    return [DayRow(day, days[day]) for day in sorted(days)]
