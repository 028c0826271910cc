"""What boxes weigh for delivery, and what the standing recipes weigh."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.models import (
    BoxWeight,
    Option,
    OptionGroup,
    Plan,
    ProductVariant,
    Recipe,
    RecipeItem,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


@dataclass(frozen=True, slots=True)
class WeightRow:
    """One box of a plan, or of one option of it; grams are None where nothing is known."""

    plan: str
    plan_name: str
    option_key: str
    option_name: str
    grams: int | None
    #: What the standing recipe of exactly this scope weighs today.
    recipe_grams: int | None


def weight_rows(session: AnySession) -> list[WeightRow]:
    """Return every box that may have a weight: plans that ship, each followed by its options."""
    plan, table = table_of(Plan), table_of(BoxWeight)
    kept = {(row.plan_id, row.option_key): row.grams for row in session.execute(sa.select(table))}
    recipes, options = _recipes(session), _options(session)
    found: list[WeightRow] = []
    for row in session.execute(
        sa.select(plan.c.id, plan.c.code, plan.c.name)
        .where(plan.c.ships.is_(True), plan.c.archived_at.is_(None))
        .order_by(plan.c.position, plan.c.id)
    ):
        for key, name in (("", ""), *options.get(row.id, ())):
            scope = (row.id, key)
            found.append(
                WeightRow(row.code, row.name, key, name, kept.get(scope), recipes.get(scope))
            )
    return found


def _options(session: AnySession) -> dict[int, list[tuple[str, str]]]:
    group, option = table_of(OptionGroup), table_of(Option)
    rows = session.execute(
        sa.select(
            group.c.plan_id, group.c.code, group.c.name, option.c.code.label("choice"),
            option.c.name.label("choice_name"),
        )
        .join(option, option.c.group_id == group.c.id)
        .where(option.c.archived_at.is_(None))
        .order_by(group.c.position, group.c.id, option.c.position, option.c.id)
    )  # fmt: skip
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for row in rows:
        found[row.plan_id].append((f"{row.code}={row.choice}", f"{row.name}: {row.choice_name}"))
    return found


def _recipes(session: AnySession) -> dict[tuple[int, str], int]:
    recipe, item, variant = table_of(Recipe), table_of(RecipeItem), table_of(ProductVariant)
    grams = sa.func.sum(item.c.quantity * variant.c.weight_grams)
    rows = session.execute(
        sa.select(recipe.c.plan_id, recipe.c.option_key, grams.label("grams"))
        .join(item, item.c.recipe_id == recipe.c.id)
        .join(variant, variant.c.id == item.c.variant_id)
        .where(recipe.c.cycle_id.is_(None))
        .group_by(recipe.c.plan_id, recipe.c.option_key)
    )
    return {(row.plan_id, row.option_key): int(row.grams) for row in rows}
