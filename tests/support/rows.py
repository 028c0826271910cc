"""Read all rows of a test's database, and make it hold what it held another time.

Each of the two databases has a way that takes a few milliseconds and is blind to what the rows
mean: no trigger fires, no key is followed, and no value is turned into anything of Python's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import psycopg
import sqlalchemy as sa
from psycopg import sql

from storefront.models.base import Base

S = TypeVar("S")
C = TypeVar("C")


class Rows(Protocol[S, C]):
    """How one kind of database is read (into an ``S``) and changed (by a ``C``)."""

    def read(self) -> S:
        """Return every row of every table."""
        ...

    def change(self, before: S, after: S) -> C:
        """Return what turns ``before`` into ``after``; good for every database of this kind."""
        ...

    def bring(self, change: C) -> None:
        """Write ``change`` and commit it. The database must hold what it was made for."""
        ...


#: Table -> row number -> values.
SqliteState = Mapping[str, Mapping[int, tuple[Any, ...]]]


@dataclass(frozen=True)
class SqliteChange:
    """Statements, each with the values of its rows."""

    statements: tuple[tuple[str, list[tuple[Any, ...]]], ...]


class SqliteRows:
    """Rows of a SQLite database; ``connect`` lends the driver's connection, with autocommit on."""

    def __init__(self, connect: Callable[[], AbstractContextManager[Any]]) -> None:
        self._connect = connect
        self._tables: tuple[str, ...] = ()

    def read(self) -> SqliteState:
        found = {}
        with self._connect() as connection:
            for table in self._names(connection):
                rows = connection.execute(f'SELECT rowid, * FROM "{table}"').fetchall()
                if rows:
                    found[table] = {row[0]: tuple(row)[1:] for row in rows}
        return found

    def change(self, before: SqliteState, after: SqliteState) -> SqliteChange:
        statements = []
        for table in sorted(before.keys() | after.keys()):
            old, new = before.get(table, {}), after.get(table, {})
            if gone := [(key,) for key in old if key not in new]:
                statements.append((f'DELETE FROM "{table}" WHERE rowid = ?', gone))
            if put := [row for key, row in new.items() if old.get(key) != row]:
                marks = ", ".join("?" * len(put[0]))
                # No trigger of ours sees an insert, nor that it replaces a row.
                statements.append((f'INSERT OR REPLACE INTO "{table}" VALUES ({marks})', put))
        return SqliteChange(tuple(statements))

    def bring(self, change: SqliteChange) -> None:
        if not change.statements:
            return
        with self._connect() as connection:
            # Otherwise what is replaced takes along whatever refers to it.
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("BEGIN IMMEDIATE")
            for statement, rows in change.statements:
                connection.executemany(statement, rows)
            connection.execute("COMMIT")
            connection.execute("PRAGMA foreign_keys = ON")

    def _names(self, connection: Any) -> tuple[str, ...]:
        if not self._tables:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            self._tables = tuple(row[0] for row in found if not row[0].startswith("sqlite_"))
        return self._tables


@contextmanager
def borrowed(engine: sa.Engine) -> Iterator[Any]:
    """Lend a SQLite connection of the pool, free to write."""
    lent = engine.raw_connection()
    try:
        lent.driver_connection.execute("PRAGMA query_only = OFF")
        lent.info["query_only"] = False
        yield lent.driver_connection
    finally:
        lent.close()


#: Table -> all its rows, as the text of an array.
PostgresState = Mapping[str, str]


class PostgresRows:
    """Rows behind a connection with autocommit on, for which triggers and keys stand aside."""

    def __init__(self, connection: psycopg.Connection, tables: Iterable[str]) -> None:
        self._connection = connection
        parts = [
            sql.SQL("SELECT {}, array_agg(one)::text FROM {} one").format(
                sql.Literal(table), sql.Identifier(table)
            )
            for table in tables
        ]
        self._all = sql.SQL(" UNION ALL ").join(parts)

    def read(self) -> PostgresState:
        rows = self._connection.execute(self._all).fetchall()
        return {table: text for table, text in rows if text is not None}

    def change(self, before: PostgresState, after: PostgresState) -> str:
        statements: list[sql.Composable] = []
        for table in sorted(before.keys() | after.keys()):
            old, new = before.get(table), after.get(table)
            if old == new:
                continue
            # With the schema: "box" alone is a type of PostgreSQL's own.
            name = sql.Identifier("public", table)
            if old is not None:
                statements.append(sql.SQL("DELETE FROM {}").format(name))
            if new is not None:
                statements.append(
                    sql.SQL("INSERT INTO {} SELECT * FROM unnest({}::{}[])").format(
                        name, sql.Literal(new), name
                    )
                )
        return sql.SQL("; ").join(statements).as_string(self._connection)

    def bring(self, change: str) -> None:
        if change:
            # One message: the server takes several statements in one as one transaction.
            self._connection.execute(change.encode())


def tables_of_shop() -> list[str]:
    """Return the names of all our tables."""
    return sorted(table.name for table in Base.metadata.tables.values())
