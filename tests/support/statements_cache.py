"""Compile each statement once per test process, not once per test.

Every test has an engine of its own, and with it an empty cache of compiled statements: half of
what a test of a use-case costs is turning the same hundred statements into SQL again. The engines
of one kind of database may share dialect and cache, because both know nothing of the address.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

_KEPT: dict[str, tuple[Any, Any]] = {}


def share_compiled(engine: sa.Engine) -> None:
    """Let ``engine`` use the dialect and the compiled statements of the first of its kind.

    These are private attributes of SQLAlchemy's; where they are gone, tests are merely slower.
    """
    inner: Any = engine
    if not (hasattr(inner, "_compiled_cache") and hasattr(inner.pool, "_dialect")):
        return
    kept = _KEPT.get(engine.name)
    if kept is None:
        # Its first connection tells the dialect what the server can do.
        engine.connect().close()
        _KEPT[engine.name] = (inner.dialect, inner._compiled_cache)
        return
    inner.dialect, inner._compiled_cache = kept
    inner.pool._dialect = kept[0]
