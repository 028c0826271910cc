"""How many boxes whose contents are chosen a stock fills, by the default rule.

Boxes nobody chose for are filled one after the other in the order of the pool, out of what is
left, as they would be at the lock. What they take counts as reserved, so every piece is counted
once, whichever plans share it. Source: docs/decisions/0199-pools-reserve-stock.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from storefront.domain.choices import PoolItem, Rule, bars, fill


@dataclass(frozen=True, slots=True)
class PoolBoxes:
    """How many boxes were filled, and the pieces they hold; ``boxes`` None: any number."""

    boxes: int | None
    taken: Mapping[int, int]


def fill_boxes(
    rule: Rule, pool: Sequence[PoolItem], left: Mapping[int, int | None], most: int | None = None
) -> PoolBoxes:
    """Fill up to ``most`` boxes (None: as many as there are) by the default rule.

    ``left`` are the pieces of each variant, None or not named: it never runs out. Boxes that
    come out alike are filled at once, so the work grows with the pool and not with the stock.

    >>> pool = [PoolItem(1), PoolItem(2), PoolItem(3)]
    >>> fill_boxes(Rule(2), pool, {1: 2, 2: 3, 3: 4})
    PoolBoxes(boxes=3, taken={1: 2, 2: 3, 3: 1})
    >>> fill_boxes(Rule(2), pool, {1: 9, 2: 9, 3: 9}, 4).boxes, fill_boxes(Rule(1), pool, {}).boxes
    (4, None)
    """
    stock = {key: None if pieces is None else max(pieces, 0) for key, pieces in left.items()}
    taken: Counter[int] = Counter()
    boxes = 0
    while most is None or boxes < most:
        items = [replace(item, left=stock.get(item.variant)) for item in pool]
        filled = fill(rule, items, bars(rule, items), {})
        if filled is None:
            break
        times = _alike(items, filled.picks)
        if most is not None:
            times = most - boxes if times is None else min(times, most - boxes)
        if times is None:
            return PoolBoxes(None, {})
        boxes += times
        for key, pieces in filled.picks.items():
            taken[key] += pieces * times
            own = stock.get(key)
            if own is not None:
                stock[key] = own - pieces * times
    return PoolBoxes(boxes, dict(taken))


def _alike(items: Sequence[PoolItem], picks: Mapping[int, int]) -> int | None:
    """Return how many boxes in a row surely hold the same; None: all there ever will be.

    As long as more is left of everything than a box may hold, the rule sees no difference.
    """
    counts = [
        max((item.left - item.most) // picks[item.variant], 1)
        for item in items
        if item.left is not None and picks.get(item.variant)
    ]
    return min(counts, default=None)


def pool_boxes_from(
    rule: Rule,
    pool: Sequence[PoolItem],
    fixed: Sequence[tuple[int, int]],
    left: Mapping[int, int | None],
) -> int | None:
    """Return how many boxes of ``fixed`` and so many of the pool can be sold, None: any number.

    >>> pool = [PoolItem(1), PoolItem(2)]
    >>> pool_boxes_from(Rule(1), pool, [(1, 1)], {1: 4, 2: 2})
    3
    """
    whole = [max(own, 0) // n for key, n in fixed if (own := left.get(key)) is not None]
    filled = fill_boxes(rule, pool, left, min(whole, default=None)).boxes
    if filled is None or not {key for key, _n in fixed} & {item.variant for item in pool}:
        return filled
    least, most = 0, filled
    while least < most:
        middle = (least + most + 1) // 2
        rest = dict(left)
        for key, pieces in fixed:
            own = rest.get(key)
            rest[key] = None if own is None else own - pieces * middle
        if fill_boxes(rule, pool, rest, middle).boxes == middle:
            least = middle
        else:
            most = middle - 1
    return least
