"""When the first box of an order leaves: with the next cycle, at once, or not before a day.

Days are shop-local dates. Source: docs/decisions/0181-first-boxes.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from storefront.domain.boxes import assign_cycles
from storefront.domain.cycles import CycleSlot, first_cycle, first_renewal_on, in_order
from storefront.domain.periods import BillingPeriod, Interval, add_interval

FirstBoxRule = Literal["next", "now", "later"]

#: Whole days behind the order in which the box after one that leaves at once can be skipped.
_TO_SKIP = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class FirstBox:
    """A plan's rule for first boxes, with what it has to know.

    ``not_before`` goes with "later": the first day on which anything of the plan leaves.
    ``current`` goes with "now": the cycle locked last (its lock day today or before), which a
    box joins late; ``leaves_on`` is the day on which such a box of today leaves.
    ``full`` are cycles that cannot make the boxes of the order (decision 0188).
    """

    rule: FirstBoxRule = "next"
    not_before: date | None = None
    current: CycleSlot | None = None
    leaves_on: date | None = None
    full: AbstractSet[int] = frozenset()
    #: Sales windows count; not for boxes that were sold before and change their plan.
    is_sale: bool = True


WITH_NEXT = FirstBox()


@dataclass(frozen=True, slots=True)
class FirstPlace:
    """Where the first box goes and when it leaves.

    ``is_kept``: it is another cycle than an order joins by itself, so it has to be written
    down. ``places_from`` is the day the places of the boxes behind it are reckoned from.
    ``waits``: it goes there as long as that cycle is not locked, and not however late. ``passed``
    is the full cycle that it would go to otherwise, or one that is not sold today
    (``passed_unsold``).
    """

    cycle: CycleSlot
    ships_on: date
    is_kept: bool
    places_from: date
    waits: bool = False
    passed: CycleSlot | None = None
    passed_unsold: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether the box leaves behind its cut-off, so that nobody can change or skip it."""
        return self.is_kept and not self.waits


def first_place(
    cycles: Sequence[CycleSlot], today: date, first: FirstBox = WITH_NEXT
) -> FirstPlace | None:
    """Return where the first box of an order of ``today`` goes; None where nothing is planned.

    next: the first cycle whose cut-off has not passed. later: the first of those that leaves on
    ``not_before`` or later. now: the next packing day where these are rolling; on a calendar the
    coming cycle once nobody could skip a box of it that is charged by itself, because its cut-off
    or charge day has come or its cut-off comes tomorrow, and before that the one locked last, late.
    Where that one is full or not sold today (decision 0202), the next cycle that has room and is.
    ``cycles`` are those that may be joined.
    """
    usual = first_cycle(cycles, today)
    wished = usual
    later = first.not_before if first.rule == "later" else None
    if later is not None:
        wished = first_cycle([one for one in cycles if one.ship_from >= later], today)
    elif first.rule == "now":
        wished = _at_once(cycles, today, first.current) or usual
    found = wished
    if wished is not None and not _takes(wished, today, first):
        least = later or today
        roomy = [one for one in cycles if _takes(one, today, first) and one.ship_from >= least]
        found = first_cycle(roomy, today)
    if found is None:
        return None
    is_late = first.current is not None and found.id == first.current.id
    ships_on = max(found.ship_from, first.leaves_on or today) if is_late else found.ship_from
    is_kept = usual is None or found.id != usual.id
    passed = wished if wished is not None and wished.id != found.id else None
    waits = is_kept and (first.rule == "later" or passed is not None)
    places_from = found.lock_on if waits else today
    unsold = passed is not None and first.is_sale and not passed.sells_on(today)
    return FirstPlace(found, ships_on, is_kept, places_from, waits, passed, unsold)


def _takes(cycle: CycleSlot, today: date, first: FirstBox) -> bool:
    """Return whether the cycle has room, and is sold today."""
    return cycle.id not in first.full and (not first.is_sale or cycle.sells_on(today))


def _at_once(
    cycles: Sequence[CycleSlot], today: date, current: CycleSlot | None
) -> CycleSlot | None:
    """Return the cycle a box leaves with soonest without a next payment that comes at once."""
    coming = next((one for one in in_order(cycles) if one.lock_on > today), None)
    if coming is None or coming.charge_on is None:
        return coming
    if coming.charge_on <= today or coming.cutoff_on < today + _TO_SKIP:
        return coming
    return current


def renewal_after(
    place: FirstPlace,
    cycles: Sequence[CycleSlot],
    count: int,
    period: BillingPeriod,
    interval: Interval,
    *,
    charge_day: int | None = None,
) -> date:
    """Return the day of the second payment of an order whose first box goes to ``place``.

    ``first_renewal_on`` with the day the box really leaves. On rolling cycles the ``interval``
    of a first box that waits is counted from the lock of its cycle, so the next one is packed
    no sooner after it than any other.
    """
    known = list(cycles)
    if all(one.id != place.cycle.id for one in known):
        known.append(place.cycle)
    if place.cycle.charge_on is None and place.places_from > period.start:
        return max(add_interval(place.places_from, interval, 1), place.ships_on)
    return first_renewal_on(
        known,
        place.cycle,
        count,
        period,
        interval,
        charge_day=charge_day,
        ships_on=place.ships_on,
    )


def boxes_of_restart(
    slots: Sequence[CycleSlot],
    used: tuple[AbstractSet[int], AbstractSet[int]],
    count: int,
    days: tuple[date, date],
    shipping: Interval,
    later_on: date | None = None,
) -> list[CycleSlot | None]:
    """Return the cycles of the boxes of a period that a change of plan begins.

    ``used`` are cycles that hold a box of the subscription and those it skips. ``days``: the
    period's first, and today. ``later_on``: a plan whose first boxes wait for that day.
    """
    start, today = days
    if later_on is not None:
        place = first_place(slots, start, FirstBox("later", later_on, is_sale=False))
        if place is not None and place.is_kept:
            return first_boxes(place.cycle, slots, *used, count, place.places_from, shipping)
    in_time = [slot for slot in slots if slot.cutoff_on >= start]
    return assign_cycles(in_time, *used, count, today, start=start, shipping=shipping)


def first_boxes(
    kept: CycleSlot,
    cycles: Sequence[CycleSlot],
    taken: AbstractSet[int],
    skipped: AbstractSet[int],
    count: int,
    places_from: date,
    shipping: Interval,
) -> list[CycleSlot | None]:
    """Return the cycles of the ``count`` boxes of an order whose first one goes to ``kept``.

    The others follow by order in those of ``cycles`` that lock after it, the k-th on rolling
    cycles ``k`` x ``shipping`` after ``places_from``.
    """
    behind = [one for one in cycles if one.id != kept.id and one.lock_on > kept.lock_on]
    return assign_cycles(
        [kept, *behind],
        taken,
        skipped,
        count,
        kept.lock_on,
        start=places_from,
        shipping=shipping,
    )
