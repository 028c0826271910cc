"""Skip a coming box and take a skip back, until the last second of its cut-off day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import sqlalchemy as sa

from storefront.domain.boxes import ProjectedBox, ProjectedKind, Standing, project
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.skip_limits import last_skip_day, year_of
from storefront.models import Gift, Subscription
from storefront.models.base import table_of
from storefront.operations.continuing import follow_gifts
from storefront.operations.keys import AnyRow
from storefront.operations.skip_room import skip_limits, skip_room
from storefront.operations.skips import (
    MOVABLE,
    Coming,
    Move,
    read_coming,
    skip_cycle,
    unskip_cycle,
)
from storefront.operations.subscriptions import decide_again
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

#: How many boxes ahead the account shows and lets be skipped.
AHEAD = 6


class NotFound(DomainError):
    """No such subscription or box of this customer."""

    code = "not_found"


class BoxTooLate(DomainError):
    """The cut-off has passed. ``box_on`` names the box by its ship day, ``next_cutoff_on`` and
    ``next_on`` the first box that may still be changed, None if there is none in sight."""

    code = "box_too_late"


class NothingToSkip(DomainError):
    """No box of this subscription is planned for that cycle."""

    code = "nothing_to_skip"


class SkipNotAllowed(DomainError):
    """The plan allows no such skip.

    ``why`` is a ``SkipRefusal``, ``limits`` the plan's ``SkipLimits``, ``year`` the one a skip
    of this box counts in; ``next_on`` and ``until_on`` are ship day and last day of the first
    box that may be skipped, None if none is in sight.
    """

    code = "skip_not_allowed"


class SkipDone(DomainError):
    """The skipped period has begun: there is no box to put back."""

    code = "skip_done"


@dataclass(frozen=True, slots=True)
class SkipChange:
    """What a skip or its undo came to; days are ship days except ``charge_on``."""

    subscription: str
    #: Public id of the cycle, and the day its boxes leave.
    cycle: str
    ship_on: date
    #: The day on which nothing (or, after an undo, again something) is charged; None: paid.
    charge_on: date | None
    #: Where a paid box went; None when none moved or its cycle is still to come.
    moved_to_on: date | None
    moved: bool
    #: False when it was so already.
    changed: bool


def skip_box(
    rt: Runtime, customer_id: int, subscription: str, cycle: str, actor: Actor = Actor.CUSTOMER
) -> SkipChange:
    """Skip the box of ``cycle``; skipping it again changes nothing.

    Not charged yet: its period will be skipped when it comes. Paid: the box moves behind
    the last box of its term. The plan's limits bind customers, not staff. Raises ``NotFound``,
    ``BoxTooLate``, ``NothingToSkip`` or ``SkipNotAllowed``.
    """

    def change() -> SkipChange:
        coming, at = _load(rt, customer_id, subscription, cycle)
        if at.id in coming.skips:
            skip = coming.skips[at.id]
            rt.session.rollback()
            return _change(coming, at, None, skip.moved_box_id, skip.moved_to_id, False)
        ahead = project(coming.standing, AHEAD, rt.today())
        _check_open(rt, at, ahead)
        box = next((one for one in ahead if _is_box_of(one, at.id)), None)
        if box is None:
            raise NothingToSkip(cycle=at.public_id)
        if box.box_id in {one.id for one in coming.boxes if one.state not in MOVABLE}:
            raise _too_late(rt, at, ahead)
        if actor is not Actor.STAFF:
            _check_limits(rt, coming, at, ahead)
        moves = skip_cycle(rt.session, coming, at.id, rt.now())
        _let_follow(rt, coming)
        _note(rt, coming, at, EventKind.BOX_SKIPPED, actor, moves)
        rt.session.commit()
        gone = next((move for move in moves if move.box.id == box.box_id), None)
        moved_id, to_id = (gone.box.id, gone.cycle_id) if gone else (None, None)
        return _change(coming, at, box.charge_on, moved_id, to_id, True)

    return decide_again(rt.session, change, sa.exc.IntegrityError)


def undo_skip(
    rt: Runtime, customer_id: int, subscription: str, cycle: str, actor: Actor = Actor.CUSTOMER
) -> SkipChange:
    """Take the skip of ``cycle`` back; taking it back again changes nothing.

    Raises ``NotFound``, ``BoxTooLate``, or ``SkipDone`` when its period has begun meanwhile.
    """

    def change() -> SkipChange:
        coming, at = _load(rt, customer_id, subscription, cycle)
        skip = coming.skips.get(at.id)
        if skip is None:
            rt.session.rollback()
            return _change(coming, at, None, None, None, False)
        _check_open(rt, at, project(coming.standing, AHEAD, rt.today()))
        slot = coming.slots[at.id]
        if skip.moved_box_id is None and slot.feed_on < coming.row.next_on:
            raise SkipDone(ship_on=at.ship_from)
        moves = unskip_cycle(rt.session, coming, at.id)
        _let_follow(rt, coming)
        _note(rt, coming, at, EventKind.BOX_UNSKIPPED, actor, moves)
        rt.session.commit()
        charge = None if skip.moved_box_id else _charge_day(rt, coming, at)
        return _change(coming, at, charge, skip.moved_box_id, None, True)

    return decide_again(rt.session, change, sa.exc.IntegrityError)


def _let_follow(rt: Runtime, coming: Coming) -> None:
    """Keep what its recipient pays for behind the last box of a gift, wherever that went."""
    if coming.row.is_gift:
        mine = table_of(Gift).c.subscription_id == coming.row.id
        follow_gifts(rt.session, rt.moment(), mine)


def _load(rt: Runtime, customer_id: int, subscription: str, cycle: str) -> tuple[Coming, AnyRow]:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=True)
    if not found:
        raise NotFound(subscription=subscription)
    at = next((row for row in found[0].cycles.values() if row.public_id == cycle), None)
    if at is None:
        raise NotFound(cycle=cycle)
    return found[0], at


def _is_box_of(box: ProjectedBox, cycle_id: int) -> bool:
    skipped = box.kind is ProjectedKind.SKIPPED
    return box.cycle is not None and box.cycle.id == cycle_id and not skipped


def _check_open(rt: Runtime, at: AnyRow, ahead: list[ProjectedBox]) -> None:
    if at.cutoff_on < rt.today():
        raise _too_late(rt, at, ahead)


def _check_limits(rt: Runtime, coming: Coming, at: AnyRow, ahead: list[ProjectedBox]) -> None:
    limits = skip_limits(coming)
    room = skip_room(coming, ahead, rt.today())
    slot = coming.slots[at.id]
    why = room.refusal(slot)
    if why is None:
        return
    first = room.first_open()
    raise SkipNotAllowed(
        why=why,
        limits=limits,
        year=year_of(slot),
        next_on=first.ship_from if first else None,
        until_on=last_skip_day(first, limits) if first else None,
    )


def _too_late(rt: Runtime, at: AnyRow, ahead: list[ProjectedBox]) -> BoxTooLate:
    open_ = (b.cycle for b in ahead if b.cycle and b.cycle.cutoff_on >= rt.today())
    later = next((cycle for cycle in open_ if cycle.id != at.id), None)
    return BoxTooLate(
        box_on=at.ship_from,
        next_on=later.ship_from if later else None,
        next_cutoff_on=later.cutoff_on if later else None,
    )


def _charge_day(rt: Runtime, coming: Coming, at: AnyRow) -> date | None:
    """Return the day on which the box of ``at`` will be charged again."""
    opened = project(_without(coming, at.id), AHEAD, rt.today())
    box = next((one for one in opened if _is_box_of(one, at.id)), None)
    return box.charge_on if box else None


def _without(coming: Coming, cycle_id: int) -> Standing:
    return replace(coming.standing, skipped=coming.standing.skipped - {cycle_id})


def _note(
    rt: Runtime,
    coming: Coming,
    at: AnyRow,
    kind: EventKind,
    actor: Actor,
    moves: list[Move],
) -> None:
    row = coming.row
    data = {
        "cycle": at.key,
        "ship_on": at.ship_from.isoformat(),
        "moves": [
            {
                "box": move.box.public_id,
                "from": _ship_day(coming, move.box.cycle_id),
                "to": _ship_day(coming, move.cycle_id),
            }
            for move in moves
        ],
    }
    record(rt.session, [Entry(row.id, row.public_id, kind, actor, data=data)], rt.moment())


def _ship_day(coming: Coming, cycle_id: int | None) -> str:
    cycle = coming.cycles.get(cycle_id) if cycle_id else None
    return cycle.ship_from.isoformat() if cycle else ""


def _change(
    coming: Coming,
    at: AnyRow,
    charge_on: date | None,
    moved_id: int | None,
    to_id: int | None,
    changed: bool,
) -> SkipChange:
    to = coming.cycles.get(to_id) if to_id else None
    return SkipChange(
        coming.row.public_id,
        at.public_id,
        at.ship_from,
        charge_on,
        to.ship_from if to else None,
        moved_id is not None,
        changed,
    )
