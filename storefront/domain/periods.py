"""Billing periods: half-open ranges of shop-local dates, counted from a stored anchor."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

Unit = Literal["day", "week", "month", "year"]
_UNITS = frozenset(get_args(Unit))

_DAYS: dict[str, int] = {"day": 1, "week": 7}
_MONTHS: dict[str, int] = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Interval:
    """How often something comes round: every ``count`` days, weeks, months or years.

    Raises ``ValueError`` for another unit or a count below one.

    >>> str(Interval("month", 3))
    '3 month'
    """

    unit: Unit
    count: int = 1

    def __post_init__(self) -> None:
        if self.unit not in _UNITS:
            raise ValueError(f"unknown unit {self.unit!r}")
        if type(self.count) is not int or self.count < 1:
            raise ValueError(f"an interval counts from one, not {self.count!r}")

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"

    @property
    def days(self) -> int | None:
        """Length in days, or None for months and years, which have no fixed length."""
        return _DAYS[self.unit] * self.count if self.unit in _DAYS else None

    @property
    def months(self) -> int | None:
        """Length in months, or None for days and weeks."""
        return _MONTHS[self.unit] * self.count if self.unit in _MONTHS else None

    def multiple_of(self, other: "Interval") -> int | None:
        """Return how many times ``other`` fits, or None unless it fits a whole number of times.

        Only inside one family: days and weeks, or months and years.

        >>> Interval("year").multiple_of(Interval("month", 3))
        4
        >>> Interval("month").multiple_of(Interval("week", 2)) is None
        True
        """
        mine, theirs = (self.days, other.days) if self.days else (self.months, other.months)
        if mine is None or theirs is None or mine % theirs:
            return None
        return mine // theirs


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """The shop-local days from ``start`` up to, not including, ``end``.

    Raises ``ValueError`` unless it holds at least one day.

    >>> march = BillingPeriod(date(2027, 3, 1), date(2027, 4, 1))
    >>> march.days, date(2027, 3, 31) in march, date(2027, 4, 1) in march
    (31, True, False)
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a period ends after it starts: {self.start} to {self.end}")

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    @property
    def days(self) -> int:
        return (self.end - self.start).days


def add_interval(anchor: date, interval: Interval, n: int, *, day: int | None = None) -> date:
    """Return the ``n``-th boundary after ``anchor``; ``n`` = 0 is the anchor itself.

    Always reckoned from the anchor, never from the boundary before, so a short month
    costs nothing: the day of month is ``day`` (1-31, default the anchor's own), clamped
    to the month's last day. Days and weeks ignore ``day``. A negative ``n`` goes back.
    Raises ``ValueError`` for a ``day`` outside 1-31 and where the calendar ends (year
    9999, ``OverflowError`` for days and weeks).
    Source: docs/decisions/0011-periods-from-the-anchor.md.

    >>> [add_interval(date(2027, 1, 31), Interval("month"), n).isoformat() for n in (1, 2, 3)]
    ['2027-02-28', '2027-03-31', '2027-04-30']
    >>> add_interval(date(2028, 2, 29), Interval("year"), 4)
    datetime.date(2032, 2, 29)
    >>> add_interval(date(2027, 2, 28), Interval("month"), 1, day=31)
    datetime.date(2027, 3, 31)
    """
    if day is not None and not 1 <= day <= 31:
        raise ValueError(f"no day of month {day}")
    if n == 0:
        return anchor
    if interval.days is not None:
        return anchor + timedelta(days=interval.days * n)
    per_step = interval.months
    assert per_step is not None
    year, month0 = divmod(anchor.year * 12 + anchor.month - 1 + per_step * n, 12)
    wished = anchor.day if day is None else day
    if wished > 28:
        wished = min(wished, monthrange(year, month0 + 1)[1])
    return date(year, month0 + 1, wished)


def period_at(
    anchor: date, interval: Interval, n: int, *, anchor_day: int | None = None
) -> BillingPeriod:
    """Return period ``n`` of the grid that hangs on ``anchor``; ``n`` = 0 is the first.

    ``anchor_day`` is the wished day of month, as ``day`` in ``add_interval``.

    >>> period_at(date(2027, 1, 31), Interval("month"), 1)
    BillingPeriod(start=datetime.date(2027, 2, 28), end=datetime.date(2027, 3, 31))
    """
    return BillingPeriod(
        add_interval(anchor, interval, n, day=anchor_day),
        add_interval(anchor, interval, n + 1, day=anchor_day),
    )


def period_containing(
    anchor: date, interval: Interval, day: date, *, anchor_day: int | None = None
) -> BillingPeriod:
    """Return the period of the grid that ``day`` falls into.

    For a day before the anchor the grid simply runs on backwards.

    >>> period_containing(date(2027, 1, 31), Interval("month"), date(2027, 3, 30))
    BillingPeriod(start=datetime.date(2027, 2, 28), end=datetime.date(2027, 3, 31))
    """
    n = period_number(anchor, interval, day, anchor_day=anchor_day)
    return period_at(anchor, interval, n, anchor_day=anchor_day)


def period_number(
    anchor: date, interval: Interval, day: date, *, anchor_day: int | None = None
) -> int:
    """Return the ``n`` whose period contains ``day``; negative before the anchor.

    >>> period_number(date(2027, 1, 31), Interval("month"), date(2027, 3, 31))
    2
    """
    if interval.days is not None:
        return (day - anchor).days // interval.days
    per_step = interval.months
    assert per_step is not None
    n = ((day.year - anchor.year) * 12 + day.month - anchor.month) // per_step
    # Boundary n lies in the month of ``day`` or before it, boundary n + 1 in a later month.
    return n - 1 if add_interval(anchor, interval, n, day=anchor_day) > day else n
