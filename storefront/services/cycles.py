"""Plan the rounds ahead, and lock those whose day is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.boxes import BoxState
from storefront.domain.cycles import plan_cycles
from storefront.domain.errors import DomainError
from storefront.domain.packing import Turn
from storefront.models import Box, BoxCycle
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations import cycles as rounds
from storefront.operations.audit import Who
from storefront.operations.choices import has_choices
from storefront.operations.gifts import move_unclaimed
from storefront.operations.keys import AnyRow
from storefront.operations.packing import Decided, boxes_to_decide, decide_boxes
from storefront.operations.shortages import may_credit
from storefront.operations.subscriptions import decide_again
from storefront.operations.swaps import has_swaps
from storefront.runtime import Runtime

#: Boxes decided in one transaction, so that SQLite's lock is free again after some 50 ms.
SLICE = 100
#: Where boxes may be credited for what ran out: each of them takes some fifteen statements.
CREDITING_SLICE = 20

Report = Callable[[int, int], None]


class CycleNotFound(DomainError):
    """There is no such cycle."""

    code = "cycle_not_found"


class LockNotDue(DomainError):
    """The cycle's lock day is not over."""

    code = "lock_not_due"


@dataclass(slots=True)
class PlanReport:
    """What planning ahead did."""

    made: int = 0
    opened: int = 0
    seated: int = 0


@dataclass(slots=True)
class CloseReport:
    """What closing did: cycles locked now, boxes decided."""

    cycles: list[str] = field(default_factory=list)
    boxes: Decided = field(default_factory=Decided)


def plan_ahead(rt: Runtime, days: int = 400) -> PlanReport:
    """Generate every group's cycles for the next ``days``, open the next ones, seat boxes.

    Running it again changes nothing. Cycles whose lock day is over are not made.
    """
    report = PlanReport()
    moment = rt.moment()
    start, until = moment.today - rounds.LOOK_BACK, moment.today + timedelta(days=days)
    with reading():
        found = rounds.groups(rt.session)
        rt.session.rollback()
    for known in found:
        off = rounds.read_days_off(rt.session, for_update=True)
        # Read again: who changes a rhythm holds the days off, too.
        group = rounds.groups(rt.session, known.id)[0]
        wanted = [
            cycle
            for cycle in plan_cycles(group.rhythm, max(start, group.rhythm.anchor), until, off)
            if cycle.lock_on >= moment.today
        ]
        report.made += rounds.insert_cycles(rt.session, group.id, wanted)
        rt.session.commit()
    report.opened = rounds.open_cycles(rt.session, moment.today)
    rt.session.commit()
    report.seated = _seat_waiting(rt)
    return report


def _seat_waiting(rt: Runtime) -> int:
    seated, after = 0, 0
    while True:
        rows = rounds.waiting_boxes(rt.session, after, SLICE)
        seated += rounds.seat_boxes(rt.session, rows, rt.moment())
        rt.session.commit()
        if len(rows) < SLICE:
            return seated
        after = rows[-1].id


def close_cycles(rt: Runtime, report: Report | None = None) -> CloseReport:
    """Lock every cycle whose lock day is over: the last second of that day in shop time.

    In slices of 100 boxes at most, each decided in one transaction; after a crash at any point the
    next run goes on where it stopped. Running it again changes nothing.
    """
    done = CloseReport()
    with reading():
        due = rounds.due_cycles(rt.session, rt.today())
        rt.session.rollback()
    for cycle in due:
        _close(rt, cycle, done, report)
    return done


def close_cycle(rt: Runtime, cycle_ref: str, who: Who | None = None) -> CloseReport:
    """Lock one cycle by hand. Raises ``CycleNotFound``, and ``LockNotDue`` before its time."""
    with reading():
        table = table_of(BoxCycle)
        known = rt.session.execute(
            sa.select(table.c.id).where(table.c.public_id == cycle_ref)
        ).one_or_none()
        due = [c for c in rounds.due_cycles(rt.session, rt.today()) if c.public_id == cycle_ref]
        rt.session.rollback()
    if known is None:
        raise CycleNotFound(cycle=cycle_ref)
    if not due:
        raise LockNotDue(cycle=cycle_ref)
    done = CloseReport()
    _close(rt, due[0], done, None)
    if who is not None:
        after = {"locked": done.boxes.locked, "held": dict(done.boxes.held)}
        audit.write(rt.session, who.id, "cycle.locked", cycle_ref, {}, after, rt.moment(), who.ip)
        rt.session.commit()
    return done


def _close(rt: Runtime, cycle: AnyRow, done: CloseReport, report: Report | None) -> None:
    decide_again(rt.session, partial(_keep_unclaimed, rt, cycle.id))
    total = _undecided(rt, cycle.id)
    countries, size = rt.shop.countries, _slice_size(rt, total)
    before = done.boxes.total
    for turn in _turns(rt, cycle.id):
        last = 0
        while True:
            slice_ = partial(_decide_slice, rt, cycle.id, countries, turn, last, size)
            decided, last = retrying(rt.session, slice_)
            if not decided.total:
                break
            failpoint("close.after_slice")
            done.boxes.add(decided)
            if report is not None:
                report(min(done.boxes.total - before, total), total)
    locked = rounds.mark_locked(rt.session, cycle.id, rt.moment())
    rt.session.commit()
    if locked:
        done.cycles.append(cycle.public_id)


def _keep_unclaimed(rt: Runtime, cycle_id: int) -> None:
    """Move gift boxes that nobody has claimed behind the last one, before anything is decided."""
    if move_unclaimed(rt.session, rt.moment(), table_of(Box).c.cycle_id == cycle_id):
        rt.session.commit()
    else:
        rt.session.rollback()


def _turns(rt: Runtime, cycle_id: int) -> list[Turn]:
    """Return whose boxes are decided when; those that nobody has are left out.

    First the boxes somebody chose for, so that filling the others takes nothing from them; last
    those with swaps, which take nothing from a recipe.
    """
    with reading():
        chosen, swapped = has_choices(rt.session, cycle_id), has_swaps(rt.session, cycle_id)
        rt.session.rollback()
    return [Turn.CHOSEN] * chosen + [Turn.PLAIN] * swapped + [Turn.REST]


def _slice_size(rt: Runtime, boxes: int) -> int:
    with reading():
        crediting = may_credit(rt.session, boxes)
        rt.session.rollback()
    return min(SLICE, CREDITING_SLICE) if crediting else SLICE


def _decide_slice(
    rt: Runtime, cycle_id: int, countries: tuple[str, ...], turn: Turn, after: int, size: int
) -> tuple[Decided, int]:
    """Decide a slice; return what came of it and its last box, 0 when there was none."""
    planned = BoxState.PLANNED
    rows = boxes_to_decide(rt.session, cycle_id, planned, size, turn=turn, after=after)
    decided = decide_boxes(rt.session, rows, cycle_id, countries, rt.moment())
    failpoint("close.before_commit")
    rt.session.commit()
    return decided, rows[-1].id if rows else 0


def _undecided(rt: Runtime, cycle_id: int) -> int:
    table = table_of(Box)
    with reading():
        count = rt.session.scalar(
            sa.select(sa.func.count()).where(
                table.c.cycle_id == cycle_id, table.c.state == BoxState.PLANNED
            )
        )
        rt.session.rollback()
    return count or 0
