"""Move the clock of a demo shop forward, day by day, through the jobs of the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from typing import Any, Protocol, cast

import sqlalchemy as sa

from storefront.database import reading
from storefront.jobs.work import run_all
from storefront.models import JobRun
from storefront.models.base import table_of
from storefront.runtime import Runtime

#: Shop-local times at which the jobs run on each day: after midnight, when renewals fall due
#: and locks pass, and after the hour at which declined charges are tried again.
TICKS = (time(0, 15), time(9, 15))
#: Furthest that one walk goes; a request that asks for more is refused.
MOST_DAYS = 62
#: What a day reports: the name there, the job, and its count in the job's own report.
_COUNTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("renewed", "renewals", ("billed",)),
    ("skipped", "renewals", ("skipped",)),
    ("ended", "renewals", ("ended",)),
    ("paid", "renewals", ("charges", "settled")),
    ("declined", "renewals", ("charges", "declined")),
    ("tried_again", "dunning", ("retried",)),
    ("recovered", "dunning", ("charges", "settled")),
    ("given_up", "dunning", ("ended",)),
    ("boxes_locked", "close_cycles", ("boxes", "locked")),
    ("batches", "export", ("batches",)),
    ("messages", "outbox", ("delivered",)),
)


class ClockIsReal(Exception):
    """Only the clock of a demo shop can be moved."""


class TooFar(ValueError):
    """A walk goes 1 to ``MOST_DAYS`` days forward."""


class MovableClock(Protocol):
    """A clock that may be sent forward, such as ``DemoClock``."""

    def now(self) -> datetime: ...
    def move_to(self, instant: datetime) -> None: ...


@dataclass(slots=True)
class DayReport:
    """What the jobs did on one shop-local day.

    ``counts`` has what happened at all: renewed, skipped, ended, paid, declined, tried_again,
    recovered, given_up, boxes_locked, batches, messages. ``failed`` names jobs that broke.
    """

    on: date
    counts: dict[str, int] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    @property
    def went_well(self) -> bool:
        return not self.failed


def walk(
    rt: Runtime,
    days: int,
    on_day: Callable[[int, int], None] | None = None,
    *,
    most_seconds: float | None = None,
) -> list[DayReport]:
    """Move the clock ``days`` days forward and do on each what the worker does then.

    The time of day in the end is that of the start. ``on_day`` is told how many days are done,
    and of how many; after ``most_seconds`` no further day is begun, one is always done.
    Renewals, retries, locks and exports happen on their own days, never all
    at the end: a leap would look like an outage and hold what it missed. Raises
    ``ClockIsReal`` outside a demo and ``TooFar``.
    """
    clock = movable(rt)
    if not 1 <= days <= MOST_DAYS:
        raise TooFar(f"{days} days; 1 to {MOST_DAYS} can be walked at once")
    reports: list[DayReport] = []
    start, began = clock.now(), monotonic()
    for done in range(days):
        if done and most_seconds is not None and monotonic() - began > most_seconds:
            break
        until = _same_time(rt, start, done + 1)
        for instant in _ticks(rt, clock.now(), until):
            clock.move_to(max(instant, clock.now()))
            if not reports or reports[-1].on != rt.today():
                reports.append(DayReport(rt.today()))
            run_and_count(rt, reports[-1])
        if on_day is not None:
            on_day(done + 1, days)
    return reports


def movable(rt: Runtime) -> MovableClock:
    """Return the clock if it can be moved. Raises ``ClockIsReal``."""
    if rt.settings.is_production or not hasattr(rt.clock, "move_to"):
        raise ClockIsReal("only the clock of a demo shop can be moved")
    return cast("MovableClock", rt.clock)


def run_and_count(rt: Runtime, day: DayReport) -> None:
    """Run every job once at the present instant and add what they did to ``day``."""
    run_all(rt)
    table = table_of(JobRun)
    with reading():
        rows = rt.session.execute(sa.select(table.c.job, table.c.report, table.c.error)).all()
        rt.session.rollback()
    reports = {row.job: row.report or {} for row in rows}
    day.failed |= {row.job for row in rows if row.error}
    for name, job, path in _COUNTS:
        count = _dig(reports.get(job, {}), path)
        if count:
            day.counts[name] = day.counts.get(name, 0) + count


def _ticks(rt: Runtime, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the instants in ``(after, until)`` at which jobs run, in order, then ``until``."""
    zone = rt.shop.zone_info
    day, last = after.astimezone(zone).date(), until.astimezone(zone).date()
    while day <= last:
        for at in TICKS:
            instant = datetime.combine(day, at, zone).astimezone(UTC)
            if after < instant < until:
                yield instant
        day += timedelta(days=1)
    yield until


def _same_time(rt: Runtime, start: datetime, days: int) -> datetime:
    """Return the instant ``days`` shop-local days later, also over a change of summer time."""
    zone = rt.shop.zone_info
    return (start.astimezone(zone) + timedelta(days=days)).astimezone(UTC)


def _dig(report: Mapping[str, Any], path: tuple[str, ...]) -> int:
    value: Any = report
    for name in path:
        value = value.get(name, 0) if isinstance(value, Mapping) else 0
    return int(value) if isinstance(value, (int, float)) else 0
