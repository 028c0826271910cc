"""What is in a box: packed already, or what its recipe says today."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.models import BoxItem, Product, ProductVariant, Recipe, RecipeItem
from storefront.models.base import table_of
from storefront.operations.skips import MOVABLE, Coming


@dataclass(frozen=True, slots=True)
class Piece:
    """One product in a box: in words, and what its picture is drawn from."""

    text: str
    sku: str
    #: A silhouette of the still lifes, or None when the product names none.
    kind: str | None


def next_contents(
    session: AnySession, found: Sequence[Coming], nexts: Mapping[int, int | None]
) -> dict[int, tuple[Piece, ...]]:
    """Return what the box of the cycle in ``nexts`` holds, per subscription.

    One statement for all of them.
    Packed already: its own items. Otherwise the recipe it would be packed by today.
    """
    item, variant = table_of(BoxItem), table_of(ProductVariant)
    product, recipe = table_of(Product), table_of(Recipe)
    part = table_of(RecipeItem)
    name = sa.func.trim(product.c.name + " " + variant.c.name).label("name")
    paid = {
        one.row.id: box
        for one in found
        for box in one.boxes
        if box.cycle_id is not None and box.cycle_id == nexts.get(one.row.id)
    }
    packed = {key: box.id for key, box in paid.items() if box.state not in MOVABLE}
    plans = {_plan_of(one, nexts.get(one.row.id)) for one in found if one.row.id not in packed}
    cycles = {cycle for cycle in nexts.values() if cycle}
    none = sa.literal(None, sa.Integer)
    frozen = (
        sa.select(
            item.c.box_id,
            none.label("recipe_id"),
            none.label("plan_id"),
            none.label("cycle_id"),
            sa.literal("").label("option_key"),
            item.c.variant_id,
            item.c.quantity,
            item.c.id.label("place"),
            name,
            variant.c.sku,
            product.c.picture,
        )
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(item.c.box_id.in_([box.id for box in paid.values()]))
    )
    planned = (
        sa.select(
            none.label("box_id"),
            recipe.c.id,
            recipe.c.plan_id,
            recipe.c.cycle_id,
            recipe.c.option_key,
            part.c.variant_id,
            part.c.quantity,
            part.c.position,
            name,
            variant.c.sku,
            product.c.picture,
        )
        .join(part, part.c.recipe_id == recipe.c.id)
        .join(variant, variant.c.id == part.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(
            recipe.c.plan_id.in_(plans),
            sa.or_(recipe.c.cycle_id.is_(None), recipe.c.cycle_id.in_(cycles)),
        )
    )
    lines = list(session.execute(sa.union_all(frozen, planned).order_by("place")))
    return {
        one.row.id: _named(one, lines, nexts.get(one.row.id), packed.get(one.row.id))
        + tuple(
            _piece(line)
            for line in lines
            # Add-ons lie in a box that is paid for before anything else does.
            if one.row.id in paid
            and one.row.id not in packed
            and line.box_id == paid[one.row.id].id
        )
        for one in found
    }


def _plan_of(coming: Coming, cycle: int | None) -> int:
    """Return the plan a box was sold under; one that is not paid yet has the next period's."""
    sold = (box.plan_id for box in coming.boxes if cycle and box.cycle_id == cycle)
    return int(next(sold, coming.row.plan_id))


def _named(
    coming: Coming, lines: Sequence[Any], cycle: int | None, packed: int | None
) -> tuple[Piece, ...]:
    if packed is not None:
        return tuple(_piece(line) for line in lines if line.box_id == packed)
    recipes: dict[int, list[Any]] = defaultdict(list)
    for line in lines:
        if line.plan_id == _plan_of(coming, cycle) and line.cycle_id in (None, cycle):
            recipes[line.recipe_id].append(line)
    facts = [
        RecipeFacts(
            key,
            own[0].cycle_id is None,
            own[0].option_key,
            tuple((line.variant_id, line.quantity) for line in own),
        )
        for key, own in recipes.items()
    ]
    chosen = choose_recipe(facts, coming.row.options or {})
    return tuple(_piece(line) for line in recipes[chosen.id]) if chosen else ()


def _piece(line: Any) -> Piece:
    text = f"{line.quantity} × {line.name}" if line.quantity > 1 else str(line.name)
    return Piece(text, line.sku, (line.picture or "").replace("_", "-") or None)
