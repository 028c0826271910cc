"""Intervals in addresses: ``3m`` for every three months."""

from __future__ import annotations

import re

from storefront.domain.periods import Interval, Unit

_UNITS: dict[str, Unit] = {"d": "day", "w": "week", "m": "month", "y": "year"}
_CODE = re.compile(r"([1-9][0-9]{0,2})([dwmy])")


def interval_code(interval: Interval) -> str:
    """Return the short form that stands in addresses and forms.

    >>> interval_code(Interval("month", 3))
    '3m'
    """
    return f"{interval.count}{interval.unit[0]}"


def interval_from(code: str | None) -> Interval | None:
    """Return the interval of a short form, or None for anything else.

    >>> interval_from("1y"), interval_from("0m")
    (Interval(unit='year', count=1), None)
    """
    found = _CODE.fullmatch(code or "")
    return Interval(_UNITS[found[2]], int(found[1])) if found else None
