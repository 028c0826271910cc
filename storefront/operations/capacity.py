"""Boxes that a cycle can make: count what is taken, and say where an order can begin.

Nothing is kept in a counter: the numbers follow from boxes, subscriptions and holds each time.
Source: docs/decisions/0188-capacity-of-a-cycle.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, CycleSlot
from storefront.domain.capacity import CycleUse, Rhythm, boxes_from, cycles_of, full_starts
from storefront.domain.cycles import in_order
from storefront.domain.first_boxes import FirstBox
from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.periods import Interval
from storefront.models import Box, BoxCycle, Checkout, CycleGroup, OrderHold, Plan, Subscription
from storefront.models.base import table_of
from storefront.operations.boxes import JOINABLE
from storefront.operations.kept_places import slot_columns
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.waiting import kept_for_invited

#: How far back a cycle may lie that a box still joins late.
_BACK = timedelta(days=62)


@dataclass(frozen=True, slots=True)
class Joins:
    """The boxes of one line of an order: where the first goes, and how many there are."""

    group_id: int
    first: CycleSlot
    count: int
    places_from: date
    shipping: Interval
    quantity: int


def has_capacity(group_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return whether the cycles of a group, or one of them, make a limited number of boxes."""
    group, cycle = table_of(CycleGroup).alias(), table_of(BoxCycle).alias()
    return sa.or_(
        sa.exists().where(group.c.id == group_id, group.c.capacity.is_not(None)),
        sa.exists().where(cycle.c.group_id == group_id, cycle.c.capacity.is_not(None)),
    )


def lock_groups(session: AnySession, plan_ids: Iterable[int]) -> set[int]:
    """Lock those groups of the plans that have a capacity, in the order of their keys."""
    group, plan, wanted = table_of(CycleGroup), table_of(Plan), set(plan_ids)
    if not wanted:
        return set()
    of_plans = sa.select(plan.c.cycle_group_id).where(plan.c.id.in_(wanted))
    rows = session.scalars(
        sa.select(group.c.id)
        .where(group.c.id.in_(of_plans), has_capacity(group.c.id))
        .order_by(group.c.id)
        # Rows that name the group may come meanwhile, as those of new cycles.
        .with_for_update(key_share=True)
    )
    return set(rows)


def uses_of(
    session: AnySession,
    group_ids: Iterable[int],
    moment: Moment,
    checkout_id: int | None = None,
    *,
    cycle_ids: Iterable[int] | None = None,
) -> dict[int, CycleUse]:
    """Return how far the cycles with a capacity are used, by cycle; without what an order holds.

    A cycle that is not locked counts the boxes in it, and one of everybody else who runs, of
    orders that are paid or went to pay, and of who was invited. ``checkout_id`` is the order that
    asks. With ``cycle_ids`` only these, however long ago they were.
    """
    cycles = _limited(session, set(group_ids), moment.today, cycle_ids)
    if not cycles:
        return {}
    used = _in_boxes(session, list(cycles))
    joinable = {key: row for key, row in cycles.items() if row.state in JOINABLE}
    if joinable:
        used += _running(session, joinable)
    groups = {row.group_id for row in cycles.values()}
    held = _held(session, groups, moment.now, checkout_id)
    if cycle_ids is None and len(joinable) < len(cycles):
        # A box that leaves at once joins a locked cycle, also of an order that is being paid.
        paying = _being_paid(session, groups)
        for key, row in cycles.items():
            used[key] += held[row.group_id] + (0 if key in joinable else paying[row.group_id])
    else:
        for key, row in joinable.items():
            used[key] += held[row.group_id]
    return {key: CycleUse(row.capacity, used[key]) for key, row in cycles.items()}


def with_room(
    session: AnySession,
    first: FirstBox,
    slots: Sequence[CycleSlot],
    joins: tuple[int, int, int, Interval],
    moment: Moment,
    checkout_id: int | None = None,
) -> FirstBox:
    """Return ``first`` with the cycles that an order cannot begin with.

    ``joins`` are group, boxes of the first payment, quantity and shipping interval.
    """
    group_id, count, quantity, shipping = joins
    uses = uses_of(session, [group_id], moment, checkout_id)
    return room_in(first, slots, uses, (count, quantity, shipping), moment.today)


