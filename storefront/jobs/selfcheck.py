"""Ask every invariant each night and keep the answer for the health page and the staff."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.models import SelfCheck
from storefront.models.base import table_of
from storefront.operations.document_checks import changed_invoices
from storefront.operations.seals import verify_seals
from storefront.queries.invariant import Invariant
from storefront.queries.invariants import INVARIANTS
from storefront.queries.selfcheck import Checked, last_check
from storefront.runtime import Runtime

#: Examples kept of each broken invariant.
EXAMPLES = 5
#: Older answers are dropped; whether it was whole yesterday is what matters.
KEPT = timedelta(days=90)
#: How far back seals and documents are worked out again each night; the command
#: `verify-ledger` asks every seal.
CHECKED_AGAIN = timedelta(days=35)
#: The invariant of the seals, which no single query can ask.
SEALED = Invariant("L2", "no sealed day of the ledger was changed", "")
#: Nor this one: hashes are worked out here.
DOCUMENTS = Invariant("I1", "an issued invoice says what it said when it was issued", "")
EXTRA = (SEALED, DOCUMENTS)


def check_self(rt: Runtime, report: Callable[[int, int], None] | None = None) -> Checked:
    """Ask every invariant now and store what is broken, with a few examples of each.

    Each question is a read of its own, so no lock is held and a long one delays nobody.
    """
    began, broken = time.monotonic(), {}
    asked = (*INVARIANTS, *EXTRA)
    for done, invariant in enumerate(asked, start=1):
        found = _ask(rt, invariant)
        if found:
            broken[invariant.id] = found
        if report is not None:
            report(done, len(asked))
    took = round((time.monotonic() - began) * 1000)
    checked = Checked(rt.now(), took, not broken, broken)
    retrying(rt.session, lambda: _store(rt, checked))
    return checked


def check_nightly(rt: Runtime) -> dict[str, int]:
    """Do ``check_self`` once on each shop-local day; the worker asks more often than that.

    Returns the counts of the last answer either way, so that the job's note always says them.
    """
    with reading():
        checked = last_check(rt.session)
        rt.session.rollback()
    if checked is None or rt.day_of(checked.at) < rt.today():
        checked = check_self(rt)
    return {"asked": len(INVARIANTS) + len(EXTRA), "broken": len(checked.broken)}


def _ask(rt: Runtime, invariant: Invariant) -> list[str]:
    if invariant is SEALED:
        return _sealed(rt)
    if invariant is DOCUMENTS:
        with reading():
            found = changed_invoices(rt.session, rt.now() - CHECKED_AGAIN, EXAMPLES)
            rt.session.rollback()
        return found
    with reading():
        rows = rt.session.execute(sa.text(f"{invariant.sql} LIMIT {EXAMPLES}")).all()
        rt.session.rollback()
    return [str(row[0]) for row in rows]


def _sealed(rt: Runtime) -> list[str]:
    rt.session.rollback()
    with reading():
        verdict = verify_seals(rt.session, since=rt.today() - CHECKED_AGAIN)
        rt.session.rollback()
    return [] if verdict.broken_on is None else [f"{verdict.broken_on}: {verdict.reason}"]


def _store(rt: Runtime, checked: Checked) -> None:
    table = table_of(SelfCheck)
    rt.session.execute(
        sa.insert(table).values(
            at=checked.at,
            milliseconds=checked.milliseconds,
            is_whole=checked.is_whole,
            broken=checked.broken,
        )
    )
    rt.session.execute(sa.delete(table).where(table.c.at < checked.at - KEPT))
    rt.session.commit()
