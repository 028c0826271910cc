"""What counts before the boxes of a subscription, where it goes on from something else.

Source: docs/decisions/0200-recipes-for-some-subscribers.md.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.models import Box, Gift
from storefront.models.base import table_of


def brought(subscription: sa.Table) -> sa.ColumnElement[int]:
    """Return how many boxes count before those of each ``subscription``.

    One for who was subscribed in another shop before, where nobody counted them, and those of
    the gift where its recipient goes on.
    """
    imported: sa.ColumnElement[int] = sa.case((subscription.c.imported_from != "", 1), else_=0)
    return imported + of_gift(subscription.c.checkout_id, subscription)


def of_gift(order: sa.ColumnElement[Any], source: sa.Table) -> sa.ColumnElement[int]:
    """Return how many boxes of a gift come before what its recipient ordered by ``order``.

    ``source`` is the table that the column ``order`` is of.
    """
    gift, box = table_of(Gift).alias("brought_gift"), table_of(Box).alias("brought_box")
    return (
        sa.select(sa.func.count())
        .select_from(gift)
        .join(box, box.c.subscription_id == gift.c.subscription_id)
        .where(
            gift.c.checkout_id == order,
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .correlate(source)
        .scalar_subquery()
    )
