"""Boxes still to be locked that cross a border with products of which customs data is missing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxKind, BoxState, CycleState
from storefront.domain.customs import is_declared
from storefront.domain.packing import RecipeFacts, choose_recipe
from storefront.domain.recipe_scopes import BoxFacts, Tells
from storefront.models import (
    Box,
    BoxCycle,
    ProductVariant,
    Recipe,
    RecipeItem,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.box_facts import columns_of
from storefront.operations.keys import AnyRow


@dataclass(frozen=True, slots=True)
class Ahead:
    """A cycle: how many of its boxes lack something for customs, and of which products."""

    cycle: str
    cycle_ref: str
    boxes: int
    skus: tuple[str, ...]


def customs_ahead(
    session: AnySession, seller_country: str, countries: Sequence[str], cycle_ref: str = ""
) -> list[Ahead]:
    """Return the open cycles (or this one) with such boxes, by their lock; three statements.

    By the country alone and by recipe; a pool counts with all that may be chosen. None where no
    country delivered to lies behind a border.
    """
    abroad = [one for one in countries if is_declared(seller_country, one)]
    boxes = _boxes(session, abroad, cycle_ref) if abroad else []
    if not boxes:
        return []
    recipes, lacking = _recipes(session, {row.plan_id for row in boxes})
    counts: dict[tuple[str, str], int] = defaultdict(int)
    skus: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in boxes:
        own = [one for cycle in (row.cycle_id, None) for one in recipes[row.plan_id, cycle]]
        found = choose_recipe(own, BoxFacts(json.loads(row.options), row.country, row.number))
        if found is not None and lacking[found.id]:
            counts[row.key, row.cycle_ref] += row.boxes
            skus[row.key, row.cycle_ref] |= lacking[found.id]
    return [Ahead(*which, counts[which], tuple(sorted(skus[which]))) for which in counts]


def _boxes(session: AnySession, abroad: Collection[str], cycle_ref: str) -> list[AnyRow]:
    box, subscription, cycle = table_of(Box), table_of(Subscription), table_of(BoxCycle)
    only = (cycle.c.public_id == cycle_ref,) if cycle_ref else ()
    each = (
        sa.select(
            box.c.plan_id,
            box.c.cycle_id,
            cycle.c.key,
            cycle.c.public_id.label("cycle_ref"),
            cycle.c.lock_on,
            sa.cast(box.c.options, sa.Text).label("options"),
            *columns_of(box, subscription, Tells(True, True)),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            cycle.c.state == CycleState.OPEN,
            box.c.state.in_((BoxState.PLANNED, BoxState.HELD)),
            box.c.kind != BoxKind.REPLACEMENT,
            *only,
        )
        .subquery()
    )
    rows = session.execute(
        sa.select(*each.c, sa.func.count().label("boxes"))
        .where(each.c.country.in_(abroad))
        .group_by(*each.c)
        .order_by(each.c.lock_on, each.c.cycle_ref)
    )
    return list(rows)


_Recipes = dict[tuple[int, int | None], list[RecipeFacts]]


def _recipes(session: AnySession, plans: Collection[int]) -> tuple[_Recipes, dict[int, set[str]]]:
    """Return the recipes of these plans by plan and cycle, and what of each lacks something."""
    recipe, item, variant = table_of(Recipe), table_of(RecipeItem), table_of(ProductVariant)
    facts: _Recipes = defaultdict(list)
    for row in session.execute(
        sa.select(recipe.c.id, recipe.c.plan_id, recipe.c.cycle_id, recipe.c.option_key).where(
            recipe.c.plan_id.in_(plans)
        )
    ):
        # What is in it is asked for below; an empty one would be passed over.
        known = RecipeFacts(row.id, row.cycle_id is None, row.option_key, ((0, 1),))
        facts[row.plan_id, row.cycle_id].append(known)
    lacking: dict[int, set[str]] = defaultdict(set)
    for held in session.execute(
        sa.select(item.c.recipe_id, variant.c.sku)
        .join(recipe, recipe.c.id == item.c.recipe_id)
        .join(variant, variant.c.id == item.c.variant_id)
        .where(
            recipe.c.plan_id.in_(plans),
            sa.or_(variant.c.hs_code == "", variant.c.origin_country == ""),
        )
    ):
        lacking[held.recipe_id].add(held.sku)
    return facts, lacking
