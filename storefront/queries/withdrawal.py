"""Products that nobody may withdraw from, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.declarations import Exclusion
from storefront.models import Box, BoxItem, Product, ProductVariant
from storefront.models.base import table_of

#: Name of a product, and why nobody may withdraw from it.
Excluded = tuple[str, str]


def exclusions(session: AnySession) -> tuple[Exclusion, ...]:
    """Return the reasons that products of the shop have, in the order of the law."""
    product = table_of(Product)
    rows = session.scalars(
        sa.select(product.c.no_withdrawal)
        .where(product.c.no_withdrawal != "", product.c.archived_at.is_(None))
        .distinct()
    )
    found = set(rows)
    return tuple(reason for reason in Exclusion if reason.value in found)


def excluded_in(session: AnySession, ids: Sequence[int]) -> dict[int, tuple[Excluded, ...]]:
    """Return the products that left in boxes of these subscriptions and cannot be given back."""
    box, item = table_of(Box), table_of(BoxItem)
    variant, product = table_of(ProductVariant), table_of(Product)
    if not ids:
        return {}
    rows = session.execute(
        sa.select(box.c.subscription_id, product.c.name, product.c.no_withdrawal)
        .join(item, item.c.box_id == box.c.id)
        .join(variant, variant.c.id == item.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .where(
            box.c.subscription_id.in_(ids),
            box.c.shipment_id.is_not(None),
            product.c.no_withdrawal != "",
        )
        .distinct()
        .order_by(product.c.name)
    )
    found: dict[int, list[Excluded]] = defaultdict(list)
    for row in rows:
        found[row.subscription_id].append((row.name, row.no_withdrawal))
    return {key: tuple(each) for key, each in found.items()}
