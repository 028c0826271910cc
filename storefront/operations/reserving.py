"""Add up what next boxes take: what recipes fix, what was chosen, and what fills the rest.

Source: docs/decisions/0199-pools-reserve-stock.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from storefront.domain.choices import PoolItem
from storefront.domain.packing import RecipeFacts
from storefront.domain.pool_places import fill_boxes
from storefront.operations.keys import AnyRow


@dataclass(slots=True)
class Demand:
    """What some boxes take: pieces by variant, and boxes still to be filled by recipe."""

    pieces: Counter[int] = field(default_factory=Counter)
    #: Boxes nobody chose for, by key of the recipe; the recipes they are filled by.
    boxes: Counter[int] = field(default_factory=Counter)
    recipes: dict[int, RecipeFacts] = field(default_factory=dict)
    #: Pieces of the pool that choices leave open, by key of the recipe.
    _open: Counter[int] = field(default_factory=Counter)

    def add(self, recipe: RecipeFacts | None, boxes: int) -> None:
        """Add so many boxes nobody chose for."""
        if recipe is None:
            return
        for variant, pieces in recipe.items:
            self.pieces[variant] += pieces * boxes
        if recipe.rule is not None:
            self.recipes[recipe.id] = recipe
            self.boxes[recipe.id] += boxes

    def add_chosen(self, recipe: RecipeFacts | None, boxes: int) -> None:
        """Say that somebody chose for so many of the boxes that were added."""
        if recipe is not None and recipe.rule is not None:
            self.boxes[recipe.id] -= boxes
            self._open[recipe.id] += boxes * recipe.rule.pieces

    def add_pieces(self, recipe: RecipeFacts | None, row: AnyRow) -> None:
        """Add pieces that were chosen, which fill a part of those boxes."""
        if recipe is None or row.variant_id not in dict(recipe.pool):
            return
        self.pieces[row.variant_id] += int(row.pieces)
        self._open[recipe.id] -= int(row.pieces)

    def to_fill(self, recipe: RecipeFacts) -> int:
        """How many boxes the default rule fills; what choices leave open counts as boxes."""
        rule, missing = recipe.rule, max(self._open[recipe.id], 0)
        return self.boxes[recipe.id] + (-(-missing // rule.pieces) if rule is not None else 0)


def fill_pools(
    demands: Sequence[Demand], items: Mapping[int, PoolItem], left: Mapping[int, int | None]
) -> int:
    """Add to each of ``demands`` what the default rule puts into its boxes, the first first.

    ``left`` is what the demands leave of each variant, None where it never runs out. Returns how
    many boxes the pools do not fill.
    """
    stock, unfilled = dict(left), 0
    for demand in demands:
        for key in sorted(demand.recipes):
            recipe = demand.recipes[key]
            if recipe.rule is None:
                continue
            wanted = demand.to_fill(recipe)
            filled = fill_boxes(recipe.rule, pool_of(recipe, items), stock, wanted)
            unfilled += wanted - (wanted if filled.boxes is None else filled.boxes)
            demand.pieces.update(filled.taken)
            for variant, pieces in filled.taken.items():
                own = stock.get(variant)
                stock[variant] = None if own is None else own - pieces
    return unfilled


def pool_of(recipe: RecipeFacts, items: Mapping[int, PoolItem]) -> list[PoolItem]:
    """Return the pool of a recipe in its order."""
    return [replace(items[key], most=most) for key, most in recipe.pool if key in items]
