"""One tick: ask in one statement which jobs have something to do, and run those.

A question that says no for once too often would leave work lying, so none is trusted for long:
every job also runs whole in the first tick of a worker, in the first of each shop-local day, after
it failed, and each ``WHOLE_EVERY``. Source: docs/decisions/0102-ask-before-working.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from storefront.database import reading
from storefront.jobs.work import Job, note_idle, run_job
from storefront.operations.keys import AnySelect
from storefront.operations.moment import Moment
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: However often its questions say no, a job runs once in this time.
WHOLE_EVERY = timedelta(minutes=10)
#: Jobs with nothing to do are noted this often: it shows that the worker lives.
NOTE_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Run:
    """When a job went well the last time, and on which shop-local day."""

    at: datetime
    on: date


class Ticker:
    """The jobs of a tick, and what a worker remembers of them from one tick to the next."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = tuple(jobs)
        self._asked = tuple(job for job in jobs if job.questions)
        self._ran: dict[Job, _Run] = {}
        self._noted: datetime | None = None

    def tick(self, rt: Runtime) -> list[Job]:
        """Run the jobs that may have something to do, in order; returns them."""
        rt.forget_shop()
        ran: list[Job] = []
        due: frozenset[Job] | None = None
        for job in self.jobs:
            if due is None:
                due = self._due(rt)
            if job in due:
                self._run(rt, job)
                ran.append(job)
                # What it did may be work for those behind it.
                due = None
        self._note(rt, [job for job in self.jobs if job not in ran])
        return ran

    def asks(self, rt: Runtime) -> frozenset[Job]:
        """Return the jobs whose questions say yes, asked in one statement and read only."""
        with reading():
            found = rt.session.execute(self._statement, self._values(rt.moment())).one()
            rt.session.rollback()
        return frozenset(job for job, is_due in zip(self._asked, found, strict=True) if is_due)

    def _due(self, rt: Runtime) -> frozenset[Job]:
        """Return what is to run now; everything when that cannot be asked."""
        if not self._ran:
            return frozenset(self.jobs)
        try:
            with reading():
                # Begun here, so that the settings come in the transaction of the questions.
                rt.session.connection()
                moment = rt.moment()
                overdue = frozenset(job for job in self.jobs if self._is_overdue(job, moment))
                return overdue if overdue.issuperset(self._asked) else overdue | self.asks(rt)
        except Exception:
            log.exception("nobody can say which jobs are due, so all run")
            return frozenset(self.jobs)
        finally:
            rt.session.rollback()

    def _is_overdue(self, job: Job, moment: Moment) -> bool:
        last = self._ran.get(job)
        if not job.questions or last is None or last.on != moment.today:
            return True
        # A clock that was set back says nothing about the time since.
        return not last.at <= moment.now < last.at + WHOLE_EVERY

    def _run(self, rt: Runtime, job: Job) -> None:
        began = rt.now()
        self._ran.pop(job, None)
        if run_job(rt, job):
            self._ran[job] = _Run(began, rt.day_of(began))
            rt.session.rollback()

    def _note(self, rt: Runtime, idle: Sequence[Job]) -> None:
        now = rt.now()
        if idle and not (self._noted and self._noted <= now < self._noted + NOTE_EVERY):
            note_idle(rt, idle)
            self._noted = now

    def _values(self, moment: Moment) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        for job in self._asked:
            for question in job.questions:
                values.update(question.values(moment))
        return values

    @cached_property
    def _statement(self) -> AnySelect:
        """All questions of all jobs, a column for each job."""
        return sa.select(
            *[
                sa.or_(*[question.is_yes() for question in job.questions]).label(job.name)
                for job in self._asked
            ]
        )
