"""Insert and update many rows of one table, as fast as the driver takes them.

The statement and the conversion of each column are worked out once per table and kept; then a
row costs a tuple. SQLAlchemy's own executemany spends several times the driver's work on each
row, which is most of a renewal. Source: docs/decisions/0008-bulk-inserts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from storefront.models.base import Base, table_of
from storefront.operations.keys import AnySession

Convert = Callable[[Any], Any]


def insert_many(
    session: AnySession,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    once_per: str = "",
) -> None:
    """Insert ``rows`` of ``model`` in the session's transaction, in order.

    ``once_per`` names a unique column: rows whose value is there already are left out.

    Every row names the same columns; columns left out get the database's default or NULL,
    so those with a default of the model's must be given. Raises ``IntegrityError`` as usual.
    """
    if not rows:
        return
    connection = session.connection()
    names = tuple(rows[0])
    statement, pick, converters = _prepared(model, names, once_per, connection.dialect)
    connection.exec_driver_sql(statement, _tuples(rows, pick, converters))


def update_many(
    session: AnySession,
    model: type[Base],
    rows: Sequence[Mapping[str, Any]],
    *,
    where: Sequence[str],
    plus: str = "",
) -> int:
    """Update one row of ``model`` per entry of ``rows``; returns how many were found.

    Every entry names the same columns; those in ``where`` must match and are not set.
    ``plus`` is SQL of our own for the SET part, such as ``version = version + 1``. The
    caller compares the count when every row must have been there.
    """
    if not rows:
        return 0
    connection = session.connection()
    names = tuple(name for name in rows[0] if name not in where) + tuple(where)
    statement, pick, converters = _prepared_update(
        model, names, len(where), plus, connection.dialect
    )
    return connection.exec_driver_sql(statement, _tuples(rows, pick, converters)).rowcount


def _tuples(
    rows: Sequence[Mapping[str, Any]],
    pick: itemgetter[Any],
    converters: tuple[tuple[int, Convert, bool], ...],
) -> list[tuple[Any, ...]]:
    if not converters:
        return [tuple(pick(row)) for row in rows]
    columns = list(zip(*[pick(row) for row in rows], strict=True))
    for place, convert, is_plain in converters:
        values = columns[place]
        if is_plain:
            # Most instants, days and states of a batch are the same few: converted once each.
            known = {value: convert(value) for value in set(values)}
            columns[place] = tuple(map(known.__getitem__, values))
        else:
            columns[place] = tuple(map(convert, values))
    return list(zip(*columns, strict=True))


@lru_cache(maxsize=256)
def _prepared(
    model: type[Base], names: tuple[str, ...], once_per: str, dialect: sa.Dialect
) -> tuple[str, itemgetter[Any], tuple[tuple[int, Convert, bool], ...]]:
    table = table_of(model)
    missing = [
        column.name
        for column in table.columns
        if column.name not in names and (column.default is not None or not column.nullable)
        if not column.primary_key and column.server_default is None
    ]
    if missing:
        raise TypeError(f"rows of {table.name} leave out {', '.join(missing)}")
    quote = dialect.identifier_preparer.quote
    mark = "%s" if dialect.paramstyle in {"format", "pyformat"} else "?"
    columns = ", ".join(quote(name) for name in names)
    marks = ", ".join([mark] * len(names))
    statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608
    if once_per:
        statement += f" ON CONFLICT ({quote(once_per)}) DO NOTHING"
    return statement, itemgetter(*names), _converters(table, names, dialect)


@lru_cache(maxsize=256)
def _prepared_update(
    model: type[Base], names: tuple[str, ...], conditions: int, plus: str, dialect: sa.Dialect
) -> tuple[str, itemgetter[Any], tuple[tuple[int, Convert, bool], ...]]:
    table = table_of(model)
    quote = dialect.identifier_preparer.quote
    mark = "%s" if dialect.paramstyle in {"format", "pyformat"} else "?"
    sets = [f"{quote(name)} = {mark}" for name in names[:-conditions]]
    if plus:
        sets.append(plus)
    conditions_text = " AND ".join(f"{quote(name)} = {mark}" for name in names[-conditions:])
    statement = f"UPDATE {quote(table.name)} SET {', '.join(sets)} WHERE {conditions_text}"  # noqa: S608
    return statement, itemgetter(*names), _converters(table, names, dialect)


def _converters(
    table: sa.Table, names: tuple[str, ...], dialect: sa.Dialect
) -> tuple[tuple[int, Convert, bool], ...]:
    """Return (place, conversion, whether values can be remembered) of the columns that need one."""
    found = []
    for place, name in enumerate(names):
        kind = table.c[name].type
        convert = kind.dialect_impl(dialect).bind_processor(dialect)
        if convert is not None:
            found.append((place, convert, not isinstance(kind, sa.JSON)))
    return tuple(found)
