"""The boxes of a cycle by all that decides what they hold."""

from __future__ import annotations

import json
from typing import NamedTuple

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.recipe_scopes import BoxFacts, Tells
from storefront.models import Box, Subscription
from storefront.models.base import table_of
from storefront.operations.box_facts import columns_of


class Alike(NamedTuple):
    """Boxes of a cycle that are packed alike."""

    plan_id: int
    options: str
    undecided: bool
    country: str
    number: int

    @property
    def facts(self) -> BoxFacts:
        """What decides by which recipe they are packed."""
        return BoxFacts(json.loads(self.options), self.country, self.number)


#: To boxes, and to boxes times quantity.
Demand = dict[Alike, tuple[int, int]]


def demand_of(session: AnySession, cycle_id: int, tells: Tells) -> Demand:
    """Return how many boxes the cycle packs by a recipe, of each kind that recipes tell apart."""
    box, subscription = table_of(Box), table_of(Subscription)
    whole = box.join(subscription, subscription.c.id == box.c.subscription_id)
    each = (
        sa.select(
            box.c.plan_id,
            sa.cast(box.c.options, sa.Text).label("options"),
            box.c.state.in_((BoxState.PLANNED, BoxState.HELD)).label("undecided"),
            *columns_of(box, subscription, tells),
            box.c.quantity,
        )
        .select_from(whole if tells.any else box)
        .where(
            box.c.cycle_id == cycle_id,
            box.c.state != BoxState.CANCELED,
            # It holds what the box held that it replaces.
            box.c.kind != BoxKind.REPLACEMENT,
        )
        .subquery()
    )
    kinds = [each.c[name] for name in Alike._fields]
    boxes, sold = sa.func.count().label("boxes"), sa.func.sum(each.c.quantity).label("sold")
    rows = session.execute(sa.select(*kinds, boxes, sold).group_by(*kinds))
    return {
        Alike(row.plan_id, row.options or "{}", bool(row.undecided), row.country, row.number): (
            row.boxes,
            int(row.sold),
        )
        for row in rows
    }
