"""How many more boxes of a plan can be sold: its places, and the stock that is free.

Stock is reserved before it is sold: the next box of every running subscriber comes first, then
what open orders hold, and what is left is free for new sales.
Source: docs/decisions/0164-places-and-free-stock.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FreeStock:
    """Where the pieces of one variant stand.

    ``on_hand`` are in the house; of these ``locked`` lie in locked boxes, ``sold`` are for the
    next box that a subscriber has paid for, ``running`` for the next box of subscribers who will
    pay, ``held`` for open orders. ``is_limited`` is False where stock never runs out.
    """

    on_hand: int
    locked: int
    sold: int = 0
    running: int = 0
    held: int = 0
    is_limited: bool = True

    @property
    def free(self) -> int:
        """Pieces for new sales; below zero when more is promised than there is."""
        return self.on_hand - self.locked - self.sold - self.running - self.held


def boxes_from(contents: Sequence[tuple[int, int]], stock: Mapping[int, FreeStock]) -> int | None:
    """Return how many boxes of ``contents`` the free stock makes, None where nothing limits it.

    >>> tea = FreeStock(on_hand=100, locked=0, sold=15, running=80)
    >>> boxes_from([(1, 1)], {1: tea}), boxes_from([(1, 2)], {1: tea}), boxes_from([(2, 1)], {})
    (5, 2, None)
    """
    counts = [
        max(stock[variant].free, 0) // pieces
        for variant, pieces in contents
        if variant in stock and stock[variant].is_limited
    ]
    return min(counts, default=None)


@dataclass(frozen=True, slots=True)
class Places:
    """What limits the sale of a plan, and how far it is used.

    ``places`` None and ``by_stock`` None: that limit does not hold.
    """

    places: int | None
    taken: int
    sells_by_stock: bool = False
    #: Boxes that the free stock makes.
    by_stock: int | None = None
    #: Boxes that the roomiest of the coming cycles can still make.
    by_cycle: int | None = None

    @property
    def left(self) -> int | None:
        """How many more boxes can be sold, None: any number.

        >>> Places(10, 12).left, Places(10, 4, True, 3).left, Places(None, 4).left
        (0, 3, None)
        """
        limits = [] if self.places is None else [max(self.places - self.taken, 0)]
        if self.sells_by_stock and self.by_stock is not None:
            limits.append(self.by_stock)
        if self.by_cycle is not None:
            limits.append(self.by_cycle)
        return min(limits, default=None)
