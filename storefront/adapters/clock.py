"""The one place that reads the time of day."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells the time as an aware UTC datetime."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class DemoClock:
    """The machine's clock moved by an offset that all processes of the demo share.

    The offset is a number of seconds in a small file, replaced whole. Time only moves forward:
    events that have happened stay in the past.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    @property
    def offset(self) -> timedelta:
        """How far the demo is from the real time; negative while its history is being made."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return timedelta()
        # The file is replaced, never rewritten: another inode or time means another offset.
        seen = (status.st_ino, status.st_mtime_ns)
        if seen != self._seen:
            self._offset = timedelta(seconds=float(self._path.read_text(encoding="ascii")))
            self._seen = seen
        return self._offset

    def move_to(self, instant: datetime) -> None:
        """Make it ``instant`` now, for all processes. Raises ``ValueError`` if that is the past.

        The first move of a new demo may go back: its history starts there.
        """
        if self._path.exists() and instant < self.now():
            raise ValueError("the demo clock only moves forward")
        self._write(instant - datetime.now(UTC))

    def advance(self, by: timedelta) -> None:
        """Move forward by ``by``, which must not be negative."""
        if by < timedelta():
            raise ValueError("the demo clock only moves forward")
        self._write(self.offset + by)

    def _write(self, offset: timedelta) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        partial.write_text(str(offset.total_seconds()), encoding="ascii")
        partial.replace(self._path)
