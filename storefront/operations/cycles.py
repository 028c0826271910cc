"""Generate cycles, open them, and seat the boxes that waited for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.boxes import BoxKind, BoxState, CycleSlot, CycleState, assign_cycles
from storefront.domain.cycles import (
    SUNDAYS,
    CycleDates,
    CycleRhythm,
    DaysOff,
    leaving_day,
    plan_cycles,
    planned_day,
)
from storefront.domain.periods import Interval, add_interval
from storefront.models import (
    Box,
    BoxCycle,
    CycleGroup,
    FirstBoxPlace,
    Plan,
    ShopSettings,
    SubscriptionPeriod,
)
from storefront.models.base import public_ids, table_of
from storefront.operations.boxes import CycleUse, cycle_use, slots_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, Values

#: How far back a group's first cycles are looked for: longer than any cycle's days reach.
LOOK_BACK = timedelta(days=62)
#: How long after its lock day a cycle may get another box: at each tick they are asked for one.
LATE_BOXES = timedelta(days=400)
#: Cycles that the lock has not reached.
UNLOCKED = (CycleState.PLANNED, CycleState.OPEN)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of plans and its rhythm."""

    id: int
    rhythm: CycleRhythm


def groups(session: AnySession, only: int | None = None) -> list[Group]:
    """Return every group of plans, or ``only`` this, with the rhythm its cycles are made from."""
    table = table_of(CycleGroup)
    wanted = sa.select(table) if only is None else sa.select(table).where(table.c.id == only)
    rows = session.execute(wanted.order_by(table.c.id))
    return [Group(row.id, rhythm_of(row)) for row in rows]


def rhythm_of(row: AnyRow) -> CycleRhythm:
    """Return the rhythm that a row of ``cycle_group`` says."""
    return CycleRhythm(
        interval=Interval(cast(Any, row.unit), row._mapping["count"]),
        charge_day=row.charge_day,
        anchor=row.anchor_on,
        cutoff_days_before_charge=row.cutoff_days,
        lock_days_after_charge=row.lock_days,
        ship_days_after_charge=row.ship_days,
        ship_window_days=row.ship_window_days,
    )


def read_days_off(session: AnySession, *, for_update: bool = False) -> DaysOff:
    """Return the days on which nothing leaves; ``for_update`` keeps them until the commit."""
    table = table_of(ShopSettings)
    statement = sa.select(table.c.holidays, table.c.closed_weekdays)
    row = session.execute(statement.with_for_update() if for_update else statement).one_or_none()
    if row is None:
        return SUNDAYS
    days = frozenset(date.fromisoformat(day) for day in row.holidays)
    return DaysOff(days, frozenset(row.closed_weekdays))


def move_ship_days(
    session: AnySession, group: Group, before: DaysOff, after: DaysOff, today: date
) -> int:
    """Move the ship days of a group's unlocked cycles from one list of days off to another.

    Each leaves on its planned day, also one that kept the days of a former rhythm, or on the
    next that is no day off; one that staff gave another ship day than its rhythm stays. Nothing
    else about a cycle changes. Returns how many moved.
    """
    found = _planned(session, group, before, today)
    new = [
        row.ship_from
        if row.own_days and not is_as_made
        else leaving_day(planned, row.lock_on, after)
        for row, planned, is_as_made in found
    ]
    _write_ship_days(
        session,
        [
            {"at": row.id, "from": day, "to": day + (row.ship_to - row.ship_from), "planned": on}
            for (row, on, _), day in zip(found, new, strict=True)
        ],
    )
    return sum(row.ship_from != day for (row, _, _), day in zip(found, new, strict=True))


def note_planned_days(session: AnySession, group: Group, off: DaysOff, today: date) -> None:
    """Note what ``off`` moved the unlocked cycles from, before the group gets another rhythm."""
    _write_ship_days(
        session,
        [
            {"at": row.id, "from": row.ship_from, "to": row.ship_to, "planned": planned}
            for row, planned, _ in _planned(session, group, off, today)
            if planned != row.planned_from
        ],
    )


def _planned(
    session: AnySession, group: Group, off: DaysOff, today: date
) -> list[tuple[AnyRow, date, bool]]:
    """Return the unlocked cycles, their ship days without ``off``, and if the rhythm made these."""
    table = table_of(BoxCycle)
    rows = session.execute(
        sa.select(table)
        .where(table.c.group_id == group.id, table.c.state.in_(UNLOCKED), table.c.lock_on >= today)
        .order_by(table.c.id)
    ).all()
    if not rows:
        return []
    start, until = today - LOOK_BACK, max(row.lock_on for row in rows) + LOOK_BACK
    cycles = plan_cycles(group.rhythm, max(start, group.rhythm.anchor), until, off)
    made = {one.key: one for one in cycles}
    found = []
    for row in rows:
        now = CycleDates(
            row.key, row.charge_on, row.cutoff_on, row.lock_on, row.ship_from, row.ship_to
        )
        rhythm = made.get(row.key)
        planned = planned_day(row.planned_from, now, rhythm, off)
        found.append((row, planned, rhythm is not None and rhythm.planned_from == planned))
    return found


