"""How long somebody who agreed to a least number of boxes stays.

Days are shop-local. Source: docs/decisions/0091-least-number-of-boxes.md.
"""

from __future__ import annotations

from datetime import date

from storefront.domain.periods import Interval, add_interval


def boxes_owed(boxes_billed: int, min_boxes: int) -> int:
    """Return how many boxes are still to be taken; none before the first was billed.

    A trial binds nobody.

    >>> boxes_owed(1, 3), boxes_owed(3, 3), boxes_owed(0, 3)
    (2, 0, 0)
    """
    return max(0, min_boxes - boxes_billed) if boxes_billed else 0


def obliged_until(
    start: date, billing: Interval, anchor_day: int, owed: int, per_period: int
) -> date | None:
    """Return the boundary after the period that brings the last of ``owed`` boxes, or None.

    ``start`` is where the next period begins; a period brings ``per_period`` boxes.

    >>> obliged_until(date(2027, 4, 12), Interval("month"), 12, 2, 1)
    datetime.date(2027, 6, 12)
    """
    if not owed:
        return None
    turns = -(-owed // per_period)
    return add_interval(start, billing, turns, day=anchor_day)
