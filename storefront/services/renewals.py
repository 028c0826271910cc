"""Open the next period of everything due, exactly once, and charge for it.

Claim, read, decide and price, write in one transaction per batch, send, record. What is due
and who holds it is decided in the database, so any number of workers may run this at once,
and one that dies anywhere leaves nothing to repair: its claims run out, its planned attempts
are sent by the next, its sent ones are looked up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from storefront import charges, tax_desk
from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.domain.lifecycle import HoldReason
from storefront.domain.renewals import UNDELIVERABLE, Fate
from storefront.models import ParkedWork, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.operations.lateness import note_late
from storefront.operations.moment import Moment
from storefront.operations.openings import CatchUp, Opening, decide_opening, open_periods
from storefront.operations.renewals import Claim, claim_due, count_due, give_back, read_batch
from storefront.operations.results import Recorded
from storefront.operations.subscriptions import StaleSubscription
from storefront.operations.undeliverable import tell_undeliverable
from storefront.runtime import Runtime

log = logging.getLogger(__name__)

#: Claims taken at once; the transactions that write them are smaller (``batch_size``).
CLAIM = 500


@dataclass(slots=True)
class RenewalReport:
    """What one run did, in subscriptions; ``charges`` counts the gateway's answers."""

    claimed: int = 0
    billed: int = 0
    skipped: int = 0
    freed: int = 0
    ended: int = 0
    held: int = 0
    paused: int = 0
    waiting: int = 0
    parked: int = 0
    charges: Recorded = field(default_factory=Recorded)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: what it did so far, and whom it tells how many charges a batch planned."""

    rt: Runtime
    report: RenewalReport
    planned: Callable[[int], None]


def run_renewals(
    rt: Runtime,
    *,
    limit: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> RenewalReport:
    """Renew everything due, up to ``limit`` subscriptions, and send every planned charge.

    While charges fly the next periods are opened. Holds no transaction while a gateway is
    asked; memory does not grow with what is due.
    Does nothing while charging is held or the live-lock does not match.
    """
    if not charges.may_charge(rt):
        return RenewalReport()
    with charges.Sending(rt) as sending:
        run = _Run(rt, RenewalReport(), sending.planned)
        while charges.may_charge(rt) and (claimed := _open_next(run, limit)):
            if on_progress is not None:
                on_progress(claimed)
            sending.wait_for_room()
        sending.finish()
    run.report.charges = sending.recorded
    return run.report


def open_due(rt: Runtime, *, limit: int | None = None) -> RenewalReport:
    """Open the next period of everything due, up to ``limit``, and leave the charges planned.

    Does nothing while charging is held or the live-lock does not match.
    """
    run = _Run(rt, RenewalReport(), lambda _count: None)
    while charges.may_charge(rt) and _open_next(run, limit):
        pass
    return run.report


def due_count(rt: Runtime) -> int:
    """Return how many subscriptions are due now."""
    with reading():
        count = count_due(rt.session, rt.now())
        rt.session.rollback()
    return count


def _open_next(run: _Run, limit: int | None) -> int:
    """Claim some of what is due and open their periods; returns how many were claimed."""
    rt, report = run.rt, run.report
    # No more at first than are written at once: the gateway has nothing to do until then.
    size = CLAIM if report.claimed else rt.settings.batch_size
    size = size if limit is None else min(size, limit - report.claimed)
    if size <= 0:
        return 0
    failpoint("renewal.before_claim")
    moment, lease = rt.moment(), timedelta(seconds=rt.settings.lease_seconds)
    claims = retrying(rt.session, partial(_claim, rt, moment, size, lease))
    if claims:
        failpoint("renewal.after_claim")
        report.claimed += len(claims)
        _open_periods(run, claims, moment, moment.now + lease)
    return len(claims)


def _claim(rt: Runtime, moment: Moment, limit: int, lease: timedelta) -> list[Claim]:
    claims = claim_due(rt.session, moment, limit, lease)
    rt.session.commit()
    return claims


def _open_periods(run: _Run, claims: Sequence[Claim], moment: Moment, until: datetime) -> None:
    rt = run.rt
    with reading():
        facts = read_batch(rt.session, claims, rt.shop.countries)
        rt.session.rollback()
    taxes = tax_desk.rules_for(rt, facts.subscriptions, facts.addons)
    held = {claim.id: claim for claim in claims}
    rows = [row for row in facts.subscriptions if row.fence == held[row.id].fence]
    run.planned(0)
    catch_up = CatchUp(rt.shop.late_released_at, rt.shop.catch_up == "bill")
    size = rt.settings.batch_size
    for start in range(0, len(rows), size):
        openings = []
        for row in rows[start : start + size]:
            try:
                openings.append(decide_opening(held[row.id], row, facts, moment, taxes, catch_up))
            except Exception as error:
                log.exception("renewal of %s could not be decided", row.public_id)
                _park(rt, held[row.id], row, error, moment)
                run.report.parked += 1
        run.planned(_write(run, openings, moment, until) if openings else 0)


def _write(run: _Run, openings: Sequence[Opening], moment: Moment, until: datetime) -> int:
    """Write a batch in one transaction; in halves when a row will not go in, which is parked.

    Returns how many charges are planned now.
    """
    rt, report = run.rt, run.report
    try:
        planned = retrying(rt.session, partial(_commit, rt, openings, moment))
    except (sa.exc.IntegrityError, sa.exc.DataError, StaleSubscription) as error:
        rt.session.rollback()
        if len(openings) > 1:
            middle = len(openings) // 2
            first = _write(run, openings[:middle], moment, until)
            return first + _write(run, openings[middle:], moment, until)
        only = openings[0]
        if isinstance(error, StaleSubscription):
            # The customer changed it meanwhile, or another worker holds it: look again.
            give_back(rt.session, [only.claim], until, moment.now)
            rt.session.commit()
            report.waiting += 1
            return 0
        log.exception("renewal of %s failed and is parked", only.row.public_id)
        _park(rt, only.claim, only.row, error, moment)
        report.parked += 1
        return 0
    for opening in openings:
        name = _COUNTED[opening.decision.fate]
        setattr(report, name, getattr(report, name) + 1)
    failpoint("renewal.after_planned")
    return planned


_COUNTED = {
    Fate.WAIT: "waiting",
    Fate.END: "ended",
    Fate.FREE: "freed",
    Fate.SKIP: "skipped",
    Fate.BILL: "billed",
    Fate.HOLD: "held",
    Fate.PAUSE: "paused",
}


def _commit(rt: Runtime, openings: Sequence[Opening], moment: Moment) -> int:
    planned = open_periods(rt.session, openings, moment, rt.shop.seller, rt.minimums)
    if any(opening.decision.reason == HoldReason.OUTAGE for opening in openings):
        note_late(rt.session)
    refused = [one.row for one in openings if one.decision.reason == UNDELIVERABLE]
    tell_undeliverable(rt.session, [(row, row.next_on) for row in refused], moment)
    failpoint("renewal.before_planned_commit")
    rt.session.commit()
    return planned


def _park(rt: Runtime, claim: Claim, row: AnyRow, error: Exception, moment: Moment) -> None:
    """Take the row out of the run until a person looks at it; the others go on."""
    table = table_of(Subscription)
    rt.session.execute(
        sa.update(table)
        .where(table.c.id == claim.id, table.c.fence == claim.fence)
        .values(parked_at=moment.now, renews_at=claim.due_at, version=table.c.version + 1)
    )
    rt.session.execute(
        sa.insert(table_of(ParkedWork)).values(
            kind="renewal",
            subject=row.public_id,
            reason=error.code if isinstance(error, DomainError) else type(error).__name__,
            detail=str(error)[:2000],
            parked_at=moment.now,
        )
    )
    rt.session.commit()
