"""Insert many rows of one table, as fast as the driver takes them.

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

    Every row names the same columns; columns left out get the database's NULL, so those
    with a default of the model's must be given. Raises ``IntegrityError`` as usual.
    """
    if not rows:
        return
    connection = session.connection()
    names = tuple(rows[0])
    statement, pick, converters = _prepared(model, names, once_per, connection.dialect)
    if converters:
        values = []
        for row in rows:
            picked = list(pick(row))
            for place, convert in converters:
                picked[place] = convert(picked[place])
            values.append(tuple(picked))
    else:
        values = [tuple(pick(row)) for row in rows]
    connection.exec_driver_sql(statement, values)


@lru_cache(maxsize=256)
def _prepared(
    model: type[Base], names: tuple[str, ...], once_per: str, dialect: sa.Dialect
) -> tuple[str, itemgetter[Any], tuple[tuple[int, Convert], ...]]:
    table = table_of(model)
    missing = [
        column.name
        for column in table.columns
        if column.name not in names and (column.default is not None or not column.nullable)
        if not column.primary_key
    ]
    if missing:
        raise TypeError(f"rows of {table.name} leave out {', '.join(missing)}")
    quote = dialect.identifier_preparer.quote
    mark = "%s" if dialect.paramstyle in {"format", "pyformat"} else "?"
    columns = ", ".join(quote(name) for name in names)
    marks = ", ".join([mark] * len(names))
    converters = []
    for place, name in enumerate(names):
        convert = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        if convert is not None:
            converters.append((place, convert))
    statement = f"INSERT INTO {quote(table.name)} ({columns}) VALUES ({marks})"  # noqa: S608
    if once_per:
        statement += f" ON CONFLICT ({quote(once_per)}) DO NOTHING"
    return statement, itemgetter(*names), tuple(converters)
