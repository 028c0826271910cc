"""Give one cycle other days than its rhythm gave it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.cycle_days import Around, DayProblem, Days, problem_of_days
from storefront.domain.cycles import CycleSlot, slot_for
from storefront.domain.errors import DomainError
from storefront.domain.lifecycle import UNPAID_KINDS
from storefront.models import Box, BoxCycle, CycleGroup, Subscription, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.cycles import UNLOCKED, read_days_off
from storefront.operations.group_rhythm import first_payments
from storefront.operations.keys import AnyRow
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
    return Around(
        _days(rows[at - 1]) if at else None,
        _days(rows[at + 1]) if at + 1 < len(rows) else None,
        _next_payment(rt, rows, at),
        off.holidays,
        off.weekdays,
    )


def _next_payment(rt: Runtime, rows: list[AnyRow], at: int) -> date | None:
    """Return the first day on which somebody whose first box leaves with the cycle pays again."""
    days = [_paid_again(rt, rows[at].id)]
    slots = [CycleSlot(r.id, r.charge_on, r.cutoff_on, r.lock_on, r.ship_from) for r in rows]
    for each in first_payments(rt.session, rows[at].group_id):
        slot = slot_for(slots, each.joins_on)
        if slot is not None and slot.id == rows[at].id:
            days.append(each.pays_again_on)
    return min((day for day in days if day is not None), default=None)


def _paid_again(rt: Runtime, cycle_id: int) -> date | None:
    """Return when the first of those pays again whose first box is in the cycle.

    That is the one that leaves first: after a trial it is in no first period, and behind a skip
    or a change of plan neither the first of its period nor of the first one paid.
    """
    box, sub = table_of(Box), table_of(Subscription)
    due = sa.case((sub.c.anchor_on > sub.c.next_on, sub.c.anchor_on), else_=sub.c.next_on)
    found: date | None = rt.session.scalar(
        sa.select(sa.func.min(due))
        .select_from(box)
        .join(sub, sub.c.id == box.c.subscription_id)
        .where(
            box.c.cycle_id == cycle_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
            sub.c.renews_at.is_not(None),
            ~_has_box_before(box),
            ~_came_from_elsewhere(sub),
        )
    )
    return found


def _has_box_before(box: sa.Table) -> sa.Exists:
    other, cycle, mine = box.alias("other"), table_of(BoxCycle), table_of(BoxCycle).alias("mine")
    return sa.exists().where(
        other.c.subscription_id == box.c.subscription_id,
        other.c.kind == BoxKind.REGULAR,
        other.c.state != BoxState.CANCELED,
        cycle.c.id == other.c.cycle_id,
        mine.c.id == box.c.cycle_id,
        cycle.c.lock_on < mine.c.lock_on,
    )


def _came_from_elsewhere(sub: sa.Table) -> sa.Exists:
    """Return whether a subscription was imported in the middle of what it had paid there."""
    period = table_of(SubscriptionPeriod)
    return sa.exists().where(
        period.c.subscription_id == sub.c.id,
        period.c.number == 0,
        period.c.box_count == 0,
        period.c.kind.not_in(UNPAID_KINDS),
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
    done = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state.in_(UNLOCKED))
        .values(**values, own_days=True)
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
