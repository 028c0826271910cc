"""Integer keys for rows that are inserted many at once."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session

from storefront.models.base import Base, table_of

AnySession = Session | scoped_session[Session]
#: A row of a statement over table columns; its columns are read by name.
AnyRow = sa.Row[*tuple[Any, ...]]
#: A statement kept for good: building one costs more than running it, so those of the hot
#: paths are made once and take their keys as the parameter ``ids``.
AnySelect = sa.Select[*tuple[Any, ...]]


def any_of(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Return the condition that ``column`` is one of the statement's ``ids``."""
    return column.in_(sa.bindparam("ids", expanding=True))


def reserve(session: AnySession, model: type[Base], count: int) -> list[int]:
    """Return ``count`` keys for rows of ``model`` to be inserted in this transaction.

    One statement whatever the count. On SQLite a write transaction is the only writer, so
    the keys above the highest are free until its commit; on PostgreSQL the table's own
    sequence hands them out. Knowing the keys beforehand, rows that point at one another go
    in by plain bulk inserts. Source: docs/decisions/0006-keys-before-inserts.md.
    """
    if count == 0:
        return []
    table = table_of(model)
    if session.get_bind().dialect.name == "postgresql":
        drawn = session.execute(
            sa.text(
                "SELECT nextval(pg_get_serial_sequence(:table, 'id')) FROM generate_series(1, :n)"
            ),
            {"table": table.name, "n": count},
        )
        return [int(key) for key in drawn.scalars()]
    highest = session.execute(sa.select(sa.func.max(table.c.id))).scalar_one() or 0
    return list(range(highest + 1, highest + 1 + count))
