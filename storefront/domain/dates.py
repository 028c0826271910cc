"""Bring the next box forward, or put the next payment on another day.

Only where every subscriber has a date of their own; on a calendar the day is the shop's. All
days are shop-local. Source: docs/decisions/0089-another-date.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date, timedelta

from storefront.domain.cycles import CycleSlot, slot_for
from storefront.domain.errors import DomainError
from storefront.domain.periods import Interval, add_interval


class DateNotMovable(DomainError):
    """``reason``: calendar, no_boxes, state, cancelled, held, unpaid, waiting, pausing, due,
    over, paid_box, too_late, taken, skipped, too_soon, out_of_reach; ``on`` a day with it."""

    code = "date_not_movable"


def why_not_now(
    cycles: Sequence[CycleSlot], skipped: AbstractSet[int], today: date
) -> tuple[str, date | None]:
    """Return why no box can be sent with the next packing day, and a day that says more.

    The packing day's cut-off ends what its customers may change, and so ends ordering for it.

    >>> slot = CycleSlot(1, None, date(2027, 3, 3), date(2027, 3, 4), date(2027, 3, 5))
    >>> why_not_now([slot], set(), date(2027, 3, 3))
    ('', None)
    >>> why_not_now([slot], set(), date(2027, 3, 4))
    ('too_late', datetime.date(2027, 3, 5))
    """
    slot = slot_for(cycles, today)
    if slot is None:
        return "too_late", None
    if slot.cutoff_on < today:
        return "too_late", slot.lock_on + timedelta(days=1)
    if slot.id in skipped:
        return "skipped", slot.ship_from
    return "", None


def reach(
    next_on: date, charge_on: date, shipping: Interval, last_start: date, today: date
) -> tuple[date, date]:
    """Return the first and the last day the payment of ``charge_on`` can move to.

    At most one turn of the box earlier, and one after the days paid (``next_on``), however
    often it was moved before; never today or before, and never into what was paid earlier.

    >>> reach(date(2027, 4, 12), date(2027, 4, 12), Interval("month"),
    ...       date(2027, 3, 12), date(2027, 3, 20))
    (datetime.date(2027, 3, 21), datetime.date(2027, 5, 12))
    """
    earliest = add_interval(charge_on, shipping, -1)
    first = max(earliest, today + timedelta(days=1), last_start + timedelta(days=1))
    return first, add_interval(next_on, shipping, 1)
