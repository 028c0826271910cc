"""Make the demo shop once: noticed when it is there, begun anew when it was interrupted."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url

from storefront import migrate
from storefront.demo.history import Scale, Story, StoryClock
from storefront.models import Box, ChargeAttempt, Customer, Invoice, ShopSettings, Subscription
from storefront.models.base import table_of
from storefront.queries.invariants import broken
from storefront.runtime import Runtime

try:
    import fcntl
except ImportError:  # Windows has no such lock: there nobody may start the demo twice at once
    fcntl = None  # type: ignore[assignment]

#: Lies in the data folder while the demo is being made.
_MARK = ".demo-unfinished"
#: New objects between two looks for garbage while the story is told.
_GARBAGE = 200_000


class Standing(StrEnum):
    """What there is before the demo is made."""

    EMPTY = "empty"
    #: A shop, made by this or set up by somebody.
    THERE = "there"
    #: A demo whose making was interrupted.
    UNFINISHED = "unfinished"
    #: Another process makes it at this moment.
    BEING_MADE = "being made"


class InvariantsBroken(RuntimeError):
    """The story ended in a state that must never be; ``found`` names the invariants."""

    def __init__(self, found: dict[str, list[str]]) -> None:
        super().__init__(f"the demo's history breaks invariants: {found}")
        self.found = found


class NotOurs(RuntimeError):
    """An unfinished demo lies in a database that we do not delete."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the story came to, in rows."""

    customers: int
    running: int
    boxes: int
    invoices: int
    charges: int


def standing(rt: Runtime) -> Standing:
    """Return what there is in the database."""
    if _mark(rt).is_file() and _mark(rt).read_text(encoding="utf-8") == _address(rt):
        return Standing.BEING_MADE if _is_held(rt) else Standing.UNFINISHED
    there = rt.session.execute(sa.select(table_of(ShopSettings).c.id)).first() is not None
    rt.session.rollback()
    return Standing.THERE if there else Standing.EMPTY


def tell(
    rt: Runtime,
    clock: StoryClock,
    end: datetime,
    scale: Scale,
    on_day: Callable[[int, int], None],
) -> Seeded:
    """Make the whole demo in an empty database; ``rt`` runs on ``clock``.

    Raises ``InvariantsBroken`` when anything does not hold in the end.
    """
    _mark(rt).parent.mkdir(parents=True, exist_ok=True)
    with _mark(rt).open("w", encoding="utf-8") as mark:
        if fcntl is not None:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mark.write(_address(rt))
        mark.flush()
        with _quick_writes(rt), _rare_collections():
            Story(rt, clock, end, scale).tell(on_day)
            found = broken(rt.session)
            rt.session.rollback()
            if found:
                raise InvariantsBroken(found)
            done = _count(rt)
        _mark(rt).unlink()
    return done


def clear(rt: Runtime) -> None:
    """Delete an unfinished demo and lay an empty database in its place.

    Raises ``NotOurs`` for a database on a server: whoever runs it empties it.
    """
    engine = _engine(rt)
    path = _file_of(engine)
    if path is None:
        raise NotOurs(
            "the demo was interrupted while it was made; empty the database, run "
            "`storefront migrate` and try again"
        )
    rt.session.remove()
    engine.dispose()
    for each in (path, *_companions(path)):
        each.unlink(missing_ok=True)
    for folder in ("mail", "files", "plugins/demo-gateway"):
        shutil.rmtree(rt.settings.data_dir / folder, ignore_errors=True)
    migrate.upgrade(engine)
    _mark(rt).unlink()


@contextmanager
def _quick_writes(rt: Runtime) -> Iterator[None]:
    """Let SQLite not wait for the disk: a demo that the power took is made again.

    On leaving, everything is on the disk. Elsewhere it changes nothing.
    """
    engine = _engine(rt)
    path = _file_of(engine)
    if path is None:
        yield
        return

    def relax(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(engine, "connect", relax)
    rt.session.remove()
    engine.dispose()
    try:
        yield
    finally:
        event.remove(engine, "connect", relax)
        rt.session.remove()
        engine.dispose()
    with engine.connect() as connection:
        connection.rollback()
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage less often: a sixth of the time, for some memory."""
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _count(rt: Runtime) -> Seeded:
    subscription = table_of(Subscription)
    counts = [
        rt.session.scalar(statement) or 0
        for statement in (
            sa.select(sa.func.count()).select_from(table_of(Customer)),
            sa.select(sa.func.count()).where(subscription.c.state.in_(["active", "past_due"])),
            sa.select(sa.func.count()).select_from(table_of(Box)),
            sa.select(sa.func.count()).select_from(table_of(Invoice)),
            sa.select(sa.func.count()).select_from(table_of(ChargeAttempt)),
        )
    ]
    rt.session.rollback()
    return Seeded(*counts)


def _engine(rt: Runtime) -> sa.Engine:
    bind = rt.session.get_bind()
    assert isinstance(bind, sa.Engine)
    return bind


def _file_of(engine: sa.Engine) -> Path | None:
    """Return the file of an SQLite database; None for one in memory or on a server."""
    name = engine.url.database if engine.dialect.name == "sqlite" else None
    return Path(name) if name and name != ":memory:" else None


def _companions(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm", "-journal")]


def _mark(rt: Runtime) -> Path:
    return rt.settings.data_dir / _MARK


def _is_held(rt: Runtime) -> bool:
    """Whether the process that wrote the mark still lives: the lock goes with it."""
    if fcntl is not None:
        with _mark(rt).open(encoding="utf-8") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
    return False


def _address(rt: Runtime) -> str:
    """Return the database's address, without its password."""
    return make_url(rt.settings.database_address).render_as_string(hide_password=True)
