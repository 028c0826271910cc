"""A shop that is lived through day by day, and what can be read in it afterwards."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.jobs.work import JOBS, PLAN_CYCLES, SELF_CHECK
from storefront.models import (
    Box,
    BoxCycle,
    Invoice,
    LedgerTransfer,
    Movement,
    OutboxMessage,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing.clock import FrozenClock
from tests.support.asking import asking, run_all_asked, run_asked, works
from tests.support.availability import is_long

#: Days of a month on which all jobs run, whatever their questions say.
_WHOLE = {1, 11, 21}


@dataclass
class Diary:
    """Reads one subscription; every day at the same hour the worker does its jobs."""

    rt: Runtime
    clock: FrozenClock
    subscription: Subscription

    def live_until(self, day: date) -> None:
        """Let every day up to ``day`` come, with the jobs of each.

        As in a worker, a job that has questions stays away while none of them says yes. On ``day``,
        every ten days or so, and with ``dev.py test --long`` every day, all run all the same, to
        show that there was nothing for them to do. The nightly self-check changes nothing and takes
        as long as all others together: it runs on ``day`` only, where every invariant is asked
        anyway.
        """
        while self.rt.today() < day:
            self.rt.session.rollback()
            self.clock.advance(days=1)
            self._live_today(is_last=self.rt.today() == day)
        self.rt.session.rollback()
        assert broken(self.rt.session) == {}, f"on {day}"
        self.rt.session.rollback()

    def _live_today(self, *, is_last: bool) -> None:
        jobs = [job for job in JOBS if job is not SELF_CHECK or is_last]
        if is_last or is_long() or self.rt.today().day in _WHOLE:
            for job in jobs:
                assert run_asked(self.rt, job), f"{job.name} failed on {self.rt.today()}"
            return
        due = asking(self.rt)
        for job in jobs:
            # The cycles that a new day adds are nobody's question.
            if job.questions and job is not PLAN_CYCLES and job not in due:
                continue
            if works(self.rt, job):
                # What it wrote may be work for those behind it.
                due = asking(self.rt)

    def wake_on(self, day: date) -> None:
        """Let ``day`` come at once, with a run of all jobs; nothing was due before it."""
        self.rt.session.rollback()
        self.clock.advance(days=(day - self.rt.today()).days)
        assert run_all_asked(self.rt), f"a job failed on {day}"
        self.rt.session.rollback()
        assert broken(self.rt.session) == {}, f"on {day}"
        self.rt.session.rollback()

    def now(self) -> Subscription:
        """Return the subscription as it stands."""
        found = self.rt.session.get_one(Subscription, self.subscription.id)
        self.rt.session.refresh(found)
        self.rt.session.expunge(found)
        self.rt.session.rollback()
        return found

    @property
    def invoices(self) -> list[tuple[int | None, date, int, str]]:
        """Number, day due, total and state of each invoice, in the order of their numbers."""
        table = table_of(Invoice)
        return [
            (row.number, row.due_on, row.total_minor, row.state.value)
            for row in self._rows(sa.select(table).order_by(table.c.number))
        ]

    @property
    def periods(self) -> list[tuple[str, date, date]]:
        """Kind, first day and end of each period; a skipped one says why in its kind."""
        table = table_of(SubscriptionPeriod)
        mine = table.c.subscription_id == self.subscription.id
        return [
            (f"{row.kind.value}: {row.reason}" if row.reason else row.kind.value,
             row.start_on, row.end_on)
            for row in self._rows(sa.select(table).where(mine).order_by(table.c.number))
        ]  # fmt: skip

    @property
    def boxes(self) -> list[tuple[date, str]]:
        """Ship day and state of each box, in the order they leave."""
        box, cycle = table_of(Box), table_of(BoxCycle)
        return [
            (row.ship_from, row.state.value)
            for row in self._rows(
                sa.select(cycle.c.ship_from, box.c.state)
                .join(cycle, cycle.c.id == box.c.cycle_id)
                .where(box.c.subscription_id == self.subscription.id)
                .order_by(cycle.c.ship_from, box.c.id)
            )
        ]

    @property
    def mails(self) -> list[str]:
        """What was mailed, in order; every one of them has left."""
        table = table_of(OutboxMessage)
        rows = self._rows(sa.select(table).where(table.c.kind == "mail").order_by(table.c.id))
        assert {row.state for row in rows} <= {"delivered"}
        return [row.topic for row in rows]

    @property
    def movements(self) -> list[tuple[date, str, int]]:
        """Day, kind and delta of each movement of monthly revenue."""
        table = table_of(Movement)
        return [
            (row.on_day, row.kind, row.delta_minor)
            for row in self._rows(sa.select(table).order_by(table.c.id))
        ]

    @property
    def balances(self) -> dict[str, int]:
        """Debits minus credits per account; the sum of all is zero by construction."""
        table, found = table_of(LedgerTransfer), defaultdict(int)
        for row in self._rows(sa.select(table)):
            found[row.debit] += row.amount_minor
            found[row.credit] -= row.amount_minor
        return {account: minor for account, minor in found.items() if minor}

    def _rows(self, statement: sa.Select) -> list[sa.Row]:  # type: ignore[type-arg]
        rows = list(self.rt.session.execute(statement))
        self.rt.session.rollback()
        return rows
