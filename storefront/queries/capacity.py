"""How many boxes cycles and groups of plans can make, and how many of them are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.capacity import CycleUse
from storefront.models import BoxCycle, CycleGroup, Plan
from storefront.models.base import table_of
from storefront.operations.capacity import uses_of
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class CycleLimit:
    """What one cycle can make: ``own`` is its own number, None where the group's holds."""

    own: int | None
    of_group: int | None
    use: CycleUse


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """What each cycle of a group can make."""

    public_id: str
    name: str
    capacity: int | None


def cycle_limits(
    session: AnySession, cycles: Iterable[str], moment: Moment
) -> dict[str, CycleLimit]:
    """Return the limits of cycles by public id, those without one too."""
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    rows = session.execute(
        sa.select(
            cycle.c.id,
            cycle.c.public_id,
            cycle.c.group_id,
            cycle.c.capacity,
            group.c.capacity.label("of_group"),
        )
        .join(group, group.c.id == cycle.c.group_id)
        .where(cycle.c.public_id.in_(list(cycles)))
    ).all()
    limited = [row for row in rows if (row.capacity, row.of_group) != (None, None)]
    groups = {row.group_id for row in limited}
    uses = uses_of(session, groups, moment, cycle_ids=[row.id for row in limited])
    nothing = CycleUse(None, 0)
    return {
        row.public_id: CycleLimit(row.capacity, row.of_group, uses.get(row.id, nothing))
        for row in rows
    }


def group_limits(session: AnySession) -> list[GroupLimit]:
    """Return the groups of plans that ship, with what each of their cycles can make."""
    group, plan = table_of(CycleGroup), table_of(Plan)
    ships = sa.exists().where(plan.c.cycle_group_id == group.c.id, plan.c.archived_at.is_(None))
    rows = session.execute(
        sa.select(group.c.public_id, group.c.name, group.c.capacity)
        .where(ships)
        .order_by(group.c.name, group.c.id)
    )
    return [GroupLimit(*row) for row in rows]
