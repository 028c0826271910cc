"""Read what a change of a group's rhythm meets: its cycles, and who waits for a first box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.cycles import CycleDates, CycleRhythm, DaysOff, plan_cycles
from storefront.domain.lifecycle import ENDED, PeriodKind, PeriodState
from storefront.domain.periods import Interval, add_interval
from storefront.domain.rhythm_changes import FirstPayment, Round, Step
from storefront.models import (
    Box,
    BoxCycle,
    BoxNotice,
    ChoiceReminder,
    CycleGroup,
    FirstBoxPlace,
    Plan,
    Price,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.cycles import LOOK_BACK, UNLOCKED
from storefront.operations.keys import AnyRow, AnySession


def read_group(session: AnySession, ref: str, *, for_update: bool = False) -> AnyRow | None:
    """Return the group's row; ``for_update`` lets nobody else change it until the commit."""
    table = table_of(CycleGroup)
    wanted = sa.select(table).where(table.c.public_id == ref)
    found = session.execute(wanted.with_for_update(key_share=True) if for_update else wanted)
    return found.one_or_none()


def read_rounds(
    session: AnySession, group_id: int, today: date, *, for_update: bool = False
) -> list[Round]:
    """Return the group's cycles that have not left long ago.

    ``for_update`` also lets no box join one of them until the commit, so that what is said of
    their boxes holds.
    """
    cycle = table_of(BoxCycle)
    mine = sa.and_(cycle.c.group_id == group_id, cycle.c.ship_to >= today - LOOK_BACK)
    if for_update:
        # Asked for what is in them only after those who were adding to them are through.
        rows = sa.select(cycle.c.id).where(mine).order_by(cycle.c.id).with_for_update()
        session.execute(rows).all()
    found = session.execute(_rounds(cycle).where(mine).order_by(cycle.c.id)).all()
    awaited = _awaited(session, group_id, found)
    return [
        Round(
            row.id,
            CycleDates(
                row.key, row.charge_on, row.cutoff_on, row.lock_on, row.ship_from, row.ship_to
            ),
            is_locked=row.state not in UNLOCKED,
            has_boxes=bool(row.has_boxes),
            is_promised=bool(row.is_promised) or row.id in awaited,
            is_told=bool(row.is_told),
            has_own_days=row.own_days,
        )
        for row in found
    ]


def _rounds(cycle: sa.Table) -> sa.Select[Any]:
    box, first = table_of(Box), table_of(FirstBoxPlace)
    notice, reminder = table_of(BoxNotice), table_of(ChoiceReminder)
    has_boxes = sa.exists().where(box.c.cycle_id == cycle.c.id, box.c.state != BoxState.CANCELED)
    has_first = sa.exists().where(
        box.c.cycle_id == cycle.c.id,
        box.c.state != BoxState.CANCELED,
        box.c.kind == BoxKind.REGULAR,
        ~has_box_before(box),
    )
    is_told = sa.or_(
        sa.exists().where(notice.c.cycle_id == cycle.c.id),
        sa.exists().where(reminder.c.cycle_id == cycle.c.id),
    )
    return sa.select(
        cycle,
        has_boxes.label("has_boxes"),
        sa.or_(sa.exists().where(first.c.cycle_id == cycle.c.id), has_first).label("is_promised"),
        is_told.label("is_told"),
    )


def has_box_before(box: sa.Table) -> sa.Exists:
    """Return whether another box of its subscription leaves before one: it is not the first.

    Neither the number of its period says so nor its place there: behind a skip or a change of
    plan the first box of all may be any of them.
    """
    other, cycle, mine = box.alias("other"), table_of(BoxCycle), table_of(BoxCycle).alias("mine")
    return sa.exists().where(
        other.c.subscription_id == box.c.subscription_id,
        other.c.kind == BoxKind.REGULAR,
        other.c.state != BoxState.CANCELED,
        cycle.c.id == other.c.cycle_id,
        mine.c.id == box.c.cycle_id,
        cycle.c.lock_on < mine.c.lock_on,
    )


