"""Integer keys for rows that are inserted many at once."""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any, Self, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from storefront.models.base import Base, table_of

AnySession = Session | scoped_session[Session]
#: A row of a statement over table columns; its columns are read by name.
AnyRow = sa.Row[*tuple[Any, ...]]
#: A statement kept for good: building one costs more than running it, so those of the hot
#: paths are made once and take their keys as the parameter ``ids``.
AnySelect = sa.Select[*tuple[Any, ...]]


class _Keys(sa.types.TypeDecorator[Iterable[Any]]):
    """A collection as one parameter: an array on PostgreSQL, a JSON text on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        kind = postgresql.ARRAY(self.item) if dialect.name == "postgresql" else sa.Text()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: Iterable[Any] | None, dialect: sa.Dialect) -> Any:
        keys = list(value or ())
        return keys if dialect.name == "postgresql" else json.dumps(keys)


class _AnyOf(FunctionElement[bool]):
    inherit_cache = True
    type = sa.Boolean()

    def self_group(self, against: Any = None) -> Self:
        # A condition as it stands: "(…) = 1", as a function's truth is asked for on SQLite,
        # would hide the column from its index.
        return self


@compiles(_AnyOf)
def _in_json(element: _AnyOf, compiler: SQLCompiler, **kw: Any) -> str:
    column, keys = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({keys})))"  # noqa: S608


@compiles(_AnyOf, "postgresql")
def _in_array(element: _AnyOf, compiler: SQLCompiler, **kw: Any) -> str:
    column, keys = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({column} = ANY ({keys}))"


def any_of(column: sa.ColumnElement[Any], keys: str = "ids") -> sa.ColumnElement[bool]:
    """Return the condition that ``column`` is one of the statement's parameter ``keys``.

    They travel as one value however many there are, so the statement's text is always the
    same: with a mark for each, writing it anew costs more than running it.
    """
    return _AnyOf(column, sa.bindparam(keys, type_=_Keys(column.type)))


def named(result: sa.Result[*tuple[Any, ...]]) -> list[AnyRow]:
    """Return the rows of ``result`` as named tuples, for rows that are read by the thousand.

    SQLAlchemy's row looks for each column as an attribute first, in vain, and words the error;
    that took a sixth of a renewal. The names must be good for attributes.
    """
    make = row_type(tuple(result.keys()))
    return cast("list[AnyRow]", [make(row) for row in result.all()])


@lru_cache(maxsize=256)
def row_type(names: tuple[str, ...]) -> Any:
    """Return what makes a named tuple of a row's values; the names are those of its columns."""
    # The names are known at run time only.
    made: Any = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024
    return made._make


def by_subscription(rows: Iterable[AnyRow]) -> dict[int, list[AnyRow]]:
    """Return rows by their ``subscription_id``, in their order."""
    found: dict[int, list[AnyRow]] = {}
    for row in rows:
        found.setdefault(row.subscription_id, []).append(row)
    return found


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
    highest = session.connection().exec_driver_sql(_highest(table)).scalar_one() or 0
    return list(range(highest + 1, highest + 1 + count))


@cache
def _highest(table: sa.Table) -> str:
    """Return the statement as it is: SQLAlchemy writing it takes longer than its answer."""
    return str(sa.select(sa.func.max(table.c.id)))