def room_in(
    first: FirstBox,
    slots: Sequence[CycleSlot],
    uses: Mapping[int, CycleUse],
    joins: tuple[int, int, Interval],
    today: date,
) -> FirstBox:
    """Return ``first`` with the cycles that are full for an order of ``today``.

    ``joins`` are boxes of the first payment, quantity and shipping interval. Where every cycle
    is full none is passed over: whether there still is a place is decided when it is taken, as
    one may be kept for the e-mail that is typed by then.
    """
    if not uses:
        return first
    known = list(slots)
    if first.current is not None:
        known = in_order([first.current, *known])
    full = full_starts(known, uses, *joins, today)
    return first if all(one.id in full for one in slots) else replace(first, full=full)


def fits(
    session: AnySession,
    wanted: Sequence[Joins],
    slots: Mapping[int, Sequence[CycleSlot]],
    moment: Moment,
    checkout_id: int,
) -> tuple[bool, bool]:
    """Return whether every cycle can make the boxes of an order, and whether one is full then.

    The caller holds the rows of the groups. What the order holds itself is not counted.
    """
    needed: Counter[int] = Counter()
    for one in wanted:
        own = slots.get(one.group_id, ())
        for key in boxes_from(one.first, own, one.count, one.places_from, one.shipping):
            needed[key] += one.quantity
    uses = uses_of(session, {one.group_id for one in wanted}, moment, checkout_id)
    limited = [(uses[key], boxes) for key, boxes in needed.items() if key in uses]
    return (
        all(use.takes(boxes) for use, boxes in limited),
        any(use.left == boxes for use, boxes in limited),
    )


def most_left(
    session: AnySession, groups: Mapping[int, int], moment: Moment
) -> dict[int, int | None]:
    """Return how many boxes the roomiest cycle can still take, by plan; None: any number.

    ``groups`` says the group of each plan. A plan of whose group nothing is planned is left out.
    """
    if not groups:
        return {}
    uses = uses_of(session, set(groups.values()), moment)
    cycle = table_of(BoxCycle)
    rooms: dict[int, list[int | None]] = defaultdict(list)
    for row in session.execute(
        sa.select(cycle.c.id, cycle.c.group_id).where(
            cycle.c.group_id.in_(set(groups.values())),
            cycle.c.state.in_(JOINABLE),
            cycle.c.cutoff_on >= moment.today,
        )
    ):
        rooms[row.group_id].append(uses[row.id].left if row.id in uses else None)
    return {
        plan_id: None if None in rooms[key] else max(one or 0 for one in rooms[key])
        for plan_id, key in groups.items()
        if rooms.get(key)
    }


def _limited(
    session: AnySession, groups: set[int], today: date, cycle_ids: Iterable[int] | None
) -> dict[int, AnyRow]:
    """Return the cycles with a capacity, in the order in which their boxes leave."""
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    capacity = sa.func.coalesce(cycle.c.capacity, group.c.capacity)
    mine = (
        cycle.c.lock_on >= today - _BACK
        if cycle_ids is None
        else cycle.c.id.in_(sorted(set(cycle_ids)))
    )
    rows = session.execute(
        sa.select(*slot_columns(cycle), cycle.c.group_id, cycle.c.state, capacity.label("capacity"))
        .join(group, group.c.id == cycle.c.group_id)
        .where(cycle.c.group_id.in_(groups), capacity.is_not(None), mine)
        .order_by(cycle.c.ship_from, cycle.c.id)
    )
    return {row.id: row for row in rows}


def _in_boxes(session: AnySession, cycle_ids: Sequence[int]) -> Counter[int]:
    box = table_of(Box)
    rows = session.execute(
        sa.select(box.c.cycle_id, sa.func.sum(box.c.quantity).label("boxes"))
        .where(box.c.cycle_id.in_(cycle_ids), box.c.state != BoxState.CANCELED)
        .group_by(box.c.cycle_id)
    )
    return Counter({row.cycle_id: int(row.boxes) for row in rows})


