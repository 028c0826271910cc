"""How we talk to SQLite and PostgreSQL: engine options, write and read transactions, retries.

Every transaction is a write transaction from its first statement (``BEGIN IMMEDIATE`` on SQLite),
because a read that turns into a write fails there under load. Code that only reads says so with
:func:`reading`; a write inside it fails on both databases.
"""

from __future__ import annotations

import logging
import os
import random
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

try:
    import pysqlite3
except ImportError:  # not a platform with a wheel: the standard library's SQLite is used
    pysqlite3 = None

log = logging.getLogger(__name__)

#: Older versions can corrupt a WAL database when a writer and a checkpoint race.
SAFE_WAL_VERSION = (3, 51, 3)
BUSY_SECONDS = 5
#: Statements that an SQLite connection keeps prepared. A tick of the worker and a night's check
#: ask more than the driver's own 128, of which then every one would be prepared each time.
_STATEMENTS = 512
#: States in which PostgreSQL asks for the whole transaction again: serialisation failure,
#: deadlock, lock not available.
_RETRY_STATES = {"40001", "40P01", "55P03"}

_engines: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
_reading: ContextVar[bool] = ContextVar("storefront_reading", default=False)

T = TypeVar("T")
AnySession = Session | scoped_session[Any]


@contextmanager
def reading() -> Iterator[None]:
    """Make transactions that begin inside this block read only: a write in them raises."""
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)


def start_reading() -> None:
    """Like :func:`reading`, until :func:`stop_reading`; for a request, which has no block."""
    _reading.set(True)


def stop_reading() -> None:
    """Back to the default: transactions that begin from here on may write."""
    _reading.set(False)


def is_reading() -> bool:
    """Return whether transactions that begin here are read only."""
    return _reading.get()


def sqlite_module() -> ModuleType:
    """Return the SQLite driver to use: the standard library's unless its SQLite is too old."""
    if sqlite3.sqlite_version_info < SAFE_WAL_VERSION and pysqlite3 is not None:
        return pysqlite3.dbapi2
    return sqlite3


def journal_mode() -> str:
    """``wal`` where the SQLite in use is safe with it, otherwise the rollback journal."""
    version: tuple[int, ...] = sqlite_module().sqlite_version_info
    return "wal" if version >= SAFE_WAL_VERSION else "delete"


def engine_options(url: str) -> dict[str, Any]:
    """Return the keyword arguments of ``create_engine`` for ``url``."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        options: dict[str, Any] = {"module": sqlite_module()}
        if parsed.database not in {None, "", ":memory:"}:
            options["connect_args"] = {
                "timeout": BUSY_SECONDS,
                "check_same_thread": False,
                "cached_statements": _STATEMENTS,
            }
            options |= {"pool_size": 10, "max_overflow": 20, "pool_timeout": BUSY_SECONDS}
        return options
    session = f"-c timezone=UTC -c lock_timeout={BUSY_SECONDS}s"
    return {
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": 20,
        "pool_timeout": BUSY_SECONDS,
        "pool_recycle": 1800,
        "connect_args": {
            "options": f"{session} -c idle_in_transaction_session_timeout=60s",
            "connect_timeout": BUSY_SECONDS,
        },
    }


def create_engine(url: str) -> sa.Engine:
    """Return an engine with our options and events; for tools that run outside the app."""
    return prepare_engine(sa.create_engine(url, **engine_options(url)))


def prepare_engine(engine: sa.Engine) -> sa.Engine:
    """Make ``engine`` begin and end transactions our way. Safe to call twice.

    In the methods of its own dialect, not as listeners of the engine: with one of those, every
    statement asks whether there are others, a sixth of the time of a short transaction.
    """
    if engine in _engines:
        return engine
    dialect: Any = engine.dialect
    if dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        dialect.do_begin = _begin_sqlite
    else:
        dialect.do_begin = _begin_postgresql
        dialect.do_rollback = _roll_back_postgresql
    _engines.add(engine)
    return engine


def is_postgresql(session: AnySession) -> bool:
    """True on PostgreSQL, False on SQLite."""
    return session.get_bind().dialect.name == "postgresql"


def is_busy(error: BaseException) -> bool:
    """True when the database asks for the whole transaction again (locked, deadlock, …)."""
    if not isinstance(error, sa.exc.DBAPIError) or error.orig is None:
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state in _RETRY_STATES
    text = str(error.orig)
    return "database is locked" in text or "database table is locked" in text


def retrying(session: AnySession, work: Callable[[], T], attempts: int = 3) -> T:
    """Run ``work``, which is one whole transaction with its commit; again when it was locked out.

    ``work`` must start from nothing: what it read in a failed attempt is gone. After the last
    attempt, and for every other error, the transaction is rolled back and the error raised.
    """
    for attempt in range(1, attempts + 1):
        try:
            return work()
        except sa.exc.DBAPIError as error:
            session.rollback()
            if attempt == attempts or not is_busy(error):
                raise
            log.warning("database busy, attempt %d of %d", attempt, attempts)
            time.sleep(random.uniform(0.02, 0.1) * attempt)  # noqa: S311
        except BaseException:
            session.rollback()
            raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def backup(engine: sa.Engine, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the SQLite database to ``target`` while it is in use; whole or not at all.

    ``progress`` is told how many pages are left and how many there are. Raises ``ValueError``
    on PostgreSQL, whose own tools do this, and ``FileExistsError`` if ``target`` exists.
    """
    if engine.dialect.name != "sqlite":
        raise ValueError("use pg_dump: online backup is for SQLite")
    if target.exists():
        raise FileExistsError(target)
    partial = target.with_name(f".{target.name}.part")
    partial.unlink(missing_ok=True)
    copy = sqlite_module().connect(partial)
    source = engine.raw_connection()
    try:
        source.driver_connection.backup(  # type: ignore[union-attr]
            copy, pages=256, sleep=0.01, progress=lambda _status, left, total: progress(left, total)
        )
    finally:
        source.close()
        copy.close()
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(target)


def _set_up_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # We begin transactions ourselves: the driver's own habit is a deferred BEGIN on first write.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    cursor.execute(f"PRAGMA journal_mode = {journal_mode()}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: DBAPIConnection) -> None:
    read_only = _reading.get()
    lent = cast("PoolProxiedConnection", connection)
    driver: Any = lent.driver_connection
    if lent.info.get("query_only", False) != read_only:
        driver.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        lent.info["query_only"] = read_only
    driver.execute("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: DBAPIConnection) -> None:
    read_only = _reading.get()
    driver: Any = cast("PoolProxiedConnection", connection).driver_connection
    # psycopg puts it into its own BEGIN: no round trip more.
    if bool(driver.read_only) != read_only:
        driver.read_only = read_only


def _roll_back_postgresql(connection: DBAPIConnection) -> None:
    """Roll back without giving up the statements that the server has prepared.

    Every transaction that only read ends so, and psycopg then forgets all of them, in case a table
    was made in it: each statement of each page would be planned anew, up to 10 ms for one. After
    an error it shall forget them, as what a statement meant may be what has changed.
    """
    driver: Any = getattr(connection, "driver_connection", connection)
    if driver.info.transaction_status.name == "INTRANS":
        driver.pgconn.exec_(b"ROLLBACK")
    # Of a transaction that is over this does nothing; of a lost connection it tells.
    driver.rollback()


def _forget_connections() -> None:
    for engine in list(_engines):
        engine.dispose(close=False)


# A forked web worker must not share its parent's connections, whatever server forks it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_connections)
