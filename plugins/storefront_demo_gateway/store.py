"""The bank's database: SQLite without any layer over it, nothing shared with the shop."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as sqlite3
    except ImportError:
        import sqlite3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setup (
  id INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, page_key TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', decline TEXT NOT NULL DEFAULT '',
  token TEXT NOT NULL DEFAULT '', return_url TEXT NOT NULL, cancel_url TEXT NOT NULL,
  amount_minor INTEGER, currency TEXT NOT NULL DEFAULT '', merchant TEXT NOT NULL DEFAULT '',
  description TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS charge (
  id INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, gateway_reference TEXT NOT NULL UNIQUE,
  token TEXT NOT NULL, amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
  currency TEXT NOT NULL, invoice TEXT NOT NULL DEFAULT '', status TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '', decline TEXT NOT NULL DEFAULT '',
  refunded_minor INTEGER NOT NULL DEFAULT 0 CHECK (refunded_minor <= amount_minor),
  return_url TEXT NOT NULL DEFAULT '', merchant TEXT NOT NULL DEFAULT '',
  created_at TEXT NOT NULL);
-- One row each time money moved. Deliberately without a unique key: it must be able to show
-- what should never be.
CREATE TABLE IF NOT EXISTS executed (
  id INTEGER PRIMARY KEY, reference TEXT NOT NULL, invoice TEXT NOT NULL,
  amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, executed_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refund (
  id INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, gateway_reference TEXT NOT NULL,
  charge_reference TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
  status TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS dispute (
  id INTEGER PRIMARY KEY, reference TEXT NOT NULL UNIQUE, charge_reference TEXT NOT NULL,
  status TEXT NOT NULL, amount_minor INTEGER NOT NULL, fee_minor INTEGER NOT NULL,
  currency TEXT NOT NULL, reason TEXT NOT NULL, opened_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vault (
  token TEXT PRIMARY KEY, is_confirmed INTEGER NOT NULL DEFAULT 0,
  is_gone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS script (
  id INTEGER PRIMARY KEY, token TEXT NOT NULL, behaviour TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS fault (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS violation (reference TEXT PRIMARY KEY, what TEXT NOT NULL);
"""
#: Before this version several writers of a WAL file could corrupt it; the rollback journal is
#: safe and about four times as slow.
_WAL_IS_SAFE = (3, 51, 3)
#: Seconds a writer waits for another process's transaction.
_BUSY = 30


class Store:
    """One connection per process, one user of it at a time."""

    def __init__(self, path: str, *, is_durable: bool = True) -> None:
        """``is_durable=False`` waits for no disk until closed; a power cut loses the books."""
        self._path, self._is_durable = path, is_durable
        self._lock = threading.RLock()
        self._db, self._pid = self._connect(), os.getpid()

    def _connect(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(
            self._path, timeout=_BUSY, isolation_level=None, check_same_thread=False
        )
        db.row_factory = sqlite3.Row
        if sqlite3.sqlite_version_info >= _WAL_IS_SAFE:
            db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if self._is_durable else 'OFF'}")
        db.executescript(_SCHEMA)
        return db

    def _own(self) -> sqlite3.Connection:
        # A connection must not cross a fork; a file is simply opened again.
        if self._pid != os.getpid() and self._path != ":memory:":
            self._db, self._pid = self._connect(), os.getpid()
        return self._db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Hand out the connection for one statement."""
        with self._lock:
            yield self._own()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run the block in one transaction; an exception undoes it."""
        with self._lock:
            db = self._own()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            if not self._is_durable:
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
