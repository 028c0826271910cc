"""What a packed box holds of its pool or its recipe, and what changing that takes and brings.

What lies in a box is a number of pieces per variant. An add-on of the same product lies in the
same heap (``mixed``), so how much of that heap the recipe brought has to follow from the rest;
where it does not, nothing is offered for the box.
Source: docs/decisions/0193-late-changes-of-contents.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import combinations

#: Swaps of one box that are told apart; a box with more keeps what it has.
_MOST_SWAPS = 10

#: Pieces by variant.
Pieces = Mapping[int, int]


def picks_lying(
    lying: Pieces,
    mixed: AbstractSet[int],
    fixed: Pieces,
    pool: Sequence[int],
    wanted: int,
    quantity: int,
) -> dict[int, int] | None:
    """Return what a packed box holds of its ``pool``: pieces for one box by variant.

    ``wanted`` pieces of the pool are in each of ``quantity`` boxes that were sold as one,
    ``fixed`` comes with each in any case. None where the box is not packed as that says.

    >>> picks_lying({1: 2, 2: 4, 3: 2}, set(), {1: 1}, [2, 3], 3, 2)
    {2: 2, 3: 1}
    >>> picks_lying({2: 1, 3: 2}, {3}, {}, [2, 3], 2, 1)
    {2: 1, 3: 1}
    """
    always = {key: pieces * quantity for key, pieces in fixed.items()}
    rest = {key: lying.get(key, 0) - always.get(key, 0) for key in {*lying, *always}}
    if any(pieces < 0 for pieces in rest.values()):
        return None
    unclear = [key for key in pool if key in mixed]
    if len(unclear) > 1:
        return None
    found = {key: rest[key] for key in pool if key not in mixed and rest.get(key)}
    strange = [key for key, n in rest.items() if n and key not in mixed and key not in found]
    left = wanted * quantity - sum(found.values())
    for key in unclear:
        # At least one piece of the heap is the add-on.
        if 0 < left < rest[key]:
            found[key], left = left, 0
    if strange or left or any(pieces % quantity for pieces in found.values()):
        return None
    return {key: found[key] // quantity for key in pool if key in found}


def swaps_lying(
    lying: Pieces, mixed: AbstractSet[int], recipe: Pieces, wanted: Pieces
) -> dict[int, int] | None:
    """Return which of the ``wanted`` swaps a packed box holds, by the product of the recipe.

    ``recipe`` has the pieces of the whole box, ``wanted`` what was to come instead. None where
    the box is not packed so, or could be in two ways.

    >>> swaps_lying({1: 2, 4: 1}, set(), {1: 2, 2: 1}, {1: 3, 2: 4})
    {2: 4}
    """
    able = [key for key in recipe if key in wanted]
    if len(able) > _MOST_SWAPS:
        return None
    found: list[dict[int, int]] = []
    for count in range(len(able), -1, -1):
        for made in combinations(able, count):
            swaps = {key: wanted[key] for key in made}
            if _is_packed(lying, mixed, share_of(recipe, swaps)):
                found.append(swaps)
    return found[0] if len(found) == 1 else None


def _is_packed(lying: Pieces, mixed: AbstractSet[int], share: Pieces) -> bool:
    return all(
        lying.get(key, 0) > share.get(key, 0)
        if key in mixed
        else lying.get(key, 0) == share.get(key, 0)
        for key in {*lying, *share}
    )


def share_of(recipe: Pieces, swaps: Pieces) -> dict[int, int]:
    """Return the pieces of ``recipe`` with ``swaps`` (by its product) made, piece for piece.

    >>> share_of({1: 2, 2: 1}, {1: 2})
    {2: 3}
    """
    share: Counter[int] = Counter()
    for variant, pieces in recipe.items():
        share[swaps.get(variant, variant)] += pieces
    return dict(share)


def lying_after(lying: Pieces, now: Pieces, then: Pieces) -> dict[int, int]:
    """Return what a box holds when its share ``now`` gives way to ``then``; the rest stays.

    >>> lying_after({1: 2, 9: 1}, {1: 2}, {2: 2})
    {9: 1, 2: 2}
    """
    after = Counter(dict(lying))
    after.subtract(dict(now))
    after.update(dict(then))
    return {key: pieces for key, pieces in after.items() if pieces}


def short_of(now: Pieces, then: Pieces, left: Mapping[int, int | None]) -> dict[int, int]:
    """Return the pieces by variant that are missing for ``then`` in place of ``now``.

    ``left`` are those there for this change; None: never runs out.

    >>> short_of({1: 2}, {1: 1, 2: 1, 3: 2}, {1: 0, 2: None, 3: 1})
    {3: 1}
    """
    missing = {}
    for key, pieces in then.items():
        there = left.get(key)
        more = pieces - now.get(key, 0)
        if there is not None and more > max(0, there):
            missing[key] = more - max(0, there)
    return missing
