"""Read what decides a subscription's coming boxes, and move paid boxes out of skipped cycles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.boxes import (
    BoxKind,
    BoxState,
    CycleSlot,
    PaidBox,
    Pause,
    Standing,
    place_boxes,
)
from storefront.domain.lifecycle import BILLABLE, SubscriptionState
from storefront.domain.periods import Interval
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    BoxSkip,
    FirstBoxPlace,
    Shipment,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.coming_rows import coming_rows
from storefront.operations.kept_places import leaves_now
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, by_subscription
from storefront.operations.pinned import with_change
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)

#: Paid boxes that have not left the house.
UNSENT = frozenset({BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED})
#: Those whose contents and cycle may still change.
MOVABLE = frozenset({BoxState.PLANNED, BoxState.HELD})
#: Cycles are read from this long ago on; older boxes are history.
_BACK = timedelta(days=75)


@dataclass(frozen=True, slots=True)
class Coming:
    """A subscription with everything that decides its coming boxes."""

    #: Columns of the subscription, address and payment method, and of the plan and price of
    #: its **next** period, quantity and options too; those of the present one are called
    #: ``now_…``. They differ while a change waits for its day.
    row: AnyRow
    standing: Standing
    #: Its regular boxes that were not taken back, oldest first.
    boxes: Sequence[AnyRow]
    #: Its skips by cycle.
    skips: Mapping[int, AnyRow]
    #: Cycles by key, with the dates that ``CycleSlot`` does not have.
    cycles: Mapping[int, AnyRow]

    @property
    def slots(self) -> dict[int, CycleSlot]:
        """Every cycle a box of this subscription stands in or may move to."""
        return {key: _slot(cycle) for key, cycle in self.cycles.items()}


def read_coming(
    session: AnySession,
    which: sa.ColumnElement[bool],
    today: date,
    *,
    for_update: bool = False,
) -> list[Coming]:
    """Return the subscriptions for which ``which`` holds, in the order of their keys.

    Three statements whatever their number. ``for_update`` locks the rows of the
    subscriptions (SQLite locks everything anyway).
    """
    return with_boxes(session, _subscriptions(session, which, for_update), today)


def with_boxes(
    session: AnySession,
    read: Iterable[AnyRow],
    today: date,
    boxes: Mapping[int, list[AnyRow]] | None = None,
) -> list[Coming]:
    """Return the subscriptions ``read`` by ``coming_rows``, or more, with all that comes.

    Two statements whatever their number; none for none. One where ``boxes`` are known: what
    ``boxes_statement`` found, by subscription.
    """
    rows = [
        with_change(row, row.now_price_id, row.next_price_id, binds=False)
        if row.change_data
        else row
        for row in read
    ]
    ids = [row.id for row in rows]
    if boxes is None:
        boxes = by_subscription(session.execute(boxes_statement(), {"ids": ids})) if ids else {}
    cycles, skips = _cycles(session, rows, boxes, today - _BACK) if ids else ({}, {})
    # Handed to the warehouse, and the days on which it leaves are over: it has left, even where
    # nobody tells us so; otherwise such boxes would in time hide those to come.
    gone = {key for key, cycle in cycles.items() if cycle.ship_to < today}
    found = []
    for row in rows:
        own = {key: cycle for key, cycle in cycles.items() if cycle.group_id in _groups(row)}
        mine, skipped = boxes.get(row.id, []), skips.get(row.id, {})
        standing = _standing(row, own, mine, skipped, gone, today)
        found.append(Coming(row, standing, mine, skipped, own))
    return found


def _groups(row: AnyRow) -> set[int]:
    return {group for group in (row.cycle_group_id, row.now_group_id) if group}


def _slot(cycle: AnyRow) -> CycleSlot:
    return CycleSlot(cycle.id, cycle.charge_on, cycle.cutoff_on, cycle.lock_on, cycle.ship_from)


def _subscriptions(
    session: AnySession, which: sa.ColumnElement[bool], for_update: bool
) -> Sequence[AnyRow]:
    statement = coming_rows().where(which)
    if for_update and session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table_of(Subscription))
    return session.execute(statement).all()


@cache
def boxes_statement() -> AnySelect:
    """The boxes of the subscriptions ``ids``; built once, as all statements here."""
    box, period, shipment = table_of(Box), table_of(SubscriptionPeriod), table_of(Shipment)
    own, first = table_of(Address), table_of(FirstBoxPlace)
    return (
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.subscription_id,
            box.c.period_id,
            box.c.plan_id,
            box.c.cycle_id,
            box.c.ordinal,
            box.c.quantity,
            box.c.state,
            box.c.problem,
            box.c.packing,
            box.c.address_id,
            own.c.street.label("own_street"),
            own.c.city.label("own_city"),
            period.c.end_on,
            period.c.state.label("period_state"),
            shipment.c.carrier,
            shipment.c.tracking_number,
            # Of a box that joined its cycle late; the cycle's days may be over.
            first.c.ships_on.label("leaves_on"),
        )
        .join(period, period.c.id == box.c.period_id)
        .outerjoin(first, leaves_now(first, box))
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .outerjoin(own, own.c.id == box.c.address_id)
        .where(
            any_of(box.c.subscription_id),
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .order_by(box.c.id)
    )


def _cycles(
    session: AnySession,
    rows: Sequence[AnyRow],
    boxes: Mapping[int, Sequence[AnyRow]],
    since: date,
) -> tuple[dict[int, AnyRow], dict[int, dict[int, AnyRow]]]:
    """Return the cycles that matter, by key, and the skips by subscription and cycle."""
    found: dict[int, AnyRow] = {}
    skips: dict[int, dict[int, AnyRow]] = defaultdict(dict)
    which = {
        "ids": [one.id for one in rows],
        "groups": sorted({group for one in rows for group in _groups(one)}),
        "joined": sorted({one.cycle_id for own in boxes.values() for one in own if one.cycle_id}),
        "since": since,
    }
    for row in session.execute(_cycles_of(), which):
        found[row.id] = row
        if row.subscription_id is not None:
            skips[row.subscription_id][row.id] = row
    return found, skips


@cache
def _cycles_of() -> AnySelect:
    """The cycles of ``groups`` from ``since`` on, those in ``joined``, and skips of ``ids``."""
    cycle, skip = table_of(BoxCycle), table_of(BoxSkip)
    return (
        sa.select(
            cycle,
            skip.c.subscription_id,
            skip.c.id.label("skip_id"),
            skip.c.moved_box_id,
            skip.c.moved_to_id,
            skip.c.is_forced,
        )
        .outerjoin(skip, sa.and_(skip.c.cycle_id == cycle.c.id, any_of(skip.c.subscription_id)))
        .where(
            any_of(cycle.c.group_id, "groups"),
            sa.or_(
                cycle.c.ship_from >= sa.bindparam("since"),
                skip.c.id.is_not(None),
                any_of(cycle.c.id, "joined"),
            ),
        )
        .order_by(cycle.c.ship_from, cycle.c.id)
    )


def _standing(
    row: AnyRow,
    cycles: Mapping[int, AnyRow],
    boxes: Sequence[AnyRow],
    skips: Mapping[int, AnyRow],
    gone: AbstractSet[int],
    today: date,
) -> Standing:
    slots = {key: _slot(cycle) for key, cycle in cycles.items()}
    billing = Interval(row.unit, row.unit_count)
    state = SubscriptionState(row.state)
    goes_on = state in BILLABLE or (state is SubscriptionState.PAUSED and row.pauses_on is not None)
    bills = goes_on and row.held_at is None and row.ships
    return Standing(
        cycles=tuple(
            slots[key] for key, cycle in cycles.items() if cycle.group_id == row.cycle_group_id
        ),
        billing=billing,
        shipping=Interval(row.shipping_unit, row.shipping_count) if row.ships else billing,
        renews_on=max(row.next_on, row.anchor_on) if bills else None,
        anchor_day=row.anchor_day,
        paid=tuple(
            PaidBox(box.id, slots.get(box.cycle_id))
            for box in boxes
            if box.state in UNSENT
            and not (box.state == BoxState.EXPORTED and _is_gone(box, gone, today))
        ),
        taken=frozenset(box.cycle_id for box in boxes if box.cycle_id),
        skipped=frozenset(skips),
        pauses=(Pause(row.pauses_on, row.resumes_on),) if row.pauses_on else (),
        cancel_on=row.cancel_on,
        boxes_left=None if row.max_boxes is None else row.max_boxes - row.boxes_billed,
        ends_on=row.ends_on,
    )


def _is_gone(box: AnyRow, gone: AbstractSet[int], today: date) -> bool:
    """Return whether the days on which a box leaves are over: its cycle's, and its own if late."""
    return box.cycle_id in gone and (box.leaves_on is None or box.leaves_on < today)


