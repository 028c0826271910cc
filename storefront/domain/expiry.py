"""When stored cards end, and when their owners are told.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

#: Days before a card's last day on which its owner is told, the first first.
STAGES = (30, 7)


def last_day(year: int, month: int) -> date:
    """Return the last day on which a card of this month is good.

    >>> last_day(2028, 2)
    datetime.date(2028, 2, 29)
    """
    return date(year, month, monthrange(year, month)[1])


def stage_of(year: int, month: int, today: date) -> int | None:
    """Return which notice is due (days before the end), None if none is.

    >>> stage_of(2027, 3, date(2027, 3, 1)), stage_of(2027, 3, date(2027, 3, 24))
    (30, 7)
    >>> stage_of(2027, 3, date(2027, 2, 28)), stage_of(2027, 3, date(2027, 4, 1))
    (None, None)
    """
    left = (last_day(year, month) - today).days
    due = [days for days in STAGES if 0 <= left <= days]
    return min(due) if due else None


def months_near(today: date) -> list[tuple[int, int]]:
    """Return (year, month) of the cards about which somebody may be told today.

    >>> months_near(date(2027, 12, 24))
    [(2027, 12), (2028, 1)]
    """
    days = (today, today + timedelta(days=max(STAGES)))
    return sorted({(day.year, day.month) for day in days})
