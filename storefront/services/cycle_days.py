"""Give one cycle other days than its rhythm gave it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.cycle_days import Around, DayProblem, Days, problem_of_days
from storefront.domain.errors import DomainError
from storefront.models import BoxCycle, CycleGroup
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.cycles import UNLOCKED, read_days_off
from storefront.operations.keys import AnyRow
from storefront.operations.second_payments import next_payments
from storefront.runtime import Runtime


class CycleGone(DomainError):
    """There is no such cycle, or the lock has reached it."""

    code = "cycle_gone"


class DaysDoNotFit(DomainError):
    """The days are refused; ``problem`` says which and why."""

    code = "days_do_not_fit"

    def __init__(self, problem: DayProblem) -> None:
        super().__init__(problem=problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class NewDays:
    """The days a cycle is to have."""

    cutoff_on: date
    lock_on: date
    ship_from: date
    ship_to: date
    #: First and last day on which orders begin with it; None: from the start, up to the cut-off.
    sells_from: date | None = None
    sells_until: date | None = None


def set_cycle_days(rt: Runtime, who: Who, cycle: str, wanted: NewDays) -> bool:
    """Give an unlocked cycle its own days; False when nothing differs.

    The boxes in it and every payment stay. Raises ``CycleGone`` and ``DaysDoNotFit``.
    """

    def write() -> bool:
        rows = _rows(rt, cycle)
        at = next((n for n, row in enumerate(rows) if row.public_id == cycle), None)
        if at is None or rows[at].state not in UNLOCKED or rows[at].lock_on < rt.today():
            raise CycleGone(ref=cycle)
        now = _days(rows[at])
        new = replace(
            now,
            cutoff_on=wanted.cutoff_on,
            lock_on=wanted.lock_on,
            ship_from=wanted.ship_from,
            ship_to=wanted.ship_to,
            sells_from=wanted.sells_from,
            sells_until=wanted.sells_until,
        )
        if new == now:
            rt.session.rollback()
            return False
        problem = problem_of_days(now, new, _around(rt, rows, at), rt.today())
        if problem is not None:
            raise DaysDoNotFit(problem)
        _save(rt, who, rows[at], now, new)
        rt.session.commit()
        return True

    return retrying(rt.session, write)


def _rows(rt: Runtime, cycle: str) -> list[AnyRow]:
    """Return the cycles of the group in the order in which they leave."""
    table = table_of(BoxCycle)
    group = sa.select(table.c.group_id).where(table.c.public_id == cycle).scalar_subquery()
    # One at a time: two staff must not move neighbours past each other. And no box joins the
    # cycle until the commit, so that what is said of first boxes holds.
    groups = table_of(CycleGroup)
    mine = sa.select(groups.c.id).where(groups.c.id == group)
    rt.session.execute(mine.with_for_update(key_share=True))
    rt.session.execute(sa.select(table.c.id).where(table.c.public_id == cycle).with_for_update())
    found = rt.session.execute(
        sa.select(table)
        .where(table.c.group_id == group)
        .order_by(table.c.ship_from, table.c.lock_on, table.c.id)
    )
    return list(found)


def _around(rt: Runtime, rows: list[AnyRow], at: int) -> Around:
    off = read_days_off(rt.session)
    pays = next_payments(rt.session, rows[at].group_id, rows, [rows[at].id])
    return Around(
        _days(rows[at - 1]) if at else None,
        _days(rows[at + 1]) if at + 1 < len(rows) else None,
        pays.get(rows[at].id),
        off.holidays,
        off.weekdays,
    )


def _days(row: AnyRow) -> Days:
    return Days(
        row.charge_on,
        row.cutoff_on,
        row.lock_on,
        row.ship_from,
        row.ship_to,
        row.sells_from,
        row.sells_until,
    )


_NAMES = ("cutoff_on", "lock_on", "ship_from", "ship_to", "sells_from", "sells_until")


def _written(days: Days) -> dict[str, str | None]:
    """Return the days as the audit keeps them."""
    found = {name: getattr(days, name) for name in _NAMES}
    return {name: day.isoformat() if day else None for name, day in found.items()}


def _save(rt: Runtime, who: Who, row: AnyRow, now: Days, new: Days) -> None:
    table = table_of(BoxCycle)
    values = {name: getattr(new, name) for name in _NAMES}
    # A ship day that nobody changed still comes of the same planned one.
    planned = row.planned_from if new.ship_from == now.ship_from else new.ship_from
    done = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state.in_(UNLOCKED))
        .values(**values, planned_from=planned, own_days=True)
        .returning(table.c.id)
    )
    if done.first() is None:
        # The worker locked it in this moment.
        raise CycleGone(ref=row.public_id)
    audit.write(
        rt.session,
        who.id,
        "cycle.days",
        row.public_id,
        _written(now),
        _written(new),
        rt.moment(),
        who.ip,
    )
    raise_version(rt.session)
