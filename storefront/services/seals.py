"""Seal the finished days of the ledger, and check every seal again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.operations import seals
from storefront.operations.seals import DayHash, Verdict
from storefront.runtime import Runtime

#: A transaction that began before midnight may commit after it; by then it has.
GRACE = timedelta(hours=1)


def seal_days(rt: Runtime) -> dict[str, int]:
    """Seal every UTC day that is over since an hour and not sealed, oldest first.

    Hashing reads without holding a write lock; a day that got another row meanwhile waits
    for the next run, and so do the days after it.
    """
    count = 0
    while (made := _next(rt)) is not None and _write(rt, made):
        count += 1
    return {"days": count}


def verify_ledger(rt: Runtime, report: Callable[[int, int], None] | None = None) -> Verdict:
    """Work out every seal again and name the first day that does not fit."""
    rt.session.rollback()
    with reading():
        try:
            return seals.verify_seals(rt.session, report)
        finally:
            rt.session.rollback()


def _next(rt: Runtime) -> DayHash | None:
    rt.session.rollback()
    with reading():
        try:
            last = seals.last_seal(rt.session)
            day = last[0] + timedelta(days=1) if last else seals.first_day(rt.session)
            if day is None or seals.bounds(day)[1] + GRACE > rt.now().astimezone(UTC):
                return None
            return seals.hash_day(rt.session, day, last[1] if last else seals.START)
        finally:
            rt.session.rollback()


def _write(rt: Runtime, made: DayHash) -> bool:
    failpoint("seal.before_insert")

    def write() -> bool:
        written = seals.write_seal(rt.session, made, rt.now())
        rt.session.commit()
        return written

    return retrying(rt.session, write)
