"""Run a job as the worker does, and hold its questions to what it then did.

A job runs here whatever its questions say. If they said no and it wrote something all the same,
the worker would have passed work over: the worst a question can do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine.default import DefaultExecutionContext

from storefront.jobs.ticker import Ticker
from storefront.jobs.work import JOBS, PLAN_CYCLES, Job, run_job
from storefront.runtime import Runtime

#: What a job may write though its questions said no: the cycles that a new day adds, since the
#: first tick of each day runs every job.
_ALLOWED = {PLAN_CYCLES.name: ("INSERT INTO box_cycle ",)}
#: The note of the run itself.
_NOTE = ("INSERT INTO job_run ",)

#: A ticker for each job: asking for all eighteen each time would take longer than the jobs.
_ALL = Ticker(JOBS)
_TICKERS = {job: Ticker([job]) for job in JOBS if job.questions}


class WorkPassedOver(AssertionError):
    """A question said no and its job had something to do."""


def says_yes(rt: Runtime, job: Job) -> bool:
    """Return whether one of the questions of ``job`` says yes now."""
    rt.session.rollback()
    return not job.questions or job in (_TICKERS.get(job) or Ticker([job])).asks(rt)


def asking(rt: Runtime) -> frozenset[Job]:
    """Return the jobs of which a question says yes now; one statement for all."""
    rt.session.rollback()
    rt.forget_shop()
    return _ALL.asks(rt)


def run_asked(rt: Runtime, job: Job) -> bool:
    """Do ``run_job``. Raises ``WorkPassedOver`` if it wrote something unasked."""
    asked = says_yes(rt, job)
    if asked:
        return run_job(rt, job)
    with _writes() as written:
        went_well = run_job(rt, job)
    allowed = _NOTE + _ALLOWED.get(job.name, ())
    unasked = [text for text in written if not text.startswith(allowed)]
    if unasked:
        raise WorkPassedOver(f"{job.name} on {rt.now()}: {unasked}")
    return went_well


def works(rt: Runtime, job: Job) -> bool:
    """Let ``job`` do what it does, without the note of its run; True if it changed a row."""
    with _writes() as written:
        job.run(rt)
    rt.session.rollback()
    return bool(written)


def run_all_asked(rt: Runtime) -> bool:
    """Do ``run_asked`` for every job, in order; True when all went well."""
    went_well = [run_asked(rt, job) for job in JOBS]
    return all(went_well)


@contextmanager
def _writes() -> Iterator[list[str]]:
    """Collect the statements inside that changed rows.

    Not by a listener of the engine: once it had one, each of its statements takes longer for good.
    """
    seen: list[str] = []
    post_exec = DefaultExecutionContext.post_exec

    def note(context: Any) -> None:
        is_write = context.isinsert or context.isupdate or context.isdelete
        if is_write and (context.cursor.rowcount != 0 or context.isinsert):
            seen.append(context.statement)
        post_exec(context)

    DefaultExecutionContext.post_exec = note  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        DefaultExecutionContext.post_exec = post_exec  # type: ignore[method-assign]
