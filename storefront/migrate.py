"""The schema of the database: bring it up to date, and refuse to serve on another one.

Knows no web framework. ``migrations/env.py`` calls :func:`run`, so the same code serves
``storefront migrate``, the tests, and Flask-Migrate's ``flask db`` for writing new revisions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from storefront.models import Base
from storefront.models.base import UtcDateTime
from storefront.models.partial_indexes import PARTIAL_INDEXES

try:
    import fcntl
except ImportError:  # Windows has no such lock; the database's own lock remains
    fcntl = None  # type: ignore[assignment]

#: How long one process waits while another migrates.
WAIT_SECONDS = 600
#: Any number, the same for every process of this software ("storefro" in ASCII).
_ADVISORY_LOCK = 0x73746F726566726F


class SchemaError(RuntimeError):
    """The database's schema is not the one this version works with."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where the database is, and where this version of the software expects it."""

    current: frozenset[str]
    expected: frozenset[str]
    #: Revisions of the database that this version has never heard of.
    unknown: frozenset[str]

    @property
    def is_current(self) -> bool:
        return self.current == self.expected

    def describe(self) -> str:
        """Say in one line what is wrong and what to do; empty when nothing is."""
        if self.is_current:
            return ""
        now, wanted = ", ".join(sorted(self.current)), ", ".join(sorted(self.expected))
        if self.unknown:
            return f"the database is at revision {now}, newer than this version ({wanted}): update"
        if not self.current:
            return "the database is empty: run `storefront migrate`"
        return f"the database is at revision {now}, expected {wanted}: run `storefront migrate`"


def migrations_folder() -> Path:
    """Return the folder of revisions: packed into the package, or beside it in a checkout."""
    packed = Path(__file__).resolve().parent / "_migrations"
    return packed if packed.is_dir() else packed.parent.parent / "migrations"


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the database to ``revision``, all steps or none; waits while another does it."""
    with _one_at_a_time(engine):
        command.upgrade(_config(engine), revision)


def schema_state(engine: sa.Engine) -> SchemaState:
    """Compare the database's revision with ours."""
    script = ScriptDirectory.from_config(_config(engine))
    with engine.connect() as connection:
        current = frozenset(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision for revision in script.walk_revisions()}
    return SchemaState(current, frozenset(script.get_heads()), current - known)


def require_current_schema(engine: sa.Engine) -> None:
    """Raise :class:`SchemaError` with one clear line unless the schema is ours."""
    problem = schema_state(engine).describe()
    if problem:
        raise SchemaError(problem)


def run(context: EnvironmentContext, engine: sa.Engine) -> None:
    """Run the revisions that ``context`` asks for, in one transaction under a lock."""
    with engine.connect() as connection, _foreign_keys_off(connection):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            render_item=_render_item,
            include_object=_include_object,
            compare_type=True,
            # SQLite can: our own BEGIN IMMEDIATE goes before the first statement.
            transactional_ddl=True,
        )
        with context.begin_transaction():
            _wait_for_others(connection)
            context.run_migrations()
            _check_foreign_keys(connection)


def _config(engine: sa.Engine) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes["engine"] = engine
    return config


@contextmanager
def _one_at_a_time(engine: sa.Engine) -> Iterator[None]:
    """Hold a lock file beside a SQLite database, so that two first starts do not meet."""
    path = _sqlite_path(engine)
    if path is None or fcntl is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.migrating").open("w") as lock:
        _lock(lock)
        yield


def _lock(lock: IO[Any]) -> None:
    fcntl.flock(lock, fcntl.LOCK_EX)


def _sqlite_path(engine: sa.Engine) -> Path | None:
    url = make_url(engine.url)
    if url.get_backend_name() != "sqlite" or url.database in {None, "", ":memory:"}:
        return None
    return Path(os.fspath(str(url.database)))


@contextmanager
def _foreign_keys_off(connection: sa.Connection) -> Iterator[None]:
    """SQLite rebuilds tables to alter them; with keys on, dropping the old one would fail.

    The switch does nothing inside a transaction, so it goes to the driver, before one begins.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    timeout = driver.execute("PRAGMA busy_timeout").fetchone()[0]
    driver.execute("PRAGMA foreign_keys = OFF")
    driver.execute(f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")
        driver.execute(f"PRAGMA busy_timeout = {timeout}")


def _wait_for_others(connection: sa.Connection) -> None:
    """One process migrates, the others wait here and then find nothing left to do."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")


def _check_foreign_keys(connection: sa.Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        raise SchemaError(f"the migration would leave {len(broken)} broken references in {tables}")


def _render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Print our own column types as what they are in the database.

    Old revisions must not import living code.
    """
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _include_object(
    _item: Any, name: str | None, kind: str, _reflected: bool, _compared: Any
) -> bool:
    """Partial indexes live in ``models/partial_indexes.py``, which has a test of its own."""
    return not (kind == "index" and name in PARTIAL_INDEXES)
