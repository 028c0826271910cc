"""The worker's jobs in a story: run on days on which something is due, mail without its weight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from storefront.adapters.mail import Mail
from storefront.jobs.ticker import Ticker
from storefront.jobs.work import JOBS, OUTBOX, PLAN_CYCLES, SELF_CHECK, Job, run_job
from storefront.mails import compose
from storefront.models import JobRun
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery, deliver_due

#: Says whether a mail to this customer, made at this instant, is worth writing to a file.
IsWanted = Callable[[int | None, datetime], bool]
_AT_ONCE = 1000
#: What a day of the story leaves to its end: mails, and the check of everything.
_AT_THE_END = (OUTBOX, SELF_CHECK)
#: Nothing but a new day says that these are due; more cycles ahead come with each.
_BY_THE_DAY = frozenset({PLAN_CYCLES, *(job for job in JOBS if not job.questions)})
#: These only ask, they run nothing.
_ASKING, _ASKING_FOR_MAILS = Ticker(JOBS), Ticker((OUTBOX,))


class JobFailed(RuntimeError):
    """A job of the worker broke while the story was told."""


def do_chores(
    rt: Runtime, is_wanted: IsWanted, *, everything: bool = False, is_last: bool = False
) -> None:
    """Run the jobs that have something to do now, in the worker's order.

    Which those are, their own questions say; with ``everything`` the jobs without any run too,
    at the last call all. Mails that are not wanted count as delivered and leave no file: years
    of mail would take longer than everything else. The self-check only reads, so it is asked
    once, at the last call: each night of a year takes a tenth of the story. Raises
    ``JobFailed``.
    """
    waits: frozenset[Job] | None = None
    for job in JOBS:
        if not is_last and job in _AT_THE_END:
            continue
        if not (is_last or (everything and job in _BY_THE_DAY)):
            waits = _ASKING.asks(rt) if waits is None else waits
            if job not in waits:
                continue
        _run(rt, Job(job.name, partial(_deliver, is_wanted)) if job is OUTBOX else job)
        # What it did may be work for those behind it.
        waits = None


def send_mails(rt: Runtime, is_wanted: IsWanted) -> None:
    """Deliver what waits in the outbox, as the worker would by now. Raises ``JobFailed``."""
    if _ASKING_FOR_MAILS.asks(rt):
        _run(rt, Job(OUTBOX.name, partial(_deliver, is_wanted)))


def _run(rt: Runtime, job: Job) -> None:
    if not run_job(rt, job):
        error = rt.session.scalar(sa.select(JobRun.error).where(JobRun.job == job.name))
        rt.session.rollback()
        raise JobFailed(f"{job.name}: {error}")


def _deliver(is_wanted: IsWanted, rt: Runtime) -> dict[str, int]:
    def word(delivery: Delivery) -> Mail | None:
        wanted = is_wanted(delivery.customer_id, delivery.created_at)
        return compose(rt, delivery) if wanted else None

    total = 0
    while done := deliver_due(rt, word, limit=_AT_ONCE).delivered:
        total += done
    return {"delivered": total, "failed": 0, "dead": 0}
