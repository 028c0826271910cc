"""What the first page of the admin shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.lifecycle import BILLABLE
from storefront.domain.money import Money
from storefront.models import (
    Box,
    BoxCycle,
    BoxSkip,
    CycleGroup,
    JobRun,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.moment import Moment
from storefront.queries.short_stock import ShortProduct, low_stock
from storefront.queries.worklists import MOST, Counted, counts, priced, since_yesterday

#: Days ahead for which renewals are counted, today included.
DAYS = 7


@dataclass(frozen=True, slots=True)
class CutOff:
    """A cycle that subscribers may still change."""

    public_id: str
    group: str
    cutoff_on: date
    ship_from: date
    days_left: int
    boxes: int
    skipped: int


@dataclass(frozen=True, slots=True)
class RenewalDay:
    """What falls due on one day at list prices, before codes and extras."""

    day: date
    count: int
    amount: Money


@dataclass(frozen=True, slots=True)
class JobState:
    """The last run of one job."""

    name: str
    started_at: datetime
    finished_at: datetime | None
    report: dict[str, Any]
    error: str


@dataclass(frozen=True, slots=True)
class Today:
    """Everything on the page."""

    counts: dict[str, Counted]
    cutoffs: tuple[CutOff, ...]
    renewals: tuple[RenewalDay, ...]
    low: tuple[ShortProduct, ...]
    jobs: tuple[JobState, ...]
    #: When any job finished last; None before the first run.
    worker_at: datetime | None
    since: datetime

    @property
    def broken_rules(self) -> int:
        """How many rules did not hold when the nightly check last asked, as its job noted."""
        return sum(job.report.get("broken", 0) for job in self.jobs if job.name == "self_check")


def today(session: AnySession, moment: Moment, currency: str) -> Today:
    """Return the page's facts; five statements."""
    jobs = job_states(session)
    finished = [job.finished_at for job in jobs if job.finished_at]
    return Today(
        counts(session, moment, currency),
        _cutoffs(session, moment.today),
        renewal_days(session, moment.today, currency),
        low_stock(session, moment.today, MOST),
        jobs,
        max(finished) if finished else None,
        since_yesterday(moment),
    )


def renews_on() -> sa.ColumnElement[date]:
    """The day of the next charge: days before a fixed billing day are given."""
    table = table_of(Subscription)
    return sa.case(
        (table.c.next_on < table.c.anchor_on, table.c.anchor_on), else_=table.c.next_on
    ).label("renews_on")


def will_renew() -> sa.ColumnElement[bool]:
    """Whether the clock will charge it: running, not held, not parked, not ending before."""
    table = table_of(Subscription)
    return sa.and_(
        table.c.state.in_(BILLABLE),
        table.c.renews_at.is_not(None),
        table.c.held_at.is_(None),
        table.c.parked_at.is_(None),
        sa.or_(table.c.cancel_on.is_(None), table.c.cancel_on > renews_on()),
    )


def renewal_days(session: AnySession, first: date, currency: str) -> tuple[RenewalDay, ...]:
    """Return each of the next ``DAYS`` days with what falls due on it."""
    subscription, price, worth = priced()
    day = renews_on()
    last = first + timedelta(days=DAYS - 1)
    rows = session.execute(
        sa.select(day, sa.func.count().label("many"), sa.func.sum(worth).label("minor"))
        .select_from(subscription)
        .join(price, price.c.id == subscription.c.price_id)
        .where(will_renew(), subscription.c.next_on <= last, day >= first, day <= last)
        .group_by(day)
    )
    found = {row.renews_on: (row.many, int(row.minor)) for row in rows}
    days = [first + timedelta(days=n) for n in range(DAYS)]
    return tuple(
        RenewalDay(one, found.get(one, (0, 0))[0], Money(found.get(one, (0, 0))[1], currency))
        for one in days
    )


def _cutoffs(session: AnySession, day: date) -> tuple[CutOff, ...]:
    """Return the cycles whose cut-off comes next, one per group."""
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    box, skip = table_of(Box), table_of(BoxSkip)
    other = cycle.alias("other")
    nearest = (
        sa.select(sa.func.min(other.c.cutoff_on))
        .where(other.c.group_id == group.c.id, other.c.cutoff_on >= day)
        .scalar_subquery()
    )
    boxes = (
        sa.select(sa.func.count())
        .where(box.c.cycle_id == cycle.c.id, box.c.state != BoxState.CANCELED)
        .scalar_subquery()
    )
    skips = sa.select(sa.func.count()).where(skip.c.cycle_id == cycle.c.id).scalar_subquery()
    rows = session.execute(
        sa.select(
            cycle.c.public_id,
            group.c.name.label("group"),
            cycle.c.cutoff_on,
            cycle.c.ship_from,
            boxes.label("boxes"),
            skips.label("skipped"),
        )
        .join(group, group.c.id == cycle.c.group_id)
        .where(cycle.c.cutoff_on == nearest)
        .order_by(cycle.c.cutoff_on, group.c.name)
        .limit(4)
    )
    return tuple(CutOff(**row._mapping, days_left=(row.cutoff_on - day).days) for row in rows)


def job_states(session: AnySession) -> tuple[JobState, ...]:
    """Return the last run of every job, in the order they ran last."""
    run = table_of(JobRun)
    rows = session.execute(sa.select(run).order_by(run.c.started_at, run.c.job))
    return tuple(
        JobState(row.job, row.started_at, row.finished_at, row.report or {}, row.error)
        for row in rows
    )
