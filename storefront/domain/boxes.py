"""Boxes and the cycles they join: which box, when, and whether the next period pays for one.

All days are shop-local dates. Calendar cycles have a charge day; rolling ones, where each
subscriber has their own, have none. The cycles given to a function are those of one group
of plans, in any order. Source: docs/decisions/0018-boxes-join-cycles-by-order.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import count as naturals
from itertools import islice

from storefront.domain.cycles import (
    CycleSlot,
    first_cycle,
    first_renewal_on,
    in_order,
    opening_periods,
    slot_for,
)
from storefront.domain.periods import Interval, add_interval

__all__ = [
    "BoxKind",
    "BoxState",
    "CycleSlot",
    "CycleState",
    "PaidBox",
    "Pause",
    "PeriodFate",
    "ProjectedBox",
    "ProjectedKind",
    "Standing",
    "assign_cycles",
    "boxes_per_period",
    "feed_period",
    "first_cycle",
    "first_renewal_on",
    "in_order",
    "may_undo",
    "move_target",
    "next_boundary",
    "next_period_kind",
    "opening_periods",
    "place_boxes",
    "project",
    "slot_for",
]


class BoxState(StrEnum):
    """Where one box is on its way."""

    PLANNED = "planned"
    HELD = "held"
    LOCKED = "locked"
    EXPORTED = "exported"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    RETURNED = "returned"
    LOST = "lost"
    CANCELED = "canceled"


class BoxKind(StrEnum):
    """Why a box exists: paid for by a period, replacing another, or given on top."""

    REGULAR = "regular"
    REPLACEMENT = "replacement"
    EXTRA = "extra"


class CycleState(StrEnum):
    """How far one round of boxes has come."""

    PLANNED = "planned"
    OPEN = "open"
    LOCKED = "locked"
    SHIPPED = "shipped"
    CLOSED = "closed"


class PeriodFate(StrEnum):
    """What becomes of a period at its boundary, as far as boxes decide it."""

    BILLED = "billed"
    SKIPPED = "skipped"


def boxes_per_period(billing: Interval, shipping: Interval) -> int:
    """Return how many boxes one billing period pays for, always the same number.

    Raises ``ValueError`` unless ``billing`` is a whole multiple of ``shipping`` inside one
    family (days and weeks, or months and years).

    >>> boxes_per_period(Interval("month", 3), Interval("month"))
    3
    """
    count = billing.multiple_of(shipping)
    if count is None:
        raise ValueError(f"billing every {billing} does not fit shipping every {shipping}")
    return count


def assign_cycles(
    cycles: Iterable[CycleSlot],
    taken: AbstractSet[int],
    skipped: AbstractSet[int],
    count: int,
    not_before_lock: date,
    *,
    start: date | None = None,
    shipping: Interval | None = None,
) -> list[CycleSlot | None]:
    """Return the cycles that ``count`` paid boxes join, None where none is generated yet.

    The k-th box joins by order the k-th free cycle (neither in ``taken``, which holds a
    regular box of this subscription, nor in ``skipped``) locked on ``not_before_lock`` or
    later: the day the money came, or the lock of the first cycle of an order.
    Rolling cycles come with every packing day, so there the k-th box takes the cycle that
    a period starting ``k`` x ``shipping`` after ``start`` (default ``not_before_lock``)
    would feed; a place that is taken or skipped passes to the next.
    Raises ``ValueError`` for several boxes on rolling cycles without ``shipping``.
    Source: docs/decisions/0018-boxes-join-cycles-by-order.md.
    """
    return _assign(
        in_order(cycles),
        taken | skipped,
        count,
        not_before_lock,
        start or not_before_lock,
        shipping,
    )


def _assign(
    ordered: Sequence[CycleSlot],
    blocked: AbstractSet[int],
    count: int,
    not_before_lock: date,
    start: date,
    shipping: Interval | None,
) -> list[CycleSlot | None]:
    """Do the work of ``assign_cycles`` on cycles that are in order already."""
    places: Iterable[CycleSlot] = (slot for slot in ordered if slot.lock_on >= not_before_lock)
    if ordered and ordered[0].charge_on is None:
        if shipping is not None:
            places = _places(list(places), start, shipping)
        elif count > 1:
            raise ValueError("several boxes on rolling cycles need the shipping interval")
    free = (place for place in places if place.id not in blocked)
    found: list[CycleSlot | None] = list(islice(free, count))
    return found + [None] * (count - len(found))


def _places(
    ordered: Sequence[CycleSlot], start: date, shipping: Interval, day: int | None = None
) -> Iterator[CycleSlot]:
    """Yield what periods of ``shipping`` from ``start`` on feed first, each cycle once."""
    seen: set[int] = set()
    for n in naturals():
        boundary = add_interval(start, shipping, n, day=day)
        place = next((cycle for cycle in ordered if cycle.feed_on >= boundary), None)
        if place is None:
            return
        if place.id not in seen:
            seen.add(place.id)
            yield place


def feed_period(
    cycles: Iterable[CycleSlot],
    taken: AbstractSet[int],
    skipped: AbstractSet[int],
    count: int,
    start: date,
    paid_on: date,
    *,
    shipping: Interval,
) -> list[CycleSlot | None]:
    """Return the cycles of the ``count`` boxes of a renewal period, paid on ``paid_on``.

    They begin with the cycle the period feeds; paid after its lock, with the next one.
    """
    ordered = in_order(cycles)
    slot = next((cycle for cycle in ordered if cycle.feed_on >= start), None)
    if slot is None:
        return [None] * count
    earliest = max(paid_on, slot.lock_on)
    return _assign(ordered, taken | skipped, count, earliest, start, shipping)


def next_period_kind(
    slot: CycleSlot | None, taken: AbstractSet[int], skipped: AbstractSet[int]
) -> PeriodFate:
    """Return whether the period that feeds ``slot`` first is billed or skipped.

    Skipped when the customer skipped that cycle, or when it already holds a regular box
    of this subscription: one moved there by a skip after its charge, or one paid after
    its lock. So there are never two boxes in a cycle nor a payment without its box. A
    skipped period is one **shipping** interval long, in a prepaid term too.
    Source: docs/decisions/0020-one-rule-for-skips.md.
    """
    if slot is not None and (slot.id in taken or slot.id in skipped):
        return PeriodFate.SKIPPED
    return PeriodFate.BILLED


def next_boundary(start: date, length: Interval, anchor_day: int | None) -> date:
    """Return where the period starting at ``start`` ends; ``length`` by kind of period.

    Billed periods are a billing interval long, skipped and paused ones a shipping
    interval. With the wished ``anchor_day`` this walks the grid of the anchor without
    drifting; on days and weeks it means nothing.
    """
    return add_interval(start, length, 1, day=anchor_day)


def place_boxes(
    cycles: Iterable[CycleSlot],
    homes: Sequence[CycleSlot | None],
    skipped: AbstractSet[int],
    *,
    boundary: date | None = None,
    shipping: Interval | None = None,
    anchor_day: int | None = None,
) -> list[CycleSlot | None]:
    """Return where the paid boxes of a term stand, given which cycles are skipped.

    ``homes`` are the cycles the boxes would have joined when they were paid, had nothing
    been skipped (``feed_period`` without skips). A box stays at home unless that cycle is
    skipped; the others go, in the order of their homes, to the first cycles behind the
    last home that are not skipped. The answer depends on the set of skips only, never on
    the order in which they were made and undone, and changing one skip before its cut-off
    moves no box whose own cut-off has passed.
    Rolling cycles need ``boundary``, the start of the next period not yet opened when no
    skip moved it, and ``shipping``: a moved box takes the place a later period would feed.
    Raises ``ValueError`` when these are missing; None stands for a cycle to come.
    Source: docs/decisions/0020-one-rule-for-skips.md.
    """
    ordered = in_order(cycles)
    known = [home for home in homes if home is not None]
    behind = iter(_behind(ordered, known, skipped, boundary, shipping, anchor_day))
    ranks = {cycle.id: rank for rank, cycle in enumerate(in_order(known))}
    moved: dict[int, CycleSlot | None] = {
        cycle_id: next(behind, None)
        for cycle_id in sorted(ranks, key=ranks.__getitem__)
        if cycle_id in skipped
    }
    return [home if home is None else moved.get(home.id, home) for home in homes]


def may_undo(
    cycle: CycleSlot, placed: Iterable[CycleSlot | None], next_start: date, today: date
) -> bool:
    """Return whether the skip of ``cycle`` can still be taken back.

    Its cut-off has not passed, and it gets a box: either a paid one returns to it, which
    ``placed`` shows (``place_boxes`` without this skip), or its period is still to be
    billed. ``next_start`` is the start of the first period that is not opened, or opened
    and not paid. A period that became skipped stays skipped: there is no box to give back.
    """
    if today > cycle.cutoff_on:
        return False
    return cycle.feed_on >= next_start or any(at and at.id == cycle.id for at in placed)


def move_target(
    cycles: Iterable[CycleSlot],
    boxes: Sequence[CycleSlot],
    skipped: AbstractSet[int],
    *,
    boundary: date | None = None,
    shipping: Interval | None = None,
    anchor_day: int | None = None,
) -> CycleSlot | None:
    """Return where a paid box goes when its cycle is skipped: behind the last of ``boxes``.

    ``boxes`` are the cycles where the boxes of the term stand now. The other arguments
    and the errors are those of ``place_boxes``, which is the rule for more than one skip.
    """
    ordered = in_order(cycles)
    return next(iter(_behind(ordered, boxes, skipped, boundary, shipping, anchor_day)), None)


def _behind(
    ordered: Sequence[CycleSlot],
    boxes: Sequence[CycleSlot],
    skipped: AbstractSet[int],
    boundary: date | None,
    shipping: Interval | None,
    anchor_day: int | None,
) -> Iterator[CycleSlot]:
    """Yield the free places behind the last of ``boxes``, in order."""
    if not boxes:
        return
    last = in_order(boxes)[-1]
    later = [cycle for cycle in ordered if cycle.lock_on > last.lock_on]
    places: Iterable[CycleSlot] = later
    if last.charge_on is None:
        if boundary is None or shipping is None:
            raise ValueError("rolling cycles need the next boundary and the shipping interval")
        places = _places(later, boundary, shipping, anchor_day)
    yield from (place for place in places if place.id not in skipped)


class ProjectedKind(StrEnum):
    """Whether a coming box is paid, will be paid, or was skipped."""

    PAID = "paid"
    PLANNED = "planned"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class PaidBox:
    """A paid box that has not left; ``cycle`` is None until its cycle is generated."""

    id: int
    cycle: CycleSlot | None


@dataclass(frozen=True, slots=True)
class Pause:
    """No new period from ``from_on`` until the boundary at or after ``until_on``, if known."""

    from_on: date
    until_on: date | None


@dataclass(frozen=True, slots=True)
class Standing:
    """All that decides a subscription's coming boxes.

    ``taken`` are cycles that hold a regular box of it, shipped ones too. ``renews_on`` is
    the start of the next period, None when nothing will be billed (held, past due). It ends
    by itself when ``boxes_left`` are billed, or on ``ends_on``.
    """

    cycles: Sequence[CycleSlot]
    billing: Interval
    shipping: Interval
    renews_on: date | None
    anchor_day: int | None = None
    paid: Sequence[PaidBox] = ()
    taken: AbstractSet[int] = frozenset()
    skipped: AbstractSet[int] = frozenset()
    pauses: Sequence[Pause] = ()
    cancel_on: date | None = None
    boxes_left: int | None = None
    ends_on: date | None = None


@dataclass(frozen=True, slots=True)
class ProjectedBox:
    """One coming box, or one that was skipped.

    ``charge_on`` is the day the payment that covers it is taken, None when it is paid or
    skipped; ``box_id`` names a paid box; ``cycle`` is None when it is still to come.
    """

    kind: ProjectedKind
    cycle: CycleSlot | None
    charge_on: date | None = None
    box_id: int | None = None


def project(standing: Standing, count: int, today: date) -> list[ProjectedBox]:
    """Return the next ``count`` boxes in the order they leave, with the skips between them.

    Walks the boundaries with the functions a renewal uses, so subscribers who change
    nothing get exactly this. Skips are listed while their cycle's ship day is not past
    and do not count; those behind ``cancel_on`` are dropped with the end. A pause without
    an end stops the planning, not the boxes already paid.
    """
    paid = [ProjectedBox(ProjectedKind.PAID, box.cycle, box_id=box.id) for box in standing.paid]
    coming = paid + _planned(standing, count - len(paid))
    coming.sort(key=lambda box: _leaves(box.cycle))
    coming = coming[:count]
    horizon = _leaves(coming[-1].cycle) if len(coming) == count and coming else _NEVER
    skips = [
        ProjectedBox(ProjectedKind.SKIPPED, cycle)
        for cycle in standing.cycles
        if cycle.id in standing.skipped
        and cycle.ship_from >= today
        and _leaves(cycle) < horizon
        and not (standing.cancel_on and cycle.feed_on >= standing.cancel_on)
    ]
    return sorted(coming + skips, key=lambda box: _leaves(box.cycle))


_NEVER = (date.max, date.max)


def _leaves(cycle: CycleSlot | None) -> tuple[date, date]:
    return _NEVER if cycle is None else (cycle.ship_from, cycle.lock_on)


def _planned(standing: Standing, wanted: int) -> list[ProjectedBox]:
    """Return the boxes that periods still to be opened will pay for."""
    per_period = boxes_per_period(standing.billing, standing.shipping)
    taken = set(standing.taken) | {box.cycle.id for box in standing.paid if box.cycle}
    boxes: list[ProjectedBox] = []
    start = standing.renews_on
    while start is not None and len(boxes) < wanted and not _over(standing, start):
        if standing.boxes_left is not None and len(boxes) + per_period > standing.boxes_left:
            break
        length = standing.shipping
        slot = slot_for(standing.cycles, start)
        fate = next_period_kind(slot, taken, standing.skipped)
        if fate is PeriodFate.BILLED and not _pause_at(standing, start):
            length = standing.billing
            joined = feed_period(
                standing.cycles,
                taken,
                standing.skipped,
                per_period,
                start,
                start,
                shipping=standing.shipping,
            )
            taken.update(cycle.id for cycle in joined if cycle)
            boxes += [ProjectedBox(ProjectedKind.PLANNED, cycle, start) for cycle in joined]
        start = next_boundary(start, length, standing.anchor_day)
    return boxes


def _pause_at(standing: Standing, day: date) -> Pause | None:
    covering = (
        pause
        for pause in standing.pauses
        if pause.from_on <= day and (pause.until_on is None or day < pause.until_on)
    )
    return next(covering, None)


def _over(standing: Standing, day: date) -> bool:
    """Return whether no period opens at ``day`` or ever after."""
    if any(last is not None and day >= last for last in (standing.cancel_on, standing.ends_on)):
        return True
    pause = _pause_at(standing, day)
    return pause is not None and pause.until_on is None
