"""How many boxes a cycle can make, and which cycles a new order can still begin with.

Source: docs/decisions/0188-capacity-of-a-cycle.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date

from storefront.domain.boxes import CycleSlot, first_cycle, next_boundary, slot_for
from storefront.domain.first_boxes import first_boxes
from storefront.domain.periods import Interval

_NOTHING: AbstractSet[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CycleUse:
    """How far a cycle is used; ``capacity`` None: it makes any number of boxes."""

    capacity: int | None
    used: int

    @property
    def left(self) -> int | None:
        """How many more boxes can be sold, None: any number.

        >>> CycleUse(10, 4).left, CycleUse(10, 12).left, CycleUse(None, 12).left
        (6, 0, None)
        """
        return None if self.capacity is None else max(self.capacity - self.used, 0)

    def takes(self, boxes: int) -> bool:
        """Return whether so many more boxes can be sold."""
        return self.left is None or self.left >= boxes


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What decides the coming boxes of a subscriber: they end before ``end_on``, if that is known.

    ``start_on`` and ``anchor_day`` matter where everyone has their own packing days.
    """

    start_on: date
    anchor_day: int | None
    shipping: Interval
    end_on: date | None = None


def cycles_of(rhythm: Rhythm, cycles: Sequence[CycleSlot]) -> set[int]:
    """Return those of ``cycles``, one group's in order, of which a subscriber keeps a box.

    On a calendar that is every one before the end, also those that are skipped or paused, and
    those before a first box that was promised for later: so nothing that a subscriber does or
    takes back, and no cycle that an order passes over, makes more boxes than were counted.
    """
    known = [one for one in cycles if rhythm.end_on is None or one.feed_on < rhythm.end_on]
    if not known or known[0].charge_on is not None:
        return {one.id for one in known}
    found: set[int] = set()
    start = rhythm.start_on
    while (slot := slot_for(known, start)) is not None:
        found.add(slot.id)
        start = next_boundary(start, rhythm.shipping, rhythm.anchor_day)
    return found


def boxes_from(
    first: CycleSlot,
    cycles: Sequence[CycleSlot],
    count: int,
    places_from: date,
    shipping: Interval,
) -> list[int]:
    """Return the cycles of the ``count`` boxes that begin with ``first``, as far as planned."""
    joined = first_boxes(first, cycles, _NOTHING, _NOTHING, count, places_from, shipping)
    return [one.id for one in joined if one is not None]


def full_starts(
    cycles: Sequence[CycleSlot],
    uses: Mapping[int, CycleUse],
    count: int,
    quantity: int,
    shipping: Interval,
    today: date,
) -> frozenset[int]:
    """Return the cycles that an order of ``today`` cannot begin with.

    Those from which one of its ``count`` cycles cannot make ``quantity`` more boxes.
    """
    usual = first_cycle(cycles, today)
    found = set()
    for first in cycles:
        places_from = today if usual is not None and first.id == usual.id else first.lock_on
        joined = boxes_from(first, cycles, count, places_from, shipping)
        if any(key in uses and not uses[key].takes(quantity) for key in joined):
            found.add(first.id)
    return frozenset(found)
