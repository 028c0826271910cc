"""When boxes go out: the rhythm of a group of plans and the dates of each of its rounds."""

from calendar import monthrange
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta

from storefront.domain.periods import Interval, add_interval

_SUNDAY = 6


@dataclass(frozen=True, slots=True)
class CycleRhythm:
    """How a group of plans ships: one cycle per ``interval``, hung on its base day.

    The base day is the **charge day** for a calendar group: ``charge_day`` is the day of
    month (1-31, clamped to short months) for months and years, the ISO weekday (1 Monday
    to 7 Sunday) for weeks, and any number for days. It is the **packing day** for a
    rolling group, whose ``charge_day`` is None because each subscriber has their own; the
    anchor then gives the weekday.
    The other fields are days around the base day, ``ship_window_days`` after the ship day.
    Raises ``ValueError`` unless cut-off <= lock <= ship and charge day <= lock, and for a
    charge day that the unit does not have.
    """

    interval: Interval
    charge_day: int | None
    anchor: date
    cutoff_days_before_charge: int = 1
    lock_days_after_charge: int = 3
    ship_days_after_charge: int = 6
    ship_window_days: int = 2

    def __post_init__(self) -> None:
        lock, ship = self.lock_days_after_charge, self.ship_days_after_charge
        if not (max(0, -self.cutoff_days_before_charge) <= lock <= ship):
            raise ValueError(
                "cut-off and charge day come before the lock, the lock before shipping"
            )
        if self.ship_window_days < 0:
            raise ValueError("a ship window does not end before it begins")
        highest = {"week": 7, "month": 31, "year": 31}.get(self.interval.unit)
        if self.charge_day is not None and highest and not 1 <= self.charge_day <= highest:
            raise ValueError(f"no charge day {self.charge_day} in a {self.interval.unit}")

    @property
    def is_rolling(self) -> bool:
        return self.charge_day is None


@dataclass(frozen=True, slots=True)
class CycleDates:
    """The days of one cycle, all shop-local; cut-off and lock are last seconds of theirs.

    Raises ``ValueError`` unless cut-off <= lock <= ship and charge <= lock.
    """

    key: str
    charge_on: date | None
    cutoff_on: date
    lock_on: date
    ship_from: date
    ship_to: date

    def __post_init__(self) -> None:
        first = self.cutoff_on if self.charge_on is None else max(self.cutoff_on, self.charge_on)
        if not first <= self.lock_on <= self.ship_from <= self.ship_to:
            raise ValueError(f"the days of cycle {self.key} are out of order")


def plan_cycles(
    rhythm: CycleRhythm, start: date, until: date, holidays: AbstractSet[date] = frozenset()
) -> list[CycleDates]:
    """Return the cycles whose base day lies in ``[start, until)``, in order.

    A ship day that falls on a Sunday or on one of ``holidays`` moves forward to the next
    day that is neither, and the end of the window with it. Keys, charge days, cut-offs,
    locks and the number of cycles never depend on holidays, so planning again later with
    other holidays finds the same cycles. The key is "2027-03" for months and years and
    the base day otherwise.
    Source: docs/decisions/0017-rhythm-of-box-cycles.md.

    >>> rhythm = CycleRhythm(Interval("month"), 12, date(2027, 1, 12))
    >>> march, = plan_cycles(rhythm, date(2027, 3, 1), date(2027, 4, 1))
    >>> march.key, march.cutoff_on.day, march.charge_on.day, march.lock_on.day, march.ship_from.day
    ('2027-03', 11, 12, 15, 18)
    """
    base, n = _first_base_day(rhythm), 0
    if start > base:
        n = _steps_before(rhythm.interval, base, start)
    cycles = []
    while (day := add_interval(base, rhythm.interval, n, day=_wished(rhythm))) < until:
        if day >= start:
            cycles.append(_dates(rhythm, day, holidays))
        n += 1
    return cycles


def next_working_day(day: date, holidays: AbstractSet[date]) -> date:
    """Return ``day``, or the first day after it that is no Sunday and no holiday.

    >>> next_working_day(date(2027, 3, 28), {date(2027, 3, 29)})
    datetime.date(2027, 3, 30)
    """
    while day.weekday() == _SUNDAY or day in holidays:
        day += timedelta(days=1)
    return day


def _wished(rhythm: CycleRhythm) -> int | None:
    """Return the day of month to keep to; weeks and days need none."""
    if rhythm.interval.months is None:
        return None
    return rhythm.charge_day or rhythm.anchor.day


def _first_base_day(rhythm: CycleRhythm) -> date:
    anchor, wished = rhythm.anchor, rhythm.charge_day
    if wished is None or rhythm.interval.unit == "day":
        return anchor
    if rhythm.interval.unit == "week":
        return anchor + timedelta(days=(wished - anchor.isoweekday()) % 7)
    return anchor.replace(day=min(wished, monthrange(anchor.year, anchor.month)[1]))


def _steps_before(interval: Interval, base: date, start: date) -> int:
    """Return a step that surely lies before ``start``, close enough to walk on from."""
    if interval.days is not None:
        return (start - base).days // interval.days
    months = (start.year - base.year) * 12 + start.month - base.month
    return max(0, months // (interval.months or 1) - 1)


def _dates(rhythm: CycleRhythm, base: date, holidays: AbstractSet[date]) -> CycleDates:
    ship_from = next_working_day(base + timedelta(days=rhythm.ship_days_after_charge), holidays)
    calendar_key = rhythm.interval.months is not None and not rhythm.is_rolling
    return CycleDates(
        key=f"{base:%Y-%m}" if calendar_key else base.isoformat(),
        charge_on=None if rhythm.is_rolling else base,
        cutoff_on=base - timedelta(days=rhythm.cutoff_days_before_charge),
        lock_on=base + timedelta(days=rhythm.lock_days_after_charge),
        ship_from=ship_from,
        ship_to=ship_from + timedelta(days=rhythm.ship_window_days),
    )
