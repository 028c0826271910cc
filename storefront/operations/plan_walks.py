"""How far the subscribers of a plan were gone through for one cycle.

One row per cycle and plan, written with the mails of a slice, so a crash repeats none and
skips none. Source: docs/decisions/0186-reminders-to-choose.md, 0196-box-notices.md.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql
from storefront.domain.boxes import CycleState
from storefront.domain.cycles import CycleSlot, could_go_before
from storefront.domain.periods import Interval
from storefront.models import BoxCycle, Plan
from storefront.models.base import table_of
from storefront.operations.kept_places import slot_columns
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment

#: Most days before the cut-off on which a walk can begin.
MOST_DAYS = 14


def walks_due(
    session: AnySession,
    done: sa.Table,
    days: sa.ColumnElement[Any],
    moment: Moment,
    *columns: sa.ColumnElement[Any],
) -> list[AnyRow]:
    """Return the (cycle, plan) pairs to be walked now: ``days`` before the cut-off, or later.

    ``done`` keeps the walks. Not while a box before that of the cycle may still change, for who
    has one is not told of the cycle's. The rows name ``cycle_id``, ``cycle``, ``cutoff_on``,
    ``plan_id``, ``days`` and ``columns``.
    """
    cycle, plan = table_of(BoxCycle), table_of(Plan)
    is_soon = cycle.c.cutoff_on.between(moment.today, moment.today + timedelta(days=MOST_DAYS))
    rows = session.execute(
        sa.select(
            cycle.c.id.label("cycle_id"),
            cycle.c.public_id.label("cycle"),
            cycle.c.group_id,
            cycle.c.cutoff_on,
            plan.c.id.label("plan_id"),
            plan.c.shipping_unit,
            plan.c.shipping_count,
            days.label("days"),
            *columns,
        )
        .join(plan, plan.c.cycle_group_id == cycle.c.group_id)
        .outerjoin(done, sa.and_(done.c.cycle_id == cycle.c.id, done.c.plan_id == plan.c.id))
        .where(
            cycle.c.state.in_((CycleState.PLANNED, CycleState.OPEN)),
            is_soon,
            days > 0,
            done.c.done_at.is_(None),
        )
        .order_by(cycle.c.id, plan.c.id)
    ).all()
    due = [row for row in rows if row.cutoff_on <= moment.today + timedelta(days=row.days)]
    if not due:
        return []
    coming: dict[int, dict[int, CycleSlot]] = defaultdict(dict)
    groups = {row.group_id for row in due}
    for group, *slot in session.execute(
        sa.select(cycle.c.group_id, *slot_columns(cycle)).where(
            cycle.c.group_id.in_(groups), is_soon
        )
    ):
        coming[group][slot[0]] = CycleSlot(*slot)
    return [row for row in due if _is_next(row, coming[row.group_id])]


def _is_next(row: AnyRow, coming: dict[int, CycleSlot]) -> bool:
    shipping = Interval(cast(Any, row.shipping_unit), row.shipping_count)
    own = coming[row.cycle_id]
    return not any(could_go_before(other, own, shipping) for other in coming.values())


def begin_slice(session: AnySession, table: sa.Table, due: AnyRow) -> int | None:
    """Return behind whom to go on, None when another worker is through; locks the row.

    ``due`` names ``cycle_id`` and ``plan_id``; ``table`` keeps the walk.
    """
    dialect: Any = postgresql if is_postgresql(session) else sqlite
    first = dialect.insert(table).values(
        cycle_id=due.cycle_id, plan_id=due.plan_id, through_id=0, done_at=None
    )
    # Of two workers that begin at once, one makes the row, and the other waits for it.
    session.execute(first.on_conflict_do_nothing(index_elements=["cycle_id", "plan_id"]))
    row: AnyRow = session.execute(
        sa.select(table.c.through_id, table.c.done_at)
        .where(table.c.cycle_id == due.cycle_id, table.c.plan_id == due.plan_id)
        .with_for_update()
    ).one()
    return None if row.done_at is not None else int(row.through_id)


def end_slice(
    session: AnySession,
    table: sa.Table,
    due: AnyRow,
    through_id: int,
    moment: Moment,
    *,
    is_through: bool,
) -> None:
    """Note that everybody up to ``through_id`` was looked at; ``is_through``: that is all."""
    session.execute(
        sa.update(table)
        .where(table.c.cycle_id == due.cycle_id, table.c.plan_id == due.plan_id)
        .values(through_id=through_id, done_at=moment.now if is_through else None)
    )
