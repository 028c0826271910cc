"""What the papers of a box say beside its contents, frozen with them at the lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.models import (
    Box,
    Customer,
    Gift,
    Product,
    ProductVariant,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


@dataclass(frozen=True, slots=True)
class PackingWords:
    """Names by variant; the customer's language and which box of how many, by box.

    Also what the giver of a box writes: with the first box of a gift that is packed.
    """

    names: dict[int, str]
    boxes: dict[int, tuple[str, int, int]]
    gifts: dict[int, dict[str, str]]

    def of(self, box_id: int, contents: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """Return what is frozen beside the ``contents`` (variant, pieces) of a box."""
        language, ordinal, count = self.boxes[box_id]
        words: dict[str, Any] = {
            "names": [self.names[variant] for variant, _pieces in contents],
            "language": language,
            "ordinal": ordinal,
            "of": count,
        }
        if box_id in self.gifts:
            words["gift"] = self.gifts[box_id]
        return words


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
    subscription, customer, gift = table_of(Subscription), table_of(Customer), table_of(Gift)
    before = box.alias()
    is_packed_before = sa.exists().where(
        before.c.subscription_id == box.c.subscription_id,
        before.c.id != box.c.id,
        before.c.locked_at.is_not(None),
    )
    found = session.execute(
        sa.select(
            box.c.id,
            sa.func.coalesce(customer.c.locale, "").label("language"),
            box.c.ordinal,
            period.c.box_count,
            gift.c.giver_name,
            gift.c.message,
        )
        .join(period, period.c.id == box.c.period_id)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
        .outerjoin(
            gift,
            sa.and_(gift.c.subscription_id == box.c.subscription_id, sa.not_(is_packed_before)),
        )
        .where(box.c.id.in_(box_ids))
    )
    boxes = found.all()
    return PackingWords(
        {row.id: row.name for row in names},
        {row.id: (row.language, row.ordinal, row.box_count) for row in boxes},
        {
            row.id: {"from": row.giver_name, "message": row.message}
            for row in boxes
            if row.giver_name is not None
        },
    )
