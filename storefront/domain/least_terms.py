"""How long the law of a place lets a customer be bound at most: data, each row with its source.

What a merchant asks for (``min_boxes``) is cut to it for who lives there. Rows are the
product's own reading, not legal advice: a merchant has a lawyer confirm them. A place that
is not in the list has no limit that is known here.
Source: docs/decisions/0107-where-a-least-number-does-not-bind.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from storefront.domain.periods import Interval
from storefront.domain.regions import region_code

#: The day the rows were looked at last.
CHECKED_ON = date(2026, 11, 21)


@dataclass(frozen=True, slots=True)
class Limit:
    """The most ``months`` a customer of a country, or of one region of it, can be bound."""

    country: str
    region: str
    months: int
    source: str


LIMITS = (
    Limit("AT", "", 12, "KSchG § 15 (1)"),
    Limit("DE", "", 24, "BGB § 309 Nr. 9 a"),
    Limit("DK", "", 6, "Forbrugeraftaleloven § 28"),
    Limit("NL", "", 12, "BW 6:237 k"),
    Limit("US", "CA", 0, "Business and Professions Code § 17602"),
)


def limit_in(country: str, region: str = "") -> Limit | None:
    """Return the limit of a place, that of its region before its country's.

    >>> limit_in("US", "California").months, limit_in("US", "NY"), limit_in("FR")
    (0, None, None)
    """
    code = region_code(country, region)
    rows = {(one.country, one.region): one for one in LIMITS}
    return rows.get((country, code)) or rows.get((country, ""))


def least_allowed(least: int, each: Interval | None, country: str, region: str = "") -> int:
    """Return how many of ``least`` boxes may bind in a place; a box comes ``each`` interval.

    Where nothing ships (``each`` is the billing interval then) payments are counted. Boxes
    whose time would end behind the limit do not bind.

    >>> month = Interval("month")
    >>> least_allowed(9, month, "DK"), least_allowed(9, Interval("month", 3), "DK")
    (6, 2)
    >>> least_allowed(9, month, "US", "CA"), least_allowed(9, month, "FR")
    (0, 9)
    """
    limit = limit_in(country, region)
    if limit is None or each is None:
        return least
    if each.months:
        return min(least, limit.months // each.months)
    return min(least, limit.months * 30 // (each.days or 1))
