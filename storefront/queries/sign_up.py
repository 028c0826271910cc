"""The gateways as the merchant opens and closes them for new methods, with how each stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import GatewayState, PaymentMethod
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class GatewayStanding:
    """One gateway account: how many methods it holds, and whether it is sent to."""

    gateway: str
    account: str
    #: Methods that can be charged there.
    methods: int
    last_event_at: datetime | None
    #: Nothing is sent to it since then.
    stopped_at: datetime | None
    stopped_reason: str


def standings(
    session: AnySession, accounts: Sequence[tuple[str, str]]
) -> dict[str, GatewayStanding]:
    """Return how each of ``accounts`` (name, account) stands, by name; two statements."""
    state, method = table_of(GatewayState), table_of(PaymentMethod)
    states = {(row.gateway, row.account): row for row in session.execute(sa.select(state))}
    counted = session.execute(
        sa.select(method.c.gateway, method.c.account, sa.func.count().label("many"))
        .where(method.c.detached_at.is_(None), method.c.refused_at.is_(None))
        .group_by(method.c.gateway, method.c.account)
    )
    counts = {(row.gateway, row.account): int(row.many) for row in counted}
    found = {}
    for name, account in accounts:
        row = states.get((name, account))
        found[name] = GatewayStanding(
            name,
            account,
            counts.get((name, account), 0),
            row.last_event_at if row else None,
            row.stopped_at if row else None,
            row.stopped_reason if row else "",
        )
    return found
