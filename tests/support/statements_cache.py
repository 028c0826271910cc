"""Compile each statement once per test process, not once per test; connect once, too.

Every test has an engine of its own, and with it an empty cache of compiled statements: half of
what a test of a use-case costs is turning the same hundred statements into SQL again. The engines
of one kind of database may share dialect and cache, because both know nothing of the address.

All tests of a process on PostgreSQL use one and the same database, emptied in between. So their
engines share the pool of connections: a server process that has just been started reads its
catalogues and plans every statement anew, which costs more than what most tests do there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

#: Statements kept for all tests of a process; an application alone keeps 500 and needs no more.
_STATEMENTS = 6_000
_KEPT: dict[str, tuple[Any, Any]] = {}
_POOLS: dict[sa.URL, sa.Pool] = {}


def share_compiled(engine: sa.Engine) -> None:
    """Let ``engine`` use the dialect and the compiled statements of the first of its kind.

    These are private attributes of SQLAlchemy's; where they are gone, tests are merely slower.
    """
    inner: Any = engine
    if not (hasattr(inner, "_compiled_cache") and hasattr(inner.pool, "_dialect")):
        return
    if engine.name == "postgresql" and engine.url not in _POOLS:
        sa.event.listen(engine.pool, "connect", _remember_plans)
    kept = _KEPT.get(engine.name)
    if kept is None:
        # Its first connection tells the dialect what the server can do.
        engine.connect().close()
        inner._compiled_cache.capacity = _STATEMENTS
        _KEPT[engine.name] = (inner.dialect, inner._compiled_cache)
    else:
        inner.dialect, inner._compiled_cache = kept
        inner.pool._dialect = kept[0]
    if engine.name == "postgresql":
        # Each transaction begins with the question whether the server is still there; here it is.
        inner.pool._pre_ping = False
        engine.pool = _POOLS.setdefault(engine.url, engine.pool)


def _remember_plans(connection: Any, _entry: Any) -> None:
    """Let the server plan a statement for the second time and then never again.

    It forgets all but a hundred otherwise, and the tests of one process send some thousand.
    """
    connection.prepare_threshold = 1
    connection.prepared_max = 2000


def let_go(engine: sa.Engine, *, in_use: int) -> None:
    """Close the connections of ``engine``, unless the next test goes on with them."""
    if _POOLS.get(engine.url) is engine.pool:
        if not in_use:
            return
        # What a test left in use shall be its own fault, not that of the tests that follow.
        del _POOLS[engine.url]
    engine.dispose()


def disconnect_all() -> None:
    """Close every connection that is kept for tests to come."""
    for pool in _POOLS.values():
        pool.dispose()
    _POOLS.clear()
