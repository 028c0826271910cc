"""Apply what somebody says of parcels: boxes leave, arrive and come back, each once.

A file, a program of the merchant's and a shipping provider say the same kind of rows and are
treated alike: what follows is the difference to what we know, so saying it again changes nothing,
and a box never goes back a state. Source: docs/decisions/0141-tracking.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.database import reading, retrying
from storefront.domain.boxes import BoxState
from storefront.domain.events import Actor
from storefront.domain.tracking_rows import Status, TrackingIssue, TrackingRow
from storefront.models import Box, BoxCycle, Shipment
from storefront.models.base import table_of
from storefront.operations import audit, deliveries, departures
from storefront.operations.audit import Who
from storefront.operations.cycles import mark_shipped
from storefront.operations.deliveries import Said
from storefront.operations.departures import Parcel
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.runtime import Runtime

SLICE = 100
_READ = 500
_LEFT = (BoxState.SHIPPED, BoxState.DELIVERED)


@dataclass(frozen=True, slots=True)
class By:
    """Who says where parcels are: a staff user, or a machine by its name."""

    actor: Actor
    ref: str
    #: For the log of what staff did; a machine is not in it.
    who: Who | None = None

    @classmethod
    def staff(cls, who: Who) -> By:
        return cls(Actor.STAFF, who.public_id, who)

    @classmethod
    def machine(cls, name: str) -> By:
        """A program or a provider; ``name`` stands in the timeline."""
        return cls(Actor.WORKER, name)


@dataclass(slots=True)
class TrackingReport:
    """What a file says, and what became of it; counts are boxes."""

    rows: int = 0
    ship: int = 0
    deliver: int = 0
    come_back: int = 0
    #: Parcels that left without a number and get theirs.
    numbered: int = 0
    #: Rows that say what is known already.
    here: int = 0
    issues: list[TrackingIssue] = field(default_factory=list)
    is_dry_run: bool = True

    @property
    def new(self) -> int:
        """How much there is to do."""
        return self.ship + self.deliver + self.come_back + self.numbered


@dataclass(slots=True)
class _Work:
    """What is to be done, by batch and cycle."""

    #: (batch, cycle key, carrier) -> {box key: number}
    ship: dict[tuple[int, str, str], dict[int, str]]
    #: (batch, cycle key) -> box keys
    deliver: dict[tuple[int, str], list[int]]
    come_back: dict[tuple[int, str], list[int]]
    #: Shipment -> (carrier, number)
    numbers: dict[int, tuple[str, str]]
    names: dict[int, str]
    #: Cycles of boxes in the file: the last box of one may have left.
    cycles: set[int]
    #: Box key -> when it is said to have happened, where that is said.
    said: dict[int, datetime]
    #: Box key -> the first box of its parcel.
    parcels: dict[int, int]


def take_rows(
    rt: Runtime,
    rows: Sequence[TrackingRow],
    report: TrackingReport,
    by: By | None = None,
    carrier: str = "",
) -> None:
    """Do what ``rows`` say, 100 boxes in a transaction; only look without ``by``.

    A row without a carrier takes ``carrier``. A row that cannot be is left out and told in
    ``report``. A crash leaves whole slices done; the same rows again do the rest.
    """
    todo = _plan(rt, rows, carrier, report)
    report.issues.sort(key=lambda one: one.row)
    if by is None:
        return
    _ship(rt, todo, by)
    if todo.numbers:
        retrying(rt.session, lambda: _number(rt, todo.numbers, by))
    for boxes, states, move in (
        (todo.deliver, (BoxState.SHIPPED,), deliveries.deliver_boxes),
        (todo.come_back, _LEFT, deliveries.return_boxes),
    ):
        _each(rt, boxes, states, _Mover(move, todo.said), by)
    for cycle in sorted(todo.cycles):
        mark_shipped(rt.session, cycle)
    rt.session.commit()


def _plan(rt: Runtime, rows: Sequence[TrackingRow], carrier: str, report: TrackingReport) -> _Work:
    todo = _Work(defaultdict(dict), defaultdict(list), defaultdict(list), {}, {}, set(), {}, {})
    #: Box -> the row that named it.
    seen: dict[int, int] = {}
    every_name = {row.box for row in rows if row.box}
    for start in range(0, len(rows), _READ):
        part = rows[start : start + _READ]
        boxes, parcels = _boxes_of(rt, part, every_name)
        for row in part:
            found = boxes.get(row.box, []) if row.box else parcels.get(row.number, [])
            if not found:
                report.issues.append(TrackingIssue(row.row, "unknown", row.box or row.number))
            for box in found:
                if box.id in seen:
                    # One that left with the box of another row is no mistake of this one.
                    if row.box in ("", box.public_id):
                        report.issues.append(TrackingIssue(row.row, "twice", str(seen[box.id])))
                    continue
                seen[box.id] = row.row
                if row.at is not None:
                    todo.said[box.id] = row.at
                _decide(box, row, row.carrier or carrier, todo, report)
    return todo


def _decide(
    box: AnyRow, row: TrackingRow, carrier: str, todo: _Work, report: TrackingReport
) -> None:
    """Put one box where its row sends it, or say why not."""
    state, to = BoxState(box.state), row.status
    todo.names[box.id] = box.public_id
    todo.parcels[box.id] = box.parcel_id or box.id
    has_left = state in (*_LEFT, BoxState.RETURNED)
    if state not in (*_LEFT, BoxState.RETURNED, BoxState.EXPORTED):
        # Staff say that one is lost, perhaps after it was said to have arrived: only they take
        # it back.
        code = "lost" if state is BoxState.LOST else "not_exported"
        report.issues.append(TrackingIssue(row.row, code, box.public_id))
        return
    if has_left and row.number and box.tracking_number not in ("", row.number):
        report.issues.append(TrackingIssue(row.row, "other_number", box.tracking_number))
        return
    todo.cycles.add(box.cycle_id)
    if not has_left:
        todo.ship[box.batch_id, box.cycle_key, carrier][box.id] = row.number
        report.ship += 1
    elif row.number and not box.tracking_number:
        todo.numbers[box.shipment_id] = (carrier, row.number)
        report.numbered += 1
    if to == Status.DELIVERED and state in (BoxState.EXPORTED, BoxState.SHIPPED):
        todo.deliver[box.batch_id, box.cycle_key].append(box.id)
        report.deliver += 1
    elif to == Status.RETURNED and state != BoxState.RETURNED:
        todo.come_back[box.batch_id, box.cycle_key].append(box.id)
        report.come_back += 1
    elif has_left and (box.tracking_number or not row.number):
        report.here += 1


def _boxes_of(
    rt: Runtime, rows: Sequence[TrackingRow], every_name: AbstractSet[str]
) -> tuple[dict[str, list[AnyRow]], dict[str, list[AnyRow]]]:
    """Return the boxes that rows name: by box id, and by tracking number.

    A box stands for the others in its parcel, but for those in ``every_name`` of the file, and
    those that were cancelled or left by themselves.
    """
    box, cycle, shipment = table_of(Box), table_of(BoxCycle), table_of(Shipment)
    names = {row.box for row in rows if row.box}
    numbers = {row.number for row in rows if not row.box}
    statement = (
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.state,
            box.c.batch_id,
            box.c.cycle_id,
            box.c.shipment_id,
            box.c.parcel_id,
            cycle.c.key.label("cycle_key"),
            sa.func.coalesce(shipment.c.tracking_number, "").label("tracking_number"),
        )
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .order_by(box.c.id)
    )
    with reading():
        named = rt.session.execute(statement.where(box.c.public_id.in_(names))).all()
        mates = (
            sa.select(box.c.parcel_id, box.c.shipment_id, box.c.public_id.label("named"))
            .where(box.c.public_id.in_(names), box.c.parcel_id.is_not(None))
            .subquery()
        )
        together_still = sa.or_(
            box.c.shipment_id.is_(None), box.c.shipment_id == mates.c.shipment_id
        )
        together = rt.session.execute(
            statement.add_columns(mates.c.named)
            .join(mates, mates.c.parcel_id == box.c.parcel_id)
            .where(
                box.c.public_id != mates.c.named,
                box.c.state != BoxState.CANCELED,
                together_still,
            )
        ).all()
        numbered = (
            rt.session.execute(statement.where(shipment.c.tracking_number.in_(numbers))).all()
            if numbers
            else []
        )
        rt.session.rollback()
    boxes: dict[str, list[AnyRow]] = {row.public_id: [row] for row in named}
    for row in together:
        # One that the file names itself goes where its own row says.
        if row.public_id not in every_name:
            boxes[row.named].append(row)
    parcels: dict[str, list[AnyRow]] = defaultdict(list)
    for row in numbered:
        parcels[row.tracking_number].append(row)
    return boxes, parcels


def _ship(rt: Runtime, todo: _Work, by: By) -> None:
    # Of one that came back before anybody said that it left, only that is told.
    back = frozenset(key for keys in todo.come_back.values() for key in keys)
    for (batch, key, carrier), boxes in todo.ship.items():
        parcel = Parcel(carrier, _numbers(boxes, todo), by.actor, by.ref, back)
        for only in _parcel_slices(boxes, todo):
            retrying(rt.session, partial(_ship_slice, rt, batch, key, parcel, only, by))
            failpoint("tracking.after_slice")


def _numbers(boxes: Mapping[int, str], todo: _Work) -> dict[str, str]:
    """Return numbers by box id; a box without one has that of its parcel."""
    of_parcel = {todo.parcels[key]: boxes[key] for key in sorted(boxes, reverse=True) if boxes[key]}
    found = {
        todo.names[key]: number or of_parcel.get(todo.parcels[key], "")
        for key, number in boxes.items()
    }
    return {name: number for name, number in found.items() if number}


def _parcel_slices(boxes: Iterable[int], todo: _Work) -> list[list[int]]:
    """Return the keys in slices that hold whole parcels."""
    inside: dict[int, list[int]] = defaultdict(list)
    for key in boxes:
        inside[todo.parcels[key]].append(key)
    firsts = _slices(inside)
    return [[key for first in part for key in sorted(inside[first])] for part in firsts]


def _ship_slice(
    rt: Runtime, batch: int, cycle_key: str, parcel: Parcel, only: Sequence[int], by: By
) -> None:
    rows = departures.boxes_to_ship(rt.session, batch, len(only), only)
    departures.ship_boxes(rt.session, rows, cycle_key, parcel, rt.moment())
    _log(rt, by, "boxes.shipped", rows)
    rt.session.commit()


def _number(rt: Runtime, numbers: Mapping[int, tuple[str, str]], by: By) -> None:
    done = deliveries.note_numbers(rt.session, numbers, rt.moment())
    if by.who is not None:
        after, who = {"parcels": done}, by.who
        audit.write(rt.session, who.id, "boxes.numbered", "", {}, after, rt.moment(), who.ip)
    rt.session.commit()


class _Move(Protocol):
    """An operation that moves boxes which left, such as ``deliver_boxes``."""

    def __call__(
        self,
        session: AnySession,
        rows: Sequence[AnyRow],
        cycle_key: str,
        moment: Moment,
        said: Said,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class _Mover:
    move: _Move
    said: Mapping[int, datetime]


def _each(
    rt: Runtime,
    todo: Mapping[tuple[int, str], Sequence[int]],
    states: Sequence[BoxState],
    mover: _Mover,
    by: By,
) -> None:
    for (batch, cycle_key), boxes in todo.items():
        for only in _slices(boxes):
            where = (batch, cycle_key, only)
            retrying(rt.session, partial(_move_slice, rt, where, states, mover, by))
            failpoint("tracking.after_slice")


def _move_slice(
    rt: Runtime,
    where: tuple[int, str, Sequence[int]],
    states: Sequence[BoxState],
    mover: _Mover,
    by: By,
) -> None:
    batch, cycle_key, only = where
    rows = deliveries.boxes_on_their_way(rt.session, batch, only, SLICE, states)
    said = Said(by.actor, by.ref, mover.said)
    mover.move(rt.session, rows, cycle_key, rt.moment(), said)
    is_delivery = mover.move is deliveries.deliver_boxes
    _log(rt, by, "boxes.delivered" if is_delivery else "boxes.returned", rows)
    rt.session.commit()


def _log(rt: Runtime, by: By, action: str, rows: Sequence[AnyRow]) -> None:
    if rows and by.who is not None:
        after = {"boxes": len(rows), "first": rows[0].public_id, "last": rows[-1].public_id}
        audit.write(rt.session, by.who.id, action, "", {}, after, rt.moment(), by.who.ip)


def _slices(keys: Iterable[int]) -> list[list[int]]:
    ordered = sorted(keys)
    return [ordered[at : at + SLICE] for at in range(0, len(ordered), SLICE)]
