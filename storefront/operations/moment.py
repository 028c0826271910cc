"""When something happens, in the two ways of telling time that the shop has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
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
        return self.now.astimezone(self.zone).date()

    def start_of(self, day: date) -> datetime:
        """Return the first instant of the shop-local ``day`` in UTC (also when clocks change)."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def day_of(self, instant: datetime) -> date:
        """Return the shop-local date of ``instant``."""
        return instant.astimezone(self.zone).date()
