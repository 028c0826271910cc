"""Groups of plans that are packed together, and the rhythm of their cycles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.cycles import CycleRhythm, plan_cycles
from storefront.domain.errors import DomainError
from storefront.domain.periods import Interval
from storefront.models import CycleGroup
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations import cycles as rounds
from storefront.operations.audit import Who
from storefront.operations.catalogue import raise_version
from storefront.operations.keys import reserve
from storefront.runtime import Runtime

#: Days ahead for which a new group's cycles are made at once; the worker makes the rest.
AHEAD = 400


class GroupExists(DomainError):
    """Another group has this name."""

    code = "group_exists"


@dataclass(frozen=True, slots=True)
class GroupDraft:
    """A new group. Days are counted from the charge day; rolling, from the packing day."""

    code: str
    name: str
    interval: Interval
    #: Day of month or ISO weekday on which everyone is charged; None: each on their own day.
    charge_day: int | None
    anchor_on: date
    cutoff_days: int = 1
    lock_days: int = 3
    ship_days: int = 6
    ship_window_days: int = 2

    @property
    def rhythm(self) -> CycleRhythm:
        """The rhythm; raises ``ValueError`` when its days are out of order."""
        return CycleRhythm(
            self.interval,
            self.charge_day,
            self.anchor_on,
            self.cutoff_days,
            self.lock_days,
            self.ship_days,
            self.ship_window_days,
        )


def add_group(rt: Runtime, who: Who, draft: GroupDraft) -> str:
    """Add a group with the cycles of the coming year; returns its public id.

    Raises ``GroupExists``, or ``ValueError`` for days out of order.
    """
    rhythm = draft.rhythm

    def write() -> str:
        table, moment = table_of(CycleGroup), rt.moment()
        if rt.session.execute(sa.select(table.c.id).where(table.c.code == draft.code)).first():
            raise GroupExists(name=draft.name)
        key, public = reserve(rt.session, CycleGroup, 1)[0], public_id("grp")
        rt.session.execute(
            sa.insert(table).values(
                id=key,
                public_id=public,
                code=draft.code,
                name=draft.name,
                unit=draft.interval.unit,
                count=draft.interval.count,
                charge_day=draft.charge_day,
                anchor_on=draft.anchor_on,
                cutoff_days=draft.cutoff_days,
                lock_days=draft.lock_days,
                ship_days=draft.ship_days,
                ship_window_days=draft.ship_window_days,
            )
        )
        until = moment.today + timedelta(days=AHEAD)
        off = rounds.read_days_off(rt.session, for_update=True)
        planned = plan_cycles(rhythm, max(draft.anchor_on, moment.today), until, off)
        rounds.insert_cycles(
            rt.session, key, [cycle for cycle in planned if cycle.lock_on >= moment.today]
        )
        rounds.open_cycles(rt.session, moment.today)
        raise_version(rt.session)
        after = {"name": draft.name, "interval": str(draft.interval)}
        audit.write(rt.session, who.id, "group.added", public, {}, after, moment, who.ip)
        rt.session.commit()
        return public

    added = retrying(rt.session, write)
    rt.forget_shop()
    return added