@dataclass(frozen=True, slots=True)
class Move:
    """A paid box that goes to another cycle; None: one still to be generated."""

    box: AnyRow
    cycle_id: int | None


def skip_cycle(session: AnySession, coming: Coming, cycle_id: int, now: datetime) -> list[Move]:
    """Write the skip of ``cycle_id`` and move the paid boxes of its term accordingly.

    The caller has checked that it may be skipped and is not skipped yet. Raises
    ``StaleSubscription`` when the subscription changed since it was read.
    """
    session.execute(
        sa.insert(table_of(BoxSkip)).values(
            subscription_id=coming.row.id,
            cycle_id=cycle_id,
            moved_box_id=None,
            moved_to_id=None,
            created_at=now,
        )
    )
    return _arrange(session, coming, frozenset(coming.skips) | {cycle_id})


def unskip_cycle(session: AnySession, coming: Coming, cycle_id: int) -> list[Move]:
    """Delete the skip of ``cycle_id`` and put the paid boxes of its term back.

    Raises ``StaleSubscription`` when the subscription changed since it was read.
    """
    skip = table_of(BoxSkip)
    session.execute(
        sa.delete(skip).where(skip.c.subscription_id == coming.row.id, skip.c.cycle_id == cycle_id)
    )
    return _arrange(session, coming, frozenset(coming.skips) - {cycle_id})


