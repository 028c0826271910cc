"""What subscribers of a plan got in the box before, for who writes the recipe of the next."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxKind, BoxState
from storefront.models import Box, BoxCycle, BoxItem, ProductVariant
from storefront.models.base import table_of

_SENT = (BoxState.LOCKED, BoxState.EXPORTED, BoxState.SHIPPED, BoxState.DELIVERED)


def sent_before(session: AnySession, plan_id: int, ship_from: date) -> dict[str, int]:
    """Return how many boxes of the plan's last cycle before ``ship_from`` held each variant.

    By public id; without add-ons, which their subscribers asked for, and what was sent again.
    """
    box, cycle = table_of(Box), table_of(BoxCycle)
    item, variant = table_of(BoxItem), table_of(ProductVariant)
    packed = (
        box.c.plan_id == plan_id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state.in_(_SENT),
    )
    last = (
        sa.select(cycle.c.id)
        .join(box, box.c.cycle_id == cycle.c.id)
        .where(*packed, cycle.c.ship_from < ship_from)
        .order_by(cycle.c.ship_from.desc(), cycle.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(variant.c.public_id, sa.func.count().label("boxes"))
        .select_from(item)
        .join(box, box.c.id == item.c.box_id)
        .join(variant, variant.c.id == item.c.variant_id)
        .where(*packed, box.c.cycle_id == last, item.c.origin != "addon")
        .group_by(variant.c.public_id)
    )
    return {row.public_id: int(row.boxes) for row in rows}