def _awaited(session: AnySession, group_id: int, cycles: Sequence[AnyRow]) -> set[int]:
    """Return the cycles that first boxes join once payments that are under way arrive.

    That is the first whose cut-off was not over on the day of the order, which is what its page
    told; one that was told another has a place of its own (``FirstBoxPlace``).
    """
    period, sub, plan = table_of(SubscriptionPeriod), table_of(Subscription), table_of(Plan)
    box = table_of(Box)
    ordered = session.scalars(
        sa.select(period.c.start_on)
        .select_from(period.join(sub, sub.c.id == period.c.subscription_id))
        .join(plan, plan.c.id == sub.c.plan_id)
        .where(
            plan.c.cycle_group_id == group_id,
            sub.c.state.not_in(ENDED),
            period.c.state == PeriodState.INVOICED,
            period.c.kind != PeriodKind.TRIAL,
            ~sa.exists().where(box.c.subscription_id == sub.c.id),
        )
        .distinct()
    )
    days = sorted((row.cutoff_on, row.id) for row in cycles)
    joined = (next((key for cutoff, key in days if cutoff >= day), None) for day in ordered)
    return {key for key in joined if key is not None}


def first_payments(session: AnySession, group_id: int) -> list[FirstPayment]:
    """Return when those of the group's plans pay who have no box yet, each pair of days once.

    That is after a trial or free days. The cycle of who waits for the first payment to arrive
    stays as it is: see ``read_rounds``.
    """
    sub, plan, price = table_of(Subscription), table_of(Plan), table_of(Price)
    box = table_of(Box)
    due = sa.case((sub.c.anchor_on > sub.c.next_on, sub.c.anchor_on), else_=sub.c.next_on)
    is_sent = sa.exists().where(
        box.c.subscription_id == sub.c.id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state != BoxState.CANCELED,
    )
    rows = session.execute(
        sa.select(
            due.label("due"),
            price.c.unit,
            price.c.count.label("unit_count"),
        )
        .join(plan, plan.c.id == sub.c.plan_id)
        .join(price, price.c.id == sub.c.price_id)
        .where(
            plan.c.cycle_group_id == group_id,
            sub.c.state.not_in(ENDED),
            sub.c.renews_at.is_not(None),
            ~is_sent,
        )
        .distinct()
    )
    return [
        FirstPayment(
            row.due, add_interval(row.due, Interval(cast(Any, row.unit), row.unit_count), 1)
        )
        for row in rows
    ]


def planned_days(
    rhythm: CycleRhythm, rounds: Sequence[Round], off: DaysOff, today: date
) -> Mapping[str, CycleDates]:
    """Return the days by key that ``rhythm`` gives the cycles from those that left last on."""
    start = max(today - 2 * LOOK_BACK, rhythm.anchor)
    last = max((one.days.lock_on for one in rounds), default=today)
    return {one.key: one for one in plan_cycles(rhythm, start, last + LOOK_BACK, off)}


def write_group(session: AnySession, group_id: int, name: str, rhythm: CycleRhythm) -> None:
    """Save name and rhythm; kind, interval and charge day stay as they are."""
    table = table_of(CycleGroup)
    session.execute(
        sa.update(table)
        .where(table.c.id == group_id)
        .values(
            name=name,
            cutoff_days=rhythm.cutoff_days_before_charge,
            lock_days=rhythm.lock_days_after_charge,
            ship_days=rhythm.ship_days_after_charge,
            ship_window_days=rhythm.ship_window_days,
        )
    )


def write_steps(session: AnySession, steps: Sequence[Step]) -> int:
    """Give the cycles their new days; returns how many moved."""
    table = table_of(BoxCycle)
    names = ("cutoff_on", "lock_on", "ship_from", "ship_to", "planned_from")
    # Also of those that leave as before: the day off that moves them may be taken back.
    days = [
        {"at": one.round.id} | {f"new_{name}": getattr(one.after, name) for name in names}
        for one in steps
        if one.kept is None
    ]
    if days:
        is_unlocked = sa.or_(*(table.c.state == state for state in UNLOCKED))
        session.connection().execute(
            sa.update(table)
            .where(table.c.id == sa.bindparam("at"), is_unlocked)
            .values({name: sa.bindparam(f"new_{name}") for name in names}),
            days,
        )
    return sum(one.moves for one in steps)
