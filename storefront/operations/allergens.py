"""Which words for allergens the products of the shop carry, and which plans hold any."""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa

from storefront.models import Product, ProductVariant, Recipe, RecipeItem
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def words_of_products(session: AnySession) -> tuple[str, ...]:
    """Return every word for an allergen on a product that is not archived, by name.

    Not those of one plan alone: what its next recipes or a substitute hold is not written yet.
    """
    product = table_of(Product)
    texts = session.scalars(
        sa.select(_text(product)).where(product.c.archived_at.is_(None)).distinct()
    )
    return tuple(sorted({word for text in texts for word in json.loads(text or "[]")}))


def with_allergens(session: AnySession, plan_ids: Iterable[int]) -> set[int]:
    """Return which of the plans have a recipe, or a pool, with a product that carries any."""
    recipe, item = table_of(Recipe), table_of(RecipeItem)
    variant, product = table_of(ProductVariant), table_of(Product)
    rows = session.scalars(
        sa.select(recipe.c.plan_id)
        .join(item, item.c.recipe_id == recipe.c.id)
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(recipe.c.plan_id.in_(set(plan_ids)), _text(product).not_in(["[]", "null", ""]))
        .distinct()
    )
    return set(rows)


def _text(product: sa.Table) -> sa.ColumnElement[str]:
    return sa.cast(product.c.allergens, sa.Text)
