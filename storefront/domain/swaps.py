"""What a subscriber takes instead of a product of the recipe, and what then is in the box.

A swap holds for one box or from one box on. Boxes that may not change any more keep the swaps
they had: what is said later closes an older swap, and does not rewrite it. For one product and
one box everything said for it comes to one state, whatever was said before.
Source: docs/decisions/0179-swaps.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import NamedTuple


class Round(NamedTuple):
    """A cycle, ordered by the day from which it leaves."""

    ship_from: date
    id: int


class SwapBar(StrEnum):
    """Why something offered cannot be taken instead."""

    ALLERGEN = "allergen"
    SOLD_OUT = "sold_out"


@dataclass(frozen=True, slots=True)
class Swap:
    """``instead`` of ``variant``: in the box of ``since`` alone, or from it on until ``until``.

    ``instead`` None, for one box only: the recipe's own, whatever else holds from now on.
    """

    variant: int
    instead: int | None
    since: Round
    is_standing: bool = False
    #: The first round for which it does not hold any more; None: it goes on.
    until: Round | None = None

    def holds_at(self, at: Round) -> bool:
        """Return whether it counts for the box of ``at``."""
        if not self.is_standing:
            return self.since == at
        return self.since <= at and (self.until is None or at < self.until)


def swaps_at(swaps: Iterable[Swap], at: Round) -> dict[int, int]:
    """Return what is taken instead in the box of ``at``, by the product of the recipe.

    What was said for this box alone comes before what holds from now on.
    """
    held = [one for one in swaps if one.holds_at(at)]
    found = {one.variant: one.instead for one in held if one.is_standing}
    found |= {one.variant: one.instead for one in held if not one.is_standing}
    return {variant: instead for variant, instead in found.items() if instead is not None}


def swap_once(swaps: Sequence[Swap], at: Round, variant: int, instead: int | None) -> list[Swap]:
    """Return ``swaps`` with ``instead`` of ``variant`` in the box of ``at`` alone.

    None: the recipe's own. What holds from now on anyway is not said again.
    """
    rest = [one for one in swaps if one.variant != variant or one.is_standing or one.since != at]
    if swaps_at(rest, at).get(variant) == instead:
        return rest
    return [*rest, Swap(variant, instead, at)]


def swap_from(swaps: Sequence[Swap], at: Round, variant: int, instead: int | None) -> list[Swap]:
    """Return ``swaps`` with ``instead`` of ``variant`` from the box of ``at`` on.

    None: the recipe's own again. What was said for single boxes from ``at`` on is void.
    """
    kept: list[Swap] = []
    goes_on = False
    for one in swaps:
        if one.variant != variant or (one.since < at and not one.is_standing):
            kept.append(one)
        elif one.since < at and (one.until is None or at <= one.until):
            is_same = one.instead == instead
            goes_on = goes_on or is_same
            kept.append(replace(one, until=None if is_same else at))
        elif one.since < at:
            kept.append(one)
    if instead is not None and not goes_on:
        kept.append(Swap(variant, instead, at, is_standing=True))
    return kept


def take_back(swaps: Sequence[Swap], at: Round, variant: int) -> list[Swap]:
    """Return ``swaps`` without what holds for ``variant`` in the box of ``at``.

    What was said for that box alone goes first, then what holds from now on.
    """
    rest = [one for one in swaps if one.variant != variant or one.is_standing or one.since != at]
    return rest if len(rest) < len(swaps) else swap_from(swaps, at, variant, None)


@dataclass(frozen=True, slots=True)
class Packed:
    """What a box holds after its swaps: (variant, pieces) of the recipe, and instead of others.

    By the product of the recipe, which swaps were ``made`` and which ``lost``.
    """

    own: tuple[tuple[int, int], ...]
    instead: tuple[tuple[int, int], ...]
    made: Mapping[int, int]
    lost: Mapping[int, int]

    @property
    def origins(self) -> dict[int, str]:
        """Where the pieces come from that are in the box only by a swap."""
        own = {variant for variant, _pieces in self.own}
        return dict.fromkeys(set(self.made.values()) - own, "choice")


def with_swaps(
    recipe: Sequence[tuple[int, int]],
    beside: Mapping[int, int],
    wanted: Mapping[int, int],
    left: Callable[[int], int | None],
) -> Packed:
    """Return ``recipe`` (variant, pieces) with what is ``wanted`` instead.

    ``left`` gives the pieces there, None for what never runs out; ``beside`` are pieces that
    lie in the same box. What is not there in full is not swapped: the recipe's own comes.

    >>> with_swaps([(1, 2), (2, 1)], {}, {1: 3, 2: 4}, {1: 9, 2: 9, 3: 1, 4: 1}.get).instead
    ((4, 1),)
    """
    if not wanted:
        return Packed(tuple(recipe), (), {}, {})
    need = Counter(dict(beside))
    for variant, pieces in recipe:
        need[variant] += pieces
    taken: Counter[int] = Counter()
    made: dict[int, int] = {}
    lost: dict[int, int] = {}
    for variant, pieces in recipe:
        instead = wanted.get(variant)
        if instead is None:
            continue
        there = left(instead)
        if there is None or there - need[instead] >= pieces:
            made[variant] = instead
            taken[instead] += pieces
            need[variant] -= pieces
            need[instead] += pieces
        else:
            lost[variant] = instead
    own = tuple(line for line in recipe if line[0] not in made)
    return Packed(own, tuple(taken.items()), made, lost)


class Sort(NamedTuple):
    """What decides whether one product may come instead of another; ``price`` None: not known."""

    variant: int
    category: str
    currency: str
    price: int | None


def may_come(own: Sort, other: Sort) -> bool:
    """Return whether ``other`` may ever come instead of ``own``: of its kind, and no dearer."""
    return (
        own.variant != other.variant
        and own.category == other.category
        and own.currency == other.currency
        and may_replace(own.price, other.price)
    )


def may_replace(own: int | None, other: int | None) -> bool:
    """Return whether something worth ``other`` may come instead of something worth ``own``.

    Both at retail price; no more than what it replaces, and only where both are known.
    """
    return own is not None and other is not None and other <= own
