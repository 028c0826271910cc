"""Where a pause may begin and end, and where somebody who comes back goes on.

All days are shop-local. A pause covers whole turns of the box: it begins and ends at boundaries
of the subscription's grid, so resuming moves nobody's billing day by accident.
Source: docs/decisions/0088-pauses.md.
"""

from __future__ import annotations

from datetime import date
from itertools import count as naturals

from storefront.domain.errors import DomainError
from storefront.domain.periods import Interval, add_interval

#: How many boxes a pause offers to leave out, and how far ahead it may end at most.
BOXES_OFFERED = 6
LONGEST_DAYS = 400


class NotPausable(DomainError):
    """``reason``: trial, cancelled, held, waiting, past, too_long, hold_open."""

    code = "not_pausable"


class NotResumable(DomainError):
    """``reason``: not_paused, calendar, taken, too_soon, held."""

    code = "not_resumable"


def ends_of_pause(start: date, shipping: Interval, anchor_day: int, many: int) -> list[date]:
    """Return where a pause from ``start`` may end: after 1 to ``many`` boxes left out.

    >>> ends_of_pause(date(2027, 1, 31), Interval("month"), 31, 2)
    [datetime.date(2027, 2, 28), datetime.date(2027, 3, 31)]
    """
    return [add_interval(start, shipping, n, day=anchor_day) for n in range(1, many + 1)]


def boundary_from(start: date, shipping: Interval, anchor_day: int, day: date) -> date:
    """Return the first boundary of the grid of ``start`` on ``day`` or later.

    >>> boundary_from(date(2027, 4, 12), Interval("month"), 12, date(2027, 6, 1))
    datetime.date(2027, 6, 12)
    """
    return next(
        at for n in naturals() if (at := add_interval(start, shipping, n, day=anchor_day)) >= day
    )
