"""Where the databases of a bench are: files in a folder, or a PostgreSQL server."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from bench._processes import cpu_of_tree
from storefront.database import journal_mode, sqlite_module
from tools.console import fail
from tools.postgres import DURABLE, GivenServer, LocalServer, find_programs


class Place(Protocol):
    """Makes and copies databases by name."""

    #: As the table calls it.
    kind: str
    #: A folder for whatever else is needed; gone with the place.
    folder: Path

    def url(self, name: str) -> str: ...

    def create(self, name: str) -> None: ...

    def copy(self, source: str, target: str) -> None:
        """Copy a database nobody is connected to."""
        ...

    def connect(self, name: str) -> Any:
        """Return a connection of the bare driver that begins no transactions itself."""
        ...

    def analyse(self, name: str) -> None:
        """Gather what the planner knows of a database that has been in use for a while."""
        ...

    def cpu_seconds(self) -> float:
        """CPU seconds the server has taken so far; 0 where there is none we can see."""
        ...


class SqlitePlace:
    """Files, with the journal and the durability the product runs with."""

    kind = "SQLite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def url(self, name: str) -> str:
        return f"sqlite:///{self._path(name)}"

    def create(self, name: str) -> None:
        """It comes with the first connection."""

    def copy(self, source: str, target: str) -> None:
        driver = sqlite_module()
        one, other = driver.connect(self._path(source)), driver.connect(self._path(target))
        one.backup(other)
        one.close()
        other.close()

    def connect(self, name: str) -> Any:
        connection = sqlite_module().connect(self._path(name), isolation_level=None)
        for pragma in (f"journal_mode={journal_mode()}", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def analyse(self, name: str) -> None:
        """The product does not ask SQLite for statistics either."""

    def cpu_seconds(self) -> float:
        return 0.0

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.db"


class PostgresPlace:
    """Databases of a server; their names begin alike, and they are dropped in the end."""

    kind = "PostgreSQL"

    def __init__(self, folder: Path, server: GivenServer | LocalServer) -> None:
        self.folder = folder
        self._server = server
        self._prefix = f"storefront_bench_{token_hex(4)}"
        self._made: list[str] = []

    def url(self, name: str) -> str:
        return self._server.url(f"{self._prefix}_{name}")

    def create(self, name: str) -> None:
        self._create(name, "template0")

    def copy(self, source: str, target: str) -> None:
        self._create(target, f"{self._prefix}_{source}")

    def connect(self, name: str) -> Any:
        import psycopg
        from psycopg.types.string import TextLoader

        connection = psycopg.connect(self.url(name), autocommit=True)
        # Documents are copied as they are, neither read nor written anew.
        for kind in ("json", "jsonb"):
            connection.adapters.register_loader(kind, TextLoader)
        return connection

    def analyse(self, name: str) -> None:
        connection = self.connect(name)
        connection.execute("VACUUM ANALYZE")
        connection.close()

    def cpu_seconds(self) -> float:
        if isinstance(self._server, GivenServer):
            return 0.0
        note = self._server.folder / "data" / "postmaster.pid"
        return cpu_of_tree(int(note.read_text().split(maxsplit=1)[0]))

    def drop_all(self) -> None:
        """Drop every database that was made here."""
        while self._made:
            self._admin(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    def _create(self, name: str, template: str) -> None:
        full = f"{self._prefix}_{name}"
        self._admin(f"CREATE DATABASE {full} TEMPLATE {template} ENCODING 'UTF8'")
        self._made.append(full)

    def _admin(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self._server.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def a_place(address: str | None, postgresql: bool) -> Iterator[Place]:
    """Yield where to measure: the server at ``address``, one of our own, or files."""
    folder = Path(tempfile.mkdtemp(prefix="storefront-bench-"))
    try:
        if address:
            yield from _on(PostgresPlace(folder, GivenServer(address)))
        elif postgresql:
            programs = find_programs()
            if programs is None:
                fail("There is no PostgreSQL here (Debian: apt-get install postgresql).")
            server = LocalServer.start(programs, settings=DURABLE)
            try:
                yield from _on(PostgresPlace(folder, server))
            finally:
                server.stop()
        else:
            yield SqlitePlace(folder)
    finally:
        shutil.rmtree(folder)


def _on(place: PostgresPlace) -> Iterator[Place]:
    try:
        yield place
    finally:
        place.drop_all()
