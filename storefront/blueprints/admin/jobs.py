"""How the worker does: the last run of each job, and what it set aside."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.mismatches import add_mismatches
from storefront.blueprints.admin.words import decline_reason, job_name, job_report
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.mismatches import AMOUNT_MISMATCH
from storefront.htmx import go
from storefront.jobs.work import JOBS
from storefront.queries import outbox as query
from storefront.queries.today import JobState, job_states
from storefront.security import register_policy, staff
from storefront.services import holds

_ACCESS = staff(permissions.JOBS_MANAGE)
_NAMES = {job.name for job in JOBS}
register_policy({"admin.jobs": _ACCESS, "admin.parked_try_again": _ACCESS})


def add_jobs(bp: Blueprint) -> None:
    """Add the page, trying set-aside work again, and deciding about wrong amounts."""
    add_mismatches(bp)
    bp.add_url_rule("/jobs", "jobs", jobs)
    bp.add_url_rule(
        "/jobs/parked/<int:key>/try-again", "parked_try_again", try_again, methods=["POST"]
    )


def jobs() -> Response:
    """Show every job and everything that waits for a person."""
    return page("jobs/jobs", **_context())


def try_again(key: int) -> Response:
    """Put a failed row back into the run; other kinds of work are marked as seen."""
    try:
        done = holds.try_again(runtime(), who(), key)
    except holds.NeedsDecision as error:
        return go(url_for("admin.mismatch", payment=error.params["payment"]))
    text = (
        _("It is back in the run; the worker takes it next time.")
        if done
        else _("Somebody has done that already.")
    )
    return saved(text, "jobs/jobs", url_for("admin.jobs"), **_context())


def _context() -> dict[str, Any]:
    session = runtime().session
    ran = {job.name: job for job in job_states(session)}
    names = [job.name for job in JOBS] + [name for name in ran if name not in _NAMES]
    return {
        "jobs": [(job_name(name), ran.get(name), _said(ran.get(name))) for name in names],
        "parked": query.parked(session),
        "job_name": job_name,
        "decline_reason": decline_reason,
        "amount_mismatch": AMOUNT_MISMATCH,
    }


def _said(run: JobState | None) -> str:
    return job_report(run.report) if run else ""
