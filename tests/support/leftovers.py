"""What a test has started and not ended: threads that would keep the process, and children."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Tests of pure rules start without it.
    import sqlalchemy as sa

_PATIENCE_SECONDS = 3.0


class Watch:
    """Remembers what runs now; ``left`` names what has been added and does not end by itself."""

    def __init__(self) -> None:
        self._threads = set(threading.enumerate())
        self._children = _children()

    def left(self) -> list[str]:
        """Return names of the leftovers, after giving them a moment to end."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := self._look()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def _look(self) -> list[str]:
        threads = [
            f"thread {thread.name}"
            for thread in threading.enumerate()
            if thread not in self._threads and not thread.daemon
        ]
        return threads + [
            f"process {pid}: {_command(pid)}"
            for pid in sorted(_children() - self._children)
            if _command(pid)
        ]


def in_use_after_a_moment(engine: sa.Engine) -> int:
    """Return how many connections of ``engine`` are in use, once threads had time to end."""
    count = getattr(engine.pool, "checkedout", lambda: 0)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (in_use := count()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return int(in_use)


def _children() -> set[int]:
    """Return the processes started by this one; empty where the system does not tell."""
    lists = Path("/proc/self/task").glob("*/children")
    return {int(pid) for path in lists for pid in _read(path).split()}


def _command(pid: int) -> str:
    """Return the command line of ``pid``; empty for a process that has ended."""
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        # The thread or process ended while we looked.
        return ""
