"""When a new price may be charged: never before its day, never without the notice promised."""

from __future__ import annotations

from datetime import date, timedelta

from storefront.domain.errors import DomainError
from storefront.domain.periods import Interval, add_interval


class ImpossibleMigration(DomainError):
    """The price change cannot be kept; ``reason`` says why."""

    code = "impossible_migration"


#: How far ahead a price change can be planned, in days.
LONGEST_AHEAD = 730


def last_day(today: date) -> date:
    """Return the last day a price change can be planned for."""
    return today + timedelta(days=LONGEST_AHEAD)


def applies_on(
    next_on: date,
    interval: Interval,
    anchor_day: int,
    *,
    effective_on: date,
    told_on: date,
    notice_days: int,
) -> date:
    """Return the first boundary of a subscriber that is billed at the new price.

    It is the first one on or after ``effective_on`` that lies at least ``notice_days`` behind
    the day the subscriber is told. ``next_on`` is the next boundary, ``interval`` the billing
    interval. Source: docs/decisions/0065-new-prices-for-subscribers.md.

    >>> applies_on(date(2027, 4, 12), Interval("month"), 12, effective_on=date(2027, 5, 1),
    ...            told_on=date(2027, 4, 20), notice_days=30)
    datetime.date(2027, 6, 12)
    """
    earliest = max(effective_on, told_on + timedelta(days=notice_days))
    turns = turns_until(next_on, interval, anchor_day, earliest)
    return add_interval(next_on, interval, turns, day=anchor_day)


def turns_until(next_on: date, interval: Interval, anchor_day: int, day: date) -> int:
    """Return how many boundaries lie between ``next_on`` and the first one on or after ``day``.

    >>> turns_until(date(2027, 4, 12), Interval("month"), 12, date(2027, 5, 20))
    2
    """
    turns = 0
    while add_interval(next_on, interval, turns, day=anchor_day) < day:
        turns += 1
    return turns


def tell_on(applies: date, notice_days: int) -> date:
    """Return the last day on which a subscriber can be told for ``applies``."""
    return applies - timedelta(days=notice_days)