def _write_ship_days(session: AnySession, days: Sequence[dict[str, object]]) -> None:
    table = table_of(BoxCycle)
    if days:
        session.connection().execute(
            sa.update(table)
            .where(table.c.id == sa.bindparam("at"))
            .values(
                ship_from=sa.bindparam("from"),
                ship_to=sa.bindparam("to"),
                planned_from=sa.bindparam("planned"),
            ),
            days,
        )


def insert_cycles(session: AnySession, group_id: int, cycles: Sequence[CycleDates]) -> int:
    """Insert those ``cycles`` that the group does not have yet; returns how many they are."""
    if not cycles:
        return 0
    table = table_of(BoxCycle)
    known = set(session.scalars(sa.select(table.c.key).where(table.c.group_id == group_id)))
    fresh = [cycle for cycle in cycles if cycle.key not in known]
    rows = [
        {
            "public_id": public,
            "group_id": group_id,
            "key": cycle.key,
            "charge_on": cycle.charge_on,
            "cutoff_on": cycle.cutoff_on,
            "lock_on": cycle.lock_on,
            "ship_from": cycle.ship_from,
            "ship_to": cycle.ship_to,
            "planned_from": cycle.planned_from,
            "state": CycleState.PLANNED,
        }
        for public, cycle in zip(public_ids("cyc", len(fresh)), fresh, strict=True)
    ]
    if rows:
        dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
        insert: Any = dialect.insert(table)
        # Another worker may insert the same ones in this moment.
        session.execute(insert.on_conflict_do_nothing(index_elements=["group_id", "key"]), rows)
    return len(rows)


def open_cycles(session: AnySession, today: date) -> int:
    """Open, in every group, the next cycle whose cut-off has not passed and those before it."""
    table = table_of(BoxCycle)
    done: Any = session.execute(
        sa.update(table)
        .where(_opens(table))
        .values(state=CycleState.OPEN)
        .execution_options(synchronize_session=False),
        {"today": today},
    )
    return int(done.rowcount)


def _opens(table: sa.Table) -> sa.ColumnElement[bool]:
    coming = table.alias("coming")
    today = sa.bindparam("today", type_=table.c.cutoff_on.type)
    next_cutoff = (
        sa.select(sa.func.min(coming.c.cutoff_on))
        .where(coming.c.group_id == table.c.group_id, coming.c.cutoff_on >= today)
        .scalar_subquery()
    )
    return sa.and_(table.c.state == CycleState.PLANNED, table.c.cutoff_on <= next_cutoff)


def waiting_boxes(session: AnySession, after_id: int, limit: int) -> list[AnyRow]:
    """Return up to ``limit`` boxes without a cycle behind ``after_id``, in the order paid."""
    waiting = _waiting_boxes().with_for_update(of=table_of(Box))
    return list(session.execute(waiting, {"after": after_id, "size": limit}))


