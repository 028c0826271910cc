"""The days on which nothing leaves: holidays and weekdays the merchant names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.database import reading, retrying
from storefront.domain.cycles import EVERY_WEEKDAY, DaysOff
from storefront.domain.errors import DomainError
from storefront.models import ShopSettings
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations import cycles as rounds
from storefront.operations.audit import SHOP, Who
from storefront.operations.catalogue import raise_version
from storefront.runtime import Runtime


class NoDayLeft(DomainError):
    """Something must leave on one weekday at least."""

    code = "no_day_left"


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
    them stay. Raises ``NoDayLeft``.
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
        moved = sum(
            rounds.move_ship_days(rt.session, group, before, wanted, rt.today())
            for group in rounds.groups(rt.session)
        )
        raise_version(rt.session)
        old, new = _plain(before), {**after, "moved": moved}
        audit.write(rt.session, who.id, "days_off.changed", SHOP, old, new, rt.moment(), who.ip)
        rt.session.commit()
        return DaysOffChange(True, moved)

    done = retrying(rt.session, write)
    rt.forget_shop()
    return done


def _plain(off: DaysOff) -> dict[str, list[str] | list[int]]:
    days = [day.isoformat() for day in sorted(off.holidays)]
    return {"holidays": days, "closed_weekdays": sorted(off.weekdays)}