def _arrange(session: AnySession, coming: Coming, skipped: frozenset[int]) -> list[Move]:
    """Put every unsent box where ``skipped`` wants it, whatever the order of the clicks."""
    homes = _homes(coming)
    term = [box for box in coming.boxes if box.id in homes]
    moves, places = [], {}
    for box, place in zip(term, _placed(coming, term, homes, skipped), strict=True):
        # What is being packed stays where it is, whatever the rule says.
        places[box.id] = place if box.state in MOVABLE else box.cycle_id
        if places[box.id] != box.cycle_id:
            moves.append(Move(box, place))
    _move(session, moves)
    _name_moves(session, coming, homes, places, skipped)
    change = SubscriptionChange(coming.row.id, coming.row.version, {})
    change_subscriptions(session, [change])
    return moves


def _homes(coming: Coming) -> dict[int, int | None]:
    """Return the cycle each box of an unfinished term joined when it was paid."""
    open_periods = {box.period_id for box in coming.boxes if box.state in UNSENT}
    left = {skip.moved_box_id: cycle for cycle, skip in coming.skips.items() if skip.moved_box_id}
    return {
        box.id: left.get(box.id, box.cycle_id)
        for box in coming.boxes
        if box.period_id in open_periods
    }


def _placed(
    coming: Coming,
    term: Sequence[AnyRow],
    homes: Mapping[int, int | None],
    skipped: frozenset[int],
) -> list[int | None]:
    slots = coming.slots
    elsewhere = {box.cycle_id for box in coming.boxes if box.id not in homes and box.cycle_id}
    ends = [box.end_on for box in term]
    group = coming.row.now_group_id
    placed = place_boxes(
        [slots[key] for key, cycle in coming.cycles.items() if cycle.group_id == group],
        [slots.get(homes[box.id] or 0) for box in term],
        skipped | (elsewhere - set(homes.values())),
        boundary=max([*ends, coming.row.anchor_on]) if ends else None,
        shipping=coming.standing.shipping,
        anchor_day=coming.standing.anchor_day,
    )
    return [place.id if place else None for place in placed]


def _move(session: AnySession, moves: Sequence[Move]) -> None:
    """Move boxes in two steps: two of them may change places in a cycle that holds one.

    Raises ``StaleSubscription`` when one was locked since it was read.
    """
    if not moves:
        return
    table = table_of(Box)
    taken = session.execute(
        sa.update(table)
        .where(table.c.id.in_([move.box.id for move in moves]), table.c.state.in_(MOVABLE))
        .values(cycle_id=None)
        .returning(table.c.id)
    ).all()
    if len(taken) != len(moves):
        raise StaleSubscription(f"{len(moves) - len(taken)} of {len(moves)} boxes are locked")
    session.connection().execute(
        sa.update(table)
        .where(table.c.id == sa.bindparam("key"))
        .values(cycle_id=sa.bindparam("place")),
        [{"key": move.box.id, "place": move.cycle_id} for move in moves],
    )


def _name_moves(
    session: AnySession,
    coming: Coming,
    homes: Mapping[int, int | None],
    places: Mapping[int, int | None],
    skipped: frozenset[int],
) -> None:
    """Write into the skips which paid box left their cycle and where it went."""
    left = {home: box_id for box_id, home in homes.items() if home in skipped}
    # Skips of terms that are through keep their names.
    named = {cycle for cycle, skip in coming.skips.items() if skip.moved_box_id in homes}
    of_term = (named | set(left)) & skipped
    if not of_term:
        return
    skip = table_of(BoxSkip)
    session.connection().execute(
        sa.update(skip)
        .where(skip.c.subscription_id == coming.row.id, skip.c.cycle_id == sa.bindparam("at"))
        .values(moved_box_id=sa.bindparam("box"), moved_to_id=sa.bindparam("place")),
        [
            {"at": cycle_id, "box": left.get(cycle_id), "place": places.get(left.get(cycle_id, 0))}
            for cycle_id in of_term
        ],
    )
