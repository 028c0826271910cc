"""What another rhythm of a group does to the cycles that are there: which move, which stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise

from storefront.domain.cycles import CycleDates, CycleSlot, slot_for


class Kept(StrEnum):
    """Why a cycle keeps its days."""

    #: The lock has reached it, its cut-off is over, or its charge day.
    OVER = "over"
    #: Boxes are paid for in it.
    BOXES = "boxes"
    #: An order was promised it, or somebody's first box is in it.
    PROMISED = "promised"
    #: Mails have told subscribers its days.
    TOLD = "told"
    #: Somebody gave it days of its own.
    BY_HAND = "by_hand"
    #: Its new cut-off would be over.
    TOO_SOON = "too_soon"


class RhythmProblem(StrEnum):
    """Why a group cannot have the rhythm."""

    #: Two cycles would change places, or have one and the same cut-off or lock.
    ORDER = "order"
    #: Somebody would pay for the second box before the first has left.
    PAID_BEFORE = "paid_before"


@dataclass(frozen=True, slots=True)
class Round:
    """A cycle as it stands, with what may keep its days."""

    id: int
    days: CycleDates
    is_locked: bool = False
    has_boxes: bool = False
    is_promised: bool = False
    is_told: bool = False
    has_own_days: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A cycle before and after; ``kept`` says why nothing changes, None where it follows."""

    round: Round
    after: CycleDates
    kept: Kept | None

    @property
    def moves(self) -> bool:
        """Whether any of its days changes."""
        return self.after != self.round.days


@dataclass(frozen=True, slots=True)
class FirstPayment:
    """Somebody without a box: the day whose cycle theirs will be, and of the payment after."""

    joins_on: date
    pays_again_on: date


def steps_of(
    rounds: Iterable[Round],
    after: Mapping[str, CycleDates],
    today: date,
    *,
    moves_paid: bool = False,
) -> list[Step]:
    """Return what becomes of each cycle, in the order in which they leave.

    ``after`` are the days by key that the wanted rhythm makes. A cycle follows if nothing is
    sold, charged, promised or told of it yet and nobody gave it days of its own, also where it
    stayed when the rhythm changed before; its charge day never changes. With ``moves_paid``
    paid boxes keep none in its days, but for the first box of a subscription.
    Source: docs/decisions/0207-the-rhythm-of-a-group.md.
    """
    found = []
    for one in sorted(rounds, key=_leaving):
        wanted = after.get(one.days.key)
        kept = _kept(one, wanted, today, moves_paid)
        follows = kept is None and wanted is not None
        found.append(Step(one, wanted if wanted and follows else one.days, kept))
    return found


def _leaving(one: Round) -> tuple[date, date, int]:
    return one.days.ship_from, one.days.lock_on, one.id


def _kept(
    one: Round,
    wanted: CycleDates | None,
    today: date,
    moves_paid: bool,
) -> Kept | None:
    days = one.days
    is_over = days.cutoff_on < today or (days.charge_on is not None and days.charge_on <= today)
    if one.is_locked or is_over:
        return Kept.OVER
    if one.is_promised:
        return Kept.PROMISED
    if one.has_boxes and not moves_paid:
        return Kept.BOXES
    if one.is_told:
        return Kept.TOLD
    if one.has_own_days or wanted is None or wanted.charge_on != days.charge_on:
        return Kept.BY_HAND
    return Kept.TOO_SOON if wanted.cutoff_on < today else None


def problem_of_steps(
    steps: Sequence[Step], waiting: Iterable[FirstPayment]
) -> tuple[RhythmProblem, str] | None:
    """Return what is against ``steps``, with the key of the cycle it is about, or None.

    Cycles keep their order, since boxes join by it (docs/decisions/0018): then every period
    feeds the cycle it fed before. No second payment comes before the first box (0019), also of
    those whose first box is still to be paid or made: ``waiting``.
    """
    for first, second in pairwise(steps):
        if (first.moves or second.moves) and not _in_order(first.after, second.after):
            return RhythmProblem.ORDER, second.after.key
    slots = [_slot(one.round.id, one.after) for one in steps]
    by_id = {one.round.id: one for one in steps}
    for each in waiting:
        slot = slot_for(slots, each.joins_on)
        step = by_id[slot.id] if slot is not None else None
        if step is None or step.after.ship_from <= step.round.days.ship_from:
            continue
        if step.after.ship_from > each.pays_again_on:
            return RhythmProblem.PAID_BEFORE, step.after.key
    return None


def _in_order(first: CycleDates, second: CycleDates) -> bool:
    return (
        first.cutoff_on < second.cutoff_on
        and first.lock_on < second.lock_on
        # Two may leave together after a row of days off; the lock says which comes first.
        and first.ship_from <= second.ship_from
    )


def _slot(key: int, days: CycleDates) -> CycleSlot:
    return CycleSlot(key, days.charge_on, days.cutoff_on, days.lock_on, days.ship_from)
