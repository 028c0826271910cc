"""Note what became of parcels, and send a box again.

Source: docs/decisions/0145-boxes-that-are-sent-again.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.errors import DomainError
from storefront.domain.replacements import NotReplaceable, Reason, pieces_wanted, state_after
from storefront.models import Box, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations import audit, deliveries, stock
from storefront.operations import replacements as work
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.packing import boxes_to_decide, decide_boxes
from storefront.operations.returns import list_again
from storefront.runtime import Runtime

#: Boxes noted in one transaction.
SLICE = 100
#: A replacement in these states has not been handed to the packers.
_UNSENT = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED)
_T = TypeVar("_T")


class BoxNotFound(DomainError):
    """There is no such box, or it has not left."""

    code = "box_not_found"


class UnknownBoxes(DomainError):
    """Names of ``boxes`` that are not in the batch, or have not left."""

    code = "unknown_boxes"


class AlreadyReplaced(DomainError):
    """Another box (``box``) replaces this one; that one can be replaced in turn."""

    code = "already_replaced"


class NoNextCycle(DomainError):
    """No cycle of the plan takes a box any more: it can only leave now."""

    code = "no_next_cycle"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a box is to be sent again."""

    reason: Reason
    #: Pieces by public id of the variant, of what the first box held.
    pieces: Mapping[str, int]
    #: With the next batch of the cycle it was in; else with the next cycle.
    is_now: bool
    shipping_minor: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The new box; ``problem`` says why it waits, if it does."""

    public_id: str
    cycle_key: str
    state: BoxState
    problem: str


def note_outcome(rt: Runtime, box_ref: str, then: BoxState, who: Who) -> bool:
    """Note that a box arrived, came back or is lost; False when that was noted already.

    Of a parcel with several boxes it is noted of all of them. Raises ``BoxNotFound``.
    """

    def note() -> bool:
        rows = _parcel(rt, box_ref)
        before = next(row.state.value for row in rows if row.public_id == box_ref)
        moved = work.note_outcome(rt.session, rows, then, who.public_id, rt.moment())
        if moved:
            after: dict[str, Any] = {"state": then.value}
            if len(moved) > 1:
                after["boxes"] = [one.public_id for one in moved]
            _log(rt, who, "box.outcome", box_ref, {"state": before}, after)
        rt.session.commit()
        return bool(moved)

    return _whole(rt, note)


def note_outcomes(
    rt: Runtime, batch_ref: str, names: Sequence[str], then: BoxState, who: Who
) -> int:
    """Note the same of boxes of a batch named by id or tracking number; returns how many.

    Either stands for all boxes that left in its parcel. Those of which it was noted already
    are passed over. Raises ``UnknownBoxes``, and then nothing is noted.
    """
    ids = _named(rt, batch_ref, names)

    def some(part: Sequence[int]) -> int:
        rows = work.boxes_that_left(rt.session, table_of(Box).c.id.in_(part))
        moved = work.note_outcome(rt.session, rows, then, who.public_id, rt.moment())
        if moved:
            after = {"state": then.value, "boxes": [row.public_id for row in moved]}
            _log(rt, who, "box.outcome", batch_ref, {}, after)
        rt.session.commit()
        return len(moved)

    done = 0
    for start in range(0, len(ids), SLICE):
        done += _whole(rt, partial(some, ids[start : start + SLICE]))
    return done


def replace_box(rt: Runtime, box_ref: str, wanted: Wanted, who: Who) -> Replaced:
    """Send a box that left again, in one transaction with what became of the first.

    The new box holds the wanted pieces, takes them from the stock when it is locked like any
    other, and waits where something is missing. Raises ``BoxNotFound``, ``NotReplaceable``,
    ``AlreadyReplaced`` and ``NoNextCycle``.
    """
    try:
        return _whole(rt, lambda: _replace(rt, box_ref, wanted, who))
    except sa.exc.IntegrityError:
        # A second click was faster; now it is seen.
        rt.session.rollback()
        return _whole(rt, lambda: _replace(rt, box_ref, wanted, who))


def take_back(rt: Runtime, box_ref: str, who: Who) -> bool:
    """Cancel a replacement that was not handed to the packers; False when it was, or is gone."""

    def cancel() -> bool:
        box = table_of(Box)
        found = rt.session.execute(
            sa.update(box)
            .where(
                box.c.public_id == box_ref,
                box.c.kind == BoxKind.REPLACEMENT,
                box.c.state.in_(_UNSENT),
                box.c.batch_id.is_(None),
            )
            .values(state=BoxState.CANCELED, problem="")
            .returning(box.c.id)
        ).one_or_none()
        if found is not None:
            stock.release(rt.session, [found.id], rt.now(), who.public_id, "taken back")
            list_again(rt.session, [found.id])
            _log(rt, who, "box.replacement_taken_back", box_ref, {}, {})
        rt.session.commit()
        return found is not None

    return _whole(rt, cancel)


def _replace(rt: Runtime, box_ref: str, wanted: Wanted, who: Who) -> Replaced:
    session, moment = rt.session, rt.moment()
    row = _left(rt, box_ref)
    known = work.live_replacement(session, row.id)
    if known is not None:
        raise AlreadyReplaced(box=known)
    then = state_after(row.state, wanted.reason)
    items = work.items_of(session, row.id)
    pieces = pieces_wanted({one.ref: one.pieces for one in items}, wanted.pieces)
    cycle_id, cycle_key = row.cycle_id, row.cycle_key
    if not wanted.is_now:
        cycle = work.next_cycle(session, row.cycle_group_id, moment)
        if cycle is None:
            raise NoNextCycle(box=box_ref)
        cycle_id, cycle_key = cycle.id, cycle.key
    # What came back from an address of its own does not go there again.
    address = None if wanted.reason is Reason.RETURNED else row.own_address_id
    key, ref = work.insert_replacement(session, row, cycle_id, items, pieces, address, moment)
    cost = work.cost_of(items, pieces, wanted.shipping_minor, rt.shop.currency)
    # That it is sent again is the one mail about it.
    work.note_outcome(session, [row], then, who.public_id, moment, is_told=False)
    work.note_replacement(
        session, key, row, ref, wanted.reason, wanted.note, cost, who.public_id, moment
    )
    if wanted.is_now:
        rows = boxes_to_decide(session, cycle_id, BoxState.PLANNED, 1, ids=[key])
        decide_boxes(session, rows, cycle_id, rt.shop.countries, moment)
    after = {
        "box": ref,
        "reason": wanted.reason.value,
        "note": wanted.note,
        "goods_minor": cost.goods_minor,
        "shipping_minor": cost.shipping_minor,
        "currency": cost.currency,
        "cycle": cycle_key,
    }
    _log(rt, who, "box.replaced", box_ref, {"state": row.state.value}, after)
    box = table_of(Box)
    now = session.execute(sa.select(box.c.state, box.c.problem).where(box.c.id == key)).one()
    session.commit()
    return Replaced(ref, cycle_key, now.state, now.problem)


def _whole(rt: Runtime, work_of_one: Callable[[], _T]) -> _T:
    """Run a transaction, again when the database asks for it; a refusal leaves none open."""
    try:
        return retrying(rt.session, work_of_one)
    except DomainError:
        rt.session.rollback()
        raise


def _left(rt: Runtime, box_ref: str) -> AnyRow:
    found = work.boxes_that_left(rt.session, table_of(Box).c.public_id == box_ref)
    if found:
        return found[0]
    box = table_of(Box)
    state = rt.session.scalar(sa.select(box.c.state).where(box.c.public_id == box_ref))
    if state is None:
        raise BoxNotFound(box=box_ref)
    raise NotReplaceable(state=state.value, box=box_ref)


def _parcel(rt: Runtime, box_ref: str) -> list[AnyRow]:
    """Return a box that left with those that left in its parcel, locked for us."""
    box, named = table_of(Box), table_of(Box).alias("named")
    parcel = sa.select(named.c.shipment_id).where(named.c.public_id == box_ref).scalar_subquery()
    found = work.boxes_that_left(
        rt.session, sa.or_(box.c.public_id == box_ref, box.c.shipment_id == parcel)
    )
    return found if any(row.public_id == box_ref for row in found) else [_left(rt, box_ref)]


def _named(rt: Runtime, batch_ref: str, names: Sequence[str]) -> list[int]:
    batch = table_of(FulfilmentBatch)
    key = rt.session.scalar(sa.select(batch.c.id).where(batch.c.public_id == batch_ref))
    by_name = deliveries.named_boxes(rt.session, key) if key is not None else {}
    rt.session.rollback()
    unknown = sorted(set(names) - set(by_name))
    if unknown:
        raise UnknownBoxes(boxes=unknown)
    return sorted({key for name in names for key in by_name[name]})


def _log(
    rt: Runtime,
    who: Who,
    action: str,
    subject: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    audit.write(rt.session, who.id, action, subject, before, after, rt.moment(), who.ip)
