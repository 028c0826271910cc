"""The worker's jobs in a story: run on days on which something is due, mail without its weight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from storefront.adapters.mail import Mail
from storefront.database import reading
from storefront.domain.boxes import BoxState, CycleState
from storefront.jobs.work import (
    CLOSE_CYCLES,
    DUNNING,
    EXPORT,
    JOBS,
    LOOK_UPS,
    OUTBOX,
    REFUNDS,
    RENEWALS,
    SELF_CHECK,
    Job,
    run_job,
)
from storefront.mails import compose
from storefront.models import (
    Box,
    BoxCycle,
    ChargeAttempt,
    DunningCase,
    JobRun,
    OutboxMessage,
    Refund,
    Subscription,
)
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.services.outbox import Delivery, deliver_due

#: Says whether a mail to this customer, made at this instant, is worth writing to a file.
IsWanted = Callable[[int | None, datetime], bool]
_AT_ONCE = 1000


class JobFailed(RuntimeError):
    """A job of the worker broke while the story was told."""


def do_chores(
    rt: Runtime, is_wanted: IsWanted, *, everything: bool = False, is_last: bool = False
) -> None:
    """Run the jobs that have something to do now, in the worker's order, or all of them.

    Mails that are not wanted count as delivered and leave no file: years of mail would take
    longer than everything else. The self-check only reads, so it is asked once, at the last
    call: each night of a year takes a tenth of the story. Raises ``JobFailed``.
    """
    due = {job.name for job in JOBS} if everything or is_last else _due(rt)
    if not is_last:
        due.discard(SELF_CHECK.name)
    for job in JOBS:
        if job.name in due:
            _run(rt, Job(job.name, partial(_deliver, is_wanted)) if job is OUTBOX else job)


def send_mails(rt: Runtime, is_wanted: IsWanted) -> None:
    """Deliver what waits in the outbox, as the worker would by now. Raises ``JobFailed``."""
    message = table_of(OutboxMessage)
    waits = sa.exists().where(message.c.state == "waiting", message.c.due_at <= rt.now())
    with reading():
        is_due = rt.session.scalar(sa.select(waits))
        rt.session.rollback()
    if is_due:
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


def _due(rt: Runtime) -> set[str]:
    """Return the names of jobs with something to do, but for mails and orders left lying."""
    now, today = rt.now(), rt.today()
    subscription, attempt = table_of(Subscription), table_of(ChargeAttempt)
    case, refund = table_of(DunningCase), table_of(Refund)
    cycle, box = table_of(BoxCycle), table_of(Box)
    questions: dict[Job, tuple[Any, ...]] = {
        LOOK_UPS: (attempt.c.check_at <= now,),
        RENEWALS: (subscription.c.renews_at <= now,),
        DUNNING: (case.c.state == "open", case.c.next_at <= now),
        REFUNDS: (refund.c.state == "planned",),
        CLOSE_CYCLES: (
            cycle.c.lock_on < today,
            cycle.c.state.in_([CycleState.PLANNED, CycleState.OPEN]),
        ),
        EXPORT: (box.c.state == BoxState.LOCKED, box.c.batch_id.is_(None)),
    }
    asked = [sa.exists().where(*each).label(job.name) for job, each in questions.items()]
    with reading():
        row = rt.session.execute(sa.select(*asked)).one()
        rt.session.rollback()
    found = {name for name, is_due in row._mapping.items() if is_due}
    # What is locked now is exported now.
    return found | ({EXPORT.name} if CLOSE_CYCLES.name in found else set())
