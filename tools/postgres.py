"""A PostgreSQL server of our own in a temporary folder, for tests and measurements."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.owners import left_behind, note_owner

#: Settings of a server for tests: it may forget everything in a power cut, which
#: makes it several times faster. Its tables are small and emptied all the time, so whoever
#: empties them also vacuums, and nothing is worth compiling.
FORGETFUL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "max_connections": "300",
    "listen_addresses": "''",
}
#: Settings of a server that is measured: it keeps what it was told, as in production.
DURABLE = {"max_connections": "50", "listen_addresses": "''"}
_USER = "storefront"
_PREFIX = "storefront-pg-"


class PostgresUnavailableError(Exception):
    """There is no PostgreSQL server to be had; the text says how to get one."""


def find_programs() -> Path | None:
    """Return the folder with the newest ``initdb`` and ``pg_ctl`` of this machine, or None."""
    on_path = shutil.which("pg_ctl")
    debian = Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")
    found = sorted(debian, key=lambda path: float(path.parts[-3]), reverse=True)
    candidates = ([Path(on_path)] if on_path else []) + found
    return next((path.parent for path in candidates if (path.parent / "initdb").exists()), None)


@dataclass(frozen=True)
class GivenServer:
    """A server somebody else runs; we only make and drop databases in it."""

    address: str

    def url(self, database: str) -> str:
        address, _, query = self.address.partition("?")
        base = address.rsplit("/", 1)[0] if address.count("/") > 2 else address
        return f"{base}/{database}" + (f"?{query}" if query else "")

    def stop(self) -> None:
        """It is not ours to stop."""


@dataclass(frozen=True)
class LocalServer:
    """A server of our own in a temporary folder, reached by a unix socket in it."""

    programs: Path
    folder: Path

    @classmethod
    def start(
        cls, programs: Path, owner: int | None = None, settings: Mapping[str, str] = FORGETFUL
    ) -> "LocalServer":
        """Make a cluster and start it; about a second and a half.

        It is of no use once the process ``owner`` has ended, by default this one.
        A signal may end a run before it has stopped its server; the next start does it then.
        """
        clean_up_after_killed_runs(programs)
        # Not below pytest's own folder: that is closed to the user the server must run as.
        server = cls(programs, Path(tempfile.mkdtemp(prefix=_PREFIX)))
        note_owner(server.folder, os.getpid() if owner is None else owner)
        user = _unprivileged_user()
        if user is not None:
            shutil.chown(server.folder, user)
        server._run("initdb", "--auth=trust", f"--username={_USER}", "--encoding=UTF8",
                    "--locale=C", "--no-sync")  # fmt: skip
        chosen = {**settings, "unix_socket_directories": str(server.folder)}
        options = " ".join(f"-c {name}={value}" for name, value in chosen.items())
        server._run("pg_ctl", "start", "-w", "-l", str(server.folder / "log"), "-o", options)
        return server

    def url(self, database: str) -> str:
        return f"postgresql://{_USER}@/{database}?host={self.folder}"

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "immediate")
        shutil.rmtree(self.folder)

    def is_running(self) -> bool:
        """True while a process that was started for this very folder is there."""
        try:
            pid = (self.folder / "data" / "postmaster.pid").read_text().split(maxsplit=1)[0]
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, IndexError):
            return False
        return os.fsencode(self.folder / "data") in command.split(b"\0")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "-D", str(self.folder / "data"), *arguments]
        # To a file: a daemon that inherits a pipe would keep us waiting for its end.
        with (self.folder / f"{program}.out").open("ab") as output:
            code = subprocess.run(
                command, cwd=self.folder, check=False, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, **_as_unprivileged_user(),
            ).returncode  # fmt: skip
        if code != 0:
            logs = [self.folder / f"{program}.out", self.folder / "log"]
            said = "".join(path.read_text(errors="replace") for path in logs if path.exists())
            raise PostgresUnavailableError(f"{program} ended with {code}: {said[-2000:]}")


def clean_up_after_killed_runs(programs: Path) -> None:
    """End the servers in temporary folders whose test run is gone, and remove the folders.

    Only folders that we marked are looked at, and only a process that was started for the
    folder is ended: a process number in a file may be somebody else's by now.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with left_behind(folder) as is_over:
            if not is_over:
                continue
            server = LocalServer(programs, folder)
            if server.is_running():
                server.stop()
            else:
                shutil.rmtree(folder)


def _unprivileged_user() -> str | None:
    """Return the user to run as when we are root (the server refuses root), else None."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 - not there on Windows

    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in known:
            return name
    raise PostgresUnavailableError("PostgreSQL refuses root, and no user 'postgres' or 'nobody'")


def _as_unprivileged_user() -> dict[str, Any]:
    user = _unprivileged_user()
    if user is None:
        return {}
    import pwd  # noqa: PLC0415 - not there on Windows

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
