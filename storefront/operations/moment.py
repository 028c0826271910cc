"""When something happens, in the two ways of telling time that the shop has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant of one use-case: ``now`` in UTC, days in the shop's zone.

    ``announce``: plugins observe events, so events go to the outbox too.
    """

    now: datetime
    zone: ZoneInfo
    announce: bool = False

    @property
    def today(self) -> date:
        """The shop-local date of ``now``."""
        return _day_of(self.now, self.zone)

    def start_of(self, day: date) -> datetime:
        """Return the first instant of the shop-local ``day`` in UTC (also when clocks change)."""
        return _start_of(day, self.zone)

    def at(self, day: date, minute: int) -> datetime:
        """Return the shop-local time ``minute`` minutes after midnight of ``day``, in UTC.

        The clock on the wall, so 9:00 stays 9:00 on the day when clocks change.
        """
        return datetime.combine(day, time(*divmod(minute, 60)), self.zone).astimezone(UTC)

    def day_of(self, instant: datetime) -> date:
        """Return the shop-local date of ``instant``."""
        return _day_of(instant, self.zone)


# A run asks for the same few days and instants once per row.


@lru_cache(maxsize=1024)
def _day_of(instant: datetime, zone: ZoneInfo) -> date:
    return instant.astimezone(zone).date()


@lru_cache(maxsize=1024)
def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
