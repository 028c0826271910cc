"""What the papers of a box say beside its contents, frozen with them at the lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.models import (
    Box,
    Customer,
    Product,
    ProductVariant,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


@dataclass(frozen=True, slots=True)
class PackingWords:
    """Names by variant; the customer's language and which box of how many, by box."""

    names: dict[int, str]
    boxes: dict[int, tuple[str, int, int]]

    def of(self, box_id: int, contents: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """Return what is frozen beside the ``contents`` (variant, pieces) of a box."""
        language, ordinal, count = self.boxes[box_id]
        return {
            "names": [self.names[variant] for variant, _pieces in contents],
            "language": language,
            "ordinal": ordinal,
            "of": count,
        }


def packing_words(
    session: AnySession, box_ids: Sequence[int], variant_ids: Iterable[int]
) -> PackingWords:
    """Return the words of these boxes; two statements for any number of them."""
    variant, product = table_of(ProductVariant), table_of(Product)
    names = session.execute(
        sa.select(variant.c.id, sa.func.trim(product.c.name + " " + variant.c.name).label("name"))
        .join(product, product.c.id == variant.c.product_id)
        .where(variant.c.id.in_(set(variant_ids)))
    )
    box, period = table_of(Box), table_of(SubscriptionPeriod)
    subscription, customer = table_of(Subscription), table_of(Customer)
    boxes = session.execute(
        sa.select(
            box.c.id,
            sa.func.coalesce(customer.c.locale, "").label("language"),
            box.c.ordinal,
            period.c.box_count,
        )
        .join(period, period.c.id == box.c.period_id)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
        .where(box.c.id.in_(box_ids))
    )
    return PackingWords(
        {row.id: row.name for row in names},
        {row.id: (row.language, row.ordinal, row.box_count) for row in boxes},
    )
