"""Ask the database how it answers a statement, and which large tables it reads whole for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

Asked = tuple[str, Any]
#: A table with more rows than this is large: reading it whole grows with the shop.
LARGE = 5000
#: Instructions of SQLite's machine between two looks at it.
_STEPS = 100


def whole_reads(engine: sa.Engine, statements: Sequence[Asked], show: bool) -> set[str]:
    """Return the large tables that ``statements`` read whole; prints every plan to ``show``."""
    from storefront.models.base import Base

    on_postgresql = engine.dialect.name == "postgresql"
    found = set()
    with engine.connect() as connection:
        large = {name for name in Base.metadata.tables if _is_large(connection, name)}
        for text, values in statements:
            if not text.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
                continue
            plan = _plan(connection, text, values, on_postgresql)
            if show:
                print("    " + " ".join(text.split())[:150])
                print(*(f"        {line}" for line in plan), sep="\n")
            names = _postgresql(plan) if on_postgresql else _sqlite(plan, text)
            found |= names & large
            if not on_postgresql:
                found |= _long_walk(connection, text, values)
        connection.rollback()
    return found


def _plan(connection: sa.Connection, text: str, values: Any, on_postgresql: bool) -> list[str]:
    word = "EXPLAIN" if on_postgresql else "EXPLAIN QUERY PLAN"
    rows = connection.exec_driver_sql(f"{word} {text}", values).all()
    return [str(row[0] if on_postgresql else row[3]) for row in rows]


def _long_walk(connection: sa.Connection, text: str, values: Any) -> set[str]:
    """Return what to say of a statement that takes as many steps as a large table has rows.

    A search by an index that most rows share (a state) reads as much as a whole table.
    """
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += _STEPS
        return 0

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(count, _STEPS)
    try:
        connection.exec_driver_sql(text, values)
    finally:
        driver.set_progress_handler(None, _STEPS)
    connection.rollback()
    return {f"{text.split(None, 1)[0]} of {steps:,} steps"} if steps > LARGE else set()


def _is_large(connection: sa.Connection, name: str) -> bool:
    counted = f"SELECT count(*) FROM (SELECT 1 FROM {name} LIMIT {LARGE + 1}) AS few"
    return int(connection.exec_driver_sql(counted).scalar_one()) > LARGE


def _postgresql(plan: Sequence[str]) -> set[str]:
    return {found[1] for line in plan if (found := re.search(r"Seq Scan on (\w+)", line))}


def _sqlite(plan: Sequence[str], text: str) -> set[str]:
    """A walk through a partial index is as long as what is waiting in it, not as the table."""
    from storefront.models.partial_indexes import PARTIAL_INDEXES

    found = set()
    for line in plan:
        scan = re.match(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", line)
        if scan and scan[2] not in PARTIAL_INDEXES:
            found.add(_table_of(scan[1], text))
    return found


def _table_of(name: str, text: str) -> str:
    """Return the table that ``name`` is another name of in ``text``."""
    alias = re.search(rf"(\w+) AS {re.escape(name)}\b", text)
    return alias[1] if alias else name
