"""The days on which nothing leaves: holidays and weekdays the merchant names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import groupby

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.boxes import BoxState
from storefront.domain.cycles import EVERY_WEEKDAY, DaysOff
from storefront.domain.errors import DomainError
from storefront.models import Box, BoxCycle, CycleGroup, ShopSettings
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations import cycles as rounds
from storefront.operations.audit import SHOP, Who
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnyRow
from storefront.operations.second_payments import next_payments
from storefront.operations.ship_day_news import note_moved
from storefront.runtime import Runtime


class NoDayLeft(DomainError):
    """Something must leave on one weekday at least."""

    code = "no_day_left"


class PaidBefore(DomainError):
    """Somebody would pay for the second box before the first has left.

    ``ships_on`` is the day on which the cycle leaves now, ``moves_to`` where it would move.
    """

    code = "paid_before"

    def __init__(self, ships_on: date, moves_to: date, pays_on: date) -> None:
        super().__init__(ships_on=ships_on.isoformat(), pays_on=pays_on.isoformat())
        self.ships_on = ships_on
        self.moves_to = moves_to
        self.pays_on = pays_on


class NotAsShown(DomainError):
    """What would move is not what staff were shown."""

    code = "not_as_shown"


@dataclass(frozen=True, slots=True)
class MovedCycle:
    """A cycle that leaves on another day, and what is paid for in it."""

    ref: str
    group: str
    key: str
    old: tuple[date, date]
    new: tuple[date, date]
    boxes: int
    subscribers: int


@dataclass(frozen=True, slots=True)
class DaysOffPreview:
    """What a list of days off moves, soonest first, and the mark to save just that."""

    moved: tuple[MovedCycle, ...]
    seen: str


@dataclass(frozen=True, slots=True)
class DaysOffChange:
    """Whether anything differs, and how many rounds leave on another day than before."""

    changed: bool
    moved: int = 0


def days_off(rt: Runtime) -> DaysOff:
    """Return the days on which nothing leaves."""
    with reading():
        found = rounds.read_days_off(rt.session)
        rt.session.rollback()
    return found


def preview_days_off(
    rt: Runtime, holidays: Collection[date], weekdays: Collection[int]
) -> DaysOffPreview:
    """Return which cycles would leave on which days; nothing is kept.

    Raises ``NoDayLeft`` and ``PaidBefore``.
    """
    wanted = _wanted(holidays, weekdays)

    def look() -> DaysOffPreview:
        before = rounds.read_days_off(rt.session, for_update=True)
        # They are moved and put back: so what is shown is what saving does.
        moved = _moves(rt, before, wanted)
        found = DaysOffPreview(_shown(rt, moved), _mark(moved))
        rt.session.rollback()
        return found

    return retrying(rt.session, look)


def set_days_off(
    rt: Runtime,
    who: Who,
    holidays: Collection[date],
    weekdays: Collection[int],
    seen: str | None = None,
) -> DaysOffChange:
    """Let nothing leave on ``holidays`` and ISO ``weekdays``.

    Rounds that are not locked move their ship days; charge day, cut-off, lock and the boxes in
    them stay. Whose next box moves is told by mail later. ``seen`` is the mark of the preview that
    staff looked at, None where there was none.
    Raises ``NoDayLeft``, ``PaidBefore`` and ``NotAsShown``.
    """
    wanted = _wanted(holidays, weekdays)

    def write() -> DaysOffChange:
        before = rounds.read_days_off(rt.session, for_update=True)
        if before == wanted:
            rt.session.rollback()
            return DaysOffChange(False)
        after = _plain(wanted)
        rt.session.execute(sa.update(table_of(ShopSettings)).values(**after))
        moves = _moves(rt, before, wanted)
        if moves and seen is not None and seen != _mark(moves):
            raise NotAsShown
        for group, several in groupby(moves, key=lambda one: one[0].group_id):
            note_moved(rt.session, group, {row.id: old for row, old in several}, rt.moment())
        raise_version(rt.session)
        moved = len(moves)
        old, new = _plain(before), {**after, "moved": moved}
        audit.write(rt.session, who.id, "days_off.changed", SHOP, old, new, rt.moment(), who.ip)
        rt.session.commit()
        return DaysOffChange(True, moved)

    done = retrying(rt.session, write)
    rt.forget_shop()
    return done


#: A cycle as it is moved, and the day on which it left before.
_Moves = list[tuple[AnyRow, date]]


def _wanted(holidays: Collection[date], weekdays: Collection[int]) -> DaysOff:
    wanted = DaysOff(frozenset(holidays), frozenset(weekdays))
    if wanted.weekdays >= EVERY_WEEKDAY:
        raise NoDayLeft
    return wanted


def _moves(rt: Runtime, before: DaysOff, after: DaysOff) -> _Moves:
    """Move the ship days of every group; by group, soonest first."""
    groups = rounds.groups(rt.session)
    return [one for group in groups for one in _move(rt, group, before, after)]


def _move(rt: Runtime, group: rounds.Group, before: DaysOff, after: DaysOff) -> _Moves:
    """Move the ship days of a group; refuse where a first box would leave behind a payment."""
    # No box joins a cycle until the commit, so that what is said of first boxes holds.
    old = {row.id: row.ship_from for row in _rows(rt, group, for_update=True)}
    if not rounds.move_ship_days(rt.session, group, before, after, rt.today()):
        return []
    rows = _rows(rt, group)
    later = {row.id: row.ship_from for row in rows if row.ship_from > old.get(row.id, date.max)}
    for key, pays_on in next_payments(rt.session, group.id, rows, list(later)).items():
        if later[key] > pays_on:
            raise PaidBefore(old[key], later[key], pays_on)
    return [(row, old[row.id]) for row in rows if row.ship_from != old.get(row.id, row.ship_from)]


def _mark(moves: _Moves) -> str:
    days = [(row.id, old, row.ship_from, row.ship_to) for row, old in moves]
    return sha256(repr(days).encode()).hexdigest()[:16] if days else ""


def _shown(rt: Runtime, moves: _Moves) -> tuple[MovedCycle, ...]:
    box, group = table_of(Box), table_of(CycleGroup)
    ids = [row.id for row, _old in moves]
    counts = {
        row.cycle_id: (row.boxes, row.subscribers)
        for row in rt.session.execute(
            sa.select(
                box.c.cycle_id,
                sa.func.count().label("boxes"),
                sa.func.count(box.c.subscription_id.distinct()).label("subscribers"),
            )
            .where(box.c.cycle_id.in_(ids), box.c.state != BoxState.CANCELED)
            .group_by(box.c.cycle_id)
        )
    }
    names = {row.id: row.name for row in rt.session.execute(sa.select(group.c.id, group.c.name))}
    found = [
        MovedCycle(
            row.public_id,
            names[row.group_id],
            row.key,
            (old, old + (row.ship_to - row.ship_from)),
            (row.ship_from, row.ship_to),
            *counts.get(row.id, (0, 0)),
        )
        for row, old in moves
    ]
    return tuple(sorted(found, key=lambda one: (one.old, one.group)))


def _rows(rt: Runtime, group: rounds.Group, *, for_update: bool = False) -> list[AnyRow]:
    table = table_of(BoxCycle)
    mine = sa.select(table).where(table.c.group_id == group.id)
    if for_update:
        mine = mine.where(table.c.state.in_(rounds.UNLOCKED)).with_for_update()
    return list(rt.session.execute(mine.order_by(table.c.ship_from, table.c.lock_on, table.c.id)))


def _plain(off: DaysOff) -> dict[str, list[str] | list[int]]:
    days = [day.isoformat() for day in sorted(off.holidays)]
    return {"holidays": days, "closed_weekdays": sorted(off.weekdays)}
