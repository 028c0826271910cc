"""Which words for allergens the products of the shop carry, and which plans hold any."""

from __future__ import annotations

import json
from collections.abc import Iterable

import sqlalchemy as sa

from storefront.models import (
    AllergyAnswer,
    Product,
    ProductVariant,
    Recipe,
    RecipeItem,
    Subscription,
)
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


def said_last(session: AnySession, customer_id: int) -> tuple[str, ...]:
    """Return what a customer said last not to tolerate, of whichever of their subscriptions."""
    answer, subscription = table_of(AllergyAnswer), table_of(Subscription)
    words = session.scalar(
        sa.select(answer.c.allergens)
        .join(subscription, subscription.c.id == answer.c.subscription_id)
        .where(subscription.c.customer_id == customer_id)
        .order_by(answer.c.answered_at.desc(), answer.c.id.desc())
        .limit(1)
    )
    return tuple(words or ())


def _text(product: sa.Table) -> sa.ColumnElement[str]:
    return sa.cast(product.c.allergens, sa.Text)
