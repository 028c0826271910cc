"""The days on which nothing leaves: holidays and weekdays the merchant names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.cycles import EVERY_WEEKDAY, DaysOff
from storefront.domain.errors import DomainError
from storefront.models import BoxCycle, ShopSettings
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations import cycles as rounds
from storefront.operations.audit import SHOP, Who
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import AnyRow
from storefront.operations.second_payments import next_payments
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


def set_days_off(
    rt: Runtime, who: Who, holidays: Collection[date], weekdays: Collection[int]
) -> DaysOffChange:
    """Let nothing leave on ``holidays`` and ISO ``weekdays``.

    Rounds that are not locked move their ship days; charge day, cut-off, lock and the boxes in
    them stay. Raises ``NoDayLeft`` and ``PaidBefore``.
    """
    wanted = DaysOff(frozenset(holidays), frozenset(weekdays))
    if wanted.weekdays >= EVERY_WEEKDAY:
        raise NoDayLeft

    def write() -> DaysOffChange:
        before = rounds.read_days_off(rt.session, for_update=True)
        if before == wanted:
            rt.session.rollback()
            return DaysOffChange(False)
        after = _plain(wanted)
        rt.session.execute(sa.update(table_of(ShopSettings)).values(**after))
        moved = sum(_move(rt, group, before, wanted) for group in rounds.groups(rt.session))
        raise_version(rt.session)
        old, new = _plain(before), {**after, "moved": moved}
        audit.write(rt.session, who.id, "days_off.changed", SHOP, old, new, rt.moment(), who.ip)
        rt.session.commit()
        return DaysOffChange(True, moved)

    done = retrying(rt.session, write)
    rt.forget_shop()
    return done


def _move(rt: Runtime, group: rounds.Group, before: DaysOff, after: DaysOff) -> int:
    """Move the ship days of a group; refuse where a first box would leave behind a payment."""
    # No box joins a cycle until the commit, so that what is said of first boxes holds.
    old = {row.id: row.ship_from for row in _rows(rt, group, for_update=True)}
    moved = rounds.move_ship_days(rt.session, group, before, after, rt.today())
    if not moved:
        return 0
    rows = _rows(rt, group)
    later = {row.id: row.ship_from for row in rows if row.ship_from > old.get(row.id, date.max)}
    for key, pays_on in next_payments(rt.session, group.id, rows, list(later)).items():
        if later[key] > pays_on:
            raise PaidBefore(old[key], later[key], pays_on)
    return moved


def _rows(rt: Runtime, group: rounds.Group, *, for_update: bool = False) -> list[AnyRow]:
    table = table_of(BoxCycle)
    mine = sa.select(table).where(table.c.group_id == group.id)
    if for_update:
        mine = mine.where(table.c.state.in_(rounds.UNLOCKED)).with_for_update()
    return list(rt.session.execute(mine.order_by(table.c.ship_from, table.c.lock_on, table.c.id)))


def _plain(off: DaysOff) -> dict[str, list[str] | list[int]]:
    days = [day.isoformat() for day in sorted(off.holidays)]
    return {"holidays": days, "closed_weekdays": sorted(off.weekdays)}
