"""How far the subscribers of a plan were gone through for one cycle.

One row per cycle and plan, written with the mails of a slice, so a crash repeats none and
skips none. Source: docs/decisions/0186-reminders-to-choose.md, 0196-box-notices.md.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment


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