@cache
def _waiting_boxes() -> AnySelect:
    box, period, plan = table_of(Box), table_of(SubscriptionPeriod), table_of(Plan)
    first = table_of(FirstBoxPlace)
    return (
        sa.select(
            box.c.id,
            box.c.subscription_id,
            box.c.ordinal,
            sa.func.coalesce(first.c.places_from, period.c.start_on).label("start_on"),
            plan.c.cycle_group_id,
            plan.c.shipping_unit,
            plan.c.shipping_count,
        )
        .join(period, period.c.id == box.c.period_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(first, first.c.period_id == period.c.id)
        .where(
            box.c.cycle_id.is_(None),
            box.c.id > sa.bindparam("after", type_=box.c.id.type),
            box.c.kind == BoxKind.REGULAR,
            box.c.state.in_((BoxState.PLANNED, BoxState.HELD)),
            plan.c.cycle_group_id.is_not(None),
        )
        .order_by(box.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )


def _to_plan() -> list[AnySelect]:
    table, group = table_of(BoxCycle), table_of(CycleGroup)
    today = sa.bindparam("today", type_=table.c.lock_on.type)
    ahead = sa.exists().where(table.c.group_id == group.c.id, table.c.lock_on >= today)
    return [
        _waiting_boxes(),
        sa.select(table.c.id).where(_opens(table)),
        sa.select(group.c.id).where(sa.not_(ahead)),
    ]


def _from_today(moment: Moment) -> Values:
    return {"today": moment.today, "after": 0}


#: Whether boxes wait for a cycle, a cycle is to be opened, or a group has none ahead. Which
#: cycles a new day adds at the far end only the rhythm knows: that is asked by running.
PLANNING_DUE = Question(_to_plan, _from_today)


def seat_boxes(session: AnySession, rows: Sequence[AnyRow], moment: Moment) -> int:
    """Give the boxes of ``waiting_boxes`` their cycles; returns how many found one.

    By order: a box joins behind the cycles that its subscription's boxes already have.
    Source: docs/decisions/0018-boxes-join-cycles-by-order.md.
    """
    if not rows:
        return 0
    slots = slots_of(session, {row.cycle_group_id for row in rows}, moment.today)
    use = cycle_use(session, list({row.subscription_id for row in rows}))
    last: dict[int, date] = defaultdict(lambda: moment.today)
    seats = []
    for row in rows:
        own = slots.get(row.cycle_group_id, [])
        seat = _seat(row, own, use, last)
        if seat is not None:
            use.taken[row.subscription_id].add(seat.id)
            seats.append({"key": row.id, "new_cycle": seat.id})
    table = table_of(Box)
    if seats:
        session.connection().execute(
            sa.update(table)
            .where(table.c.id == sa.bindparam("key"), table.c.cycle_id.is_(None))
            .values(cycle_id=sa.bindparam("new_cycle")),
            seats,
        )
    return len(seats)


def _seat(
    row: AnyRow, slots: Sequence[CycleSlot], use: CycleUse, last: dict[int, date]
) -> CycleSlot | None:
    taken = use.taken[row.subscription_id]
    behind = [slot.lock_on + timedelta(days=1) for slot in slots if slot.id in taken]
    shipping = Interval(cast(Any, row.shipping_unit), row.shipping_count)
    place = add_interval(row.start_on, shipping, row.ordinal - 1)
    earliest = max([last[row.subscription_id], *behind])
    found = assign_cycles(
        slots,
        taken,
        use.skipped[row.subscription_id],
        1,
        earliest,
        start=place,
        shipping=shipping,
    )[0]
    if found is None:
        # The boxes behind this one wait too, so that they keep their order.
        last[row.subscription_id] = date.max
    return found


def due_cycles(session: AnySession, today: date) -> list[AnyRow]:
    """Return the cycles whose lock day is over and that hold undecided boxes, oldest first.

    A payment of the last second may commit its box after the cycle was locked, and a box that
    leaves now joins one that is; the next run finds that cycle once more, for ``LATE_BOXES`` long.
    """
    return list(session.execute(_due_cycles(), _late(today)))


@cache
def _due_cycles() -> AnySelect:
    table, box = table_of(BoxCycle), table_of(Box)
    late = sa.and_(
        table.c.lock_on >= sa.bindparam("late_from", type_=table.c.lock_on.type),
        sa.exists().where(box.c.cycle_id == table.c.id, box.c.state == BoxState.PLANNED),
    )
    return (
        sa.select(table.c.id, table.c.public_id, table.c.key, table.c.lock_on)
        .where(
            table.c.lock_on < sa.bindparam("today", type_=table.c.lock_on.type),
            sa.or_(table.c.state.in_(UNLOCKED), late),
        )
        .order_by(table.c.lock_on, table.c.id)
    )


def _late(today: date) -> Values:
    return {"today": today, "late_from": today - LATE_BOXES}


#: Whether cycles are to be locked.
LOCKS_DUE = Question(lambda: [_due_cycles()], lambda moment: _late(moment.today))


def mark_locked(session: AnySession, cycle_id: int, moment: Moment) -> bool:
    """Lock the cycle if all its boxes are decided; says whether it is locked now."""
    table, box = table_of(BoxCycle), table_of(Box)
    undecided = sa.exists().where(box.c.cycle_id == cycle_id, box.c.state == BoxState.PLANNED)
    done: Any = session.execute(
        sa.update(table)
        .where(table.c.id == cycle_id, table.c.state.in_(UNLOCKED), ~undecided)
        .values(state=CycleState.LOCKED, locked_at=moment.now)
    )
    return bool(done.rowcount)


def mark_shipped(session: AnySession, cycle_id: int) -> bool:
    """Note that the last box of a locked cycle has left, if it has."""
    table, box = table_of(BoxCycle), table_of(Box)
    here = sa.exists().where(
        box.c.cycle_id == cycle_id,
        box.c.state.in_((BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED)),
    )
    done: Any = session.execute(
        sa.update(table)
        .where(table.c.id == cycle_id, table.c.state == CycleState.LOCKED, ~here)
        .values(state=CycleState.SHIPPED)
    )
    return bool(done.rowcount)
