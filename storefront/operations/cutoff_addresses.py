"""Which address a box has a right to: the one its subscription had when the cut-off was over.

Source: invariant F9 and docs/decisions/0112-address-until-the-cut-off.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import timedelta

import sqlalchemy as sa

from storefront.domain.events import EventKind
from storefront.models import Address, BoxCycle, SubscriptionEvent
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment


def addresses_since_cutoff(
    session: AnySession, cycle_id: int, subscription_ids: Collection[int], moment: Moment
) -> Mapping[int, tuple[int, ...]]:
    """Return, by subscription, the addresses it had since the cycle's cut-off, the first first.

    Only subscriptions whose address was changed since then are named; two statements, three
    where there are any.
    """
    cycle, event, address = table_of(BoxCycle), table_of(SubscriptionEvent), table_of(Address)
    cutoff_on = session.execute(
        sa.select(cycle.c.cutoff_on).where(cycle.c.id == cycle_id)
    ).scalar_one()
    rows = session.execute(
        sa.select(event.c.subscription_id, event.c.data)
        .where(
            event.c.subscription_id.in_(subscription_ids),
            event.c.kind == EventKind.ADDRESS_CHANGED,
            event.c.at >= moment.start_of(cutoff_on + timedelta(days=1)),
        )
        .order_by(event.c.id)
    ).all()
    named: dict[int, list[str]] = defaultdict(list)
    for row in rows:
        # The first change says what was there before; each says what came.
        before = [row.data.get("was", "")] if row.subscription_id not in named else []
        named[row.subscription_id] += [*before, row.data["address"]]
    if not named:
        return {}
    refs = {ref for each in named.values() for ref in each}
    found = session.execute(
        sa.select(address.c.public_id, address.c.id).where(address.c.public_id.in_(refs))
    )
    keys = {row.public_id: row.id for row in found}
    return {
        subscription: tuple(keys[ref] for ref in each if ref in keys)
        for subscription, each in named.items()
    }