def _running(session: AnySession, cycles: Mapping[int, AnyRow]) -> Counter[int]:
    """Return the boxes that subscribers keep in each cycle beside those that are in it."""
    sub, plan, box = table_of(Subscription), table_of(Plan), table_of(Box)
    starts = sa.case((sub.c.anchor_on > sub.c.next_on, sub.c.anchor_on), else_=sub.c.next_on)
    kind = (
        plan.c.cycle_group_id,
        starts,
        sub.c.anchor_day,
        plan.c.shipping_unit,
        plan.c.shipping_count,
        sub.c.cancel_on,
        sub.c.ends_on,
    )
    named = [one.label("start_on") if one is starts else one for one in kind]
    source = sub.join(plan, plan.c.id == sub.c.plan_id)
    mine = sa.and_(
        plan.c.cycle_group_id.in_({row.group_id for row in cycles.values()}),
        plan.c.ships.is_(True),
        sa.or_(sub.c.max_boxes.is_(None), sub.c.max_boxes > sub.c.boxes_billed),
        sa.or_(sub.c.state.not_in([*ENDED, SubscriptionState.INCOMPLETE]), is_being_paid(sub)),
    )
    total = sa.func.sum(sub.c.quantity).label("boxes")
    everybody = session.execute(
        sa.select(*named, total).select_from(source).where(mine).group_by(*kind)
    )
    slots: dict[int, list[CycleSlot]] = defaultdict(list)
    for row in cycles.values():
        slots[row.group_id].append(
            CycleSlot(row.id, row.charge_on, row.cutoff_on, row.lock_on, row.ship_from)
        )
    kept: Counter[int] = Counter()
    for row in everybody:
        for key in cycles_of(_rhythm(row), slots[row.cycle_group_id]):
            kept[key] += int(row.boxes)
    have = session.execute(
        sa.select(*named, box.c.cycle_id, total)
        .select_from(source.join(box, box.c.subscription_id == sub.c.id))
        .where(
            mine,
            box.c.cycle_id.in_(list(cycles)),
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .group_by(*kind, box.c.cycle_id)
    )
    for row in have:
        if row.cycle_id in cycles_of(_rhythm(row), slots[row.cycle_group_id]):
            kept[row.cycle_id] -= int(row.boxes)
    return kept


def is_being_paid(table: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether a subscription belongs to an order whose charge is under way."""
    checkout = table_of(Checkout)
    return sa.and_(
        table.c.state == SubscriptionState.INCOMPLETE,
        sa.exists().where(checkout.c.id == table.c.checkout_id, checkout.c.state == "paying"),
    )


def _being_paid(session: AnySession, groups: set[int]) -> Counter[int]:
    """Return the boxes of orders whose charge is under way, by group."""
    sub, plan = table_of(Subscription), table_of(Plan)
    rows = session.execute(
        sa.select(plan.c.cycle_group_id, sa.func.sum(sub.c.quantity).label("boxes"))
        .select_from(sub.join(plan, plan.c.id == sub.c.plan_id))
        .where(plan.c.cycle_group_id.in_(groups), plan.c.ships.is_(True), is_being_paid(sub))
        .group_by(plan.c.cycle_group_id)
    )
    return Counter({row.cycle_group_id: int(row.boxes) for row in rows})


def _rhythm(row: AnyRow) -> Rhythm:
    ends = [day for day in (row.cancel_on, row.ends_on) if day is not None]
    shipping = Interval(cast(Any, row.shipping_unit), row.shipping_count)
    return Rhythm(row.start_on, row.anchor_day, shipping, min(ends, default=None))


def _held(
    session: AnySession, groups: set[int], now: datetime, checkout_id: int | None
) -> Counter[int]:
    """Return what open orders hold, and what is kept for who was invited, by group."""
    plan, hold, checkout = table_of(Plan), table_of(OrderHold), table_of(Checkout)
    of_groups = (plan.c.cycle_group_id.in_(groups), plan.c.ships.is_(True))
    rows = session.execute(sa.select(plan.c.id, plan.c.cycle_group_id).where(*of_groups))
    group_of = {row.id: row.cycle_group_id for row in rows}
    statement = (
        sa.select(hold.c.plan_id, sa.func.sum(hold.c.quantity).label("boxes"))
        .join(checkout, checkout.c.id == hold.c.checkout_id)
        .where(hold.c.plan_id.in_(group_of), hold.c.until_at > now, checkout.c.state == "open")
        .group_by(hold.c.plan_id)
    )
    if checkout_id is not None:
        statement = statement.where(hold.c.checkout_id != checkout_id)
    found = kept_for_invited(session, group_of, now, checkout_id)
    for row in session.execute(statement):
        found[row.plan_id] += int(row.boxes)
    by_group: Counter[int] = Counter()
    for plan_id, boxes in found.items():
        by_group[group_of[plan_id]] += boxes
    return by_group
