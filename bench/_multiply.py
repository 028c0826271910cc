"""Turn a thousand subscribers into a million, inside the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

#: What ``storefront.testing.population`` fills, parents first.
TABLES = (
    "customer",
    "address",
    "payment_method",
    "subscription",
    "consent",
    "subscription_period",
    "movement",
)
#: Columns that must differ from row to row.
_UNIQUE = {"public_id", "email", "token", "fingerprint"}


def multiply(engine: sa.Engine, copies: int) -> None:
    """Add ``copies`` of every row of ``TABLES``, with keys and names of their own."""
    with engine.connect() as connection:
        highest = {
            name: connection.exec_driver_sql(f"SELECT max(id) FROM {name}").scalar_one()
            for name in TABLES
        }
    for name in TABLES:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                # Keys and names come in any order: without room for the indexes each is a read.
                connection.exec_driver_sql("PRAGMA cache_size = -1000000")
            connection.execute(sa.text(_statement(name, highest)), {"copies": copies})
            if engine.dialect.name == "postgresql":
                # What is inserted by its number does not move the sequence.
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"
                )


def _statement(name: str, highest: dict[str, int]) -> str:
    from storefront.models.base import Base

    table = Base.metadata.tables[name]
    chosen = ", ".join(_value(column, highest) for column in table.columns)
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    return (
        "WITH RECURSIVE series(n) AS"
        " (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < :copies)"
        f" INSERT INTO {name} ({names}) SELECT {chosen} FROM {name}, series"
        f" WHERE {name}.id <= {highest[name]}"
    )


def _value(column: sa.Column[Any], highest: dict[str, int]) -> str:
    table = column.table.name  # type: ignore[attr-defined]
    own = f'{table}."{column.name}"'
    if column.primary_key:
        return f"{own} + n * {highest[table]}"
    for key in column.foreign_keys:
        if key.column.table.name in highest:
            return f"{own} + n * {highest[key.column.table.name]}"
    if column.name in _UNIQUE:
        return f"'x' || ({table}.id + n * {highest[table]}) || '@example.org'"
    return own
