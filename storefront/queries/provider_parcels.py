"""Boxes that shipping providers have, what they refused, and how their messages fare; read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.models import Box, FulfilmentBatch, ParcelEvent, ProviderParcel
from storefront.models.base import table_of

#: How many boxes a page lists; the counts say how many there are.
LISTED = 100


@dataclass(frozen=True, slots=True)
class HandedBox:
    """A box that a provider refused, or has not answered about."""

    box: str
    name: str
    state: str
    error: str
    try_at: datetime | None


@dataclass(frozen=True, slots=True)
class HandedBatch:
    """How far the boxes of a batch are at their provider."""

    provider: str
    counts: dict[str, int]
    #: Those that are not there, the refused ones first.
    open: tuple[HandedBox, ...]

    @property
    def taken(self) -> int:
        return self.counts.get("taken", 0) + self.counts.get("over", 0)

    @property
    def refused(self) -> int:
        return self.counts.get("refused", 0)

    @property
    def waiting(self) -> int:
        return self.counts.get("planned", 0) + self.counts.get("asked", 0)


def handed_batch(session: AnySession, batch_ref: str) -> HandedBatch | None:
    """Return how a batch stands at its provider; None if none of its boxes is for one."""
    table, box, batch = table_of(ProviderParcel), table_of(Box), table_of(FulfilmentBatch)
    mine = (
        sa.select(table.c.provider, table.c.state, sa.func.count().label("boxes"))
        .join(box, box.c.id == table.c.box_id)
        .join(batch, batch.c.id == box.c.batch_id)
        .where(batch.c.public_id == batch_ref)
        .group_by(table.c.provider, table.c.state)
    )
    sums = session.execute(mine).all()
    if not sums:
        return None
    rows = session.execute(
        sa.select(box.c.public_id, box.c.ship_to, table.c.state, table.c.error, table.c.try_at)
        .join(box, box.c.id == table.c.box_id)
        .join(batch, batch.c.id == box.c.batch_id)
        .where(batch.c.public_id == batch_ref, table.c.state.in_(("planned", "asked", "refused")))
        .order_by(table.c.state != "refused", table.c.id)
        .limit(LISTED)
    )
    listed = [
        HandedBox(
            row.public_id,
            str((row.ship_to or {}).get("name") or ""),
            row.state,
            row.error,
            row.try_at,
        )
        for row in rows
    ]
    counts: dict[str, int] = {}
    for row in sums:
        counts[row.state] = counts.get(row.state, 0) + row.boxes
    return HandedBatch(sums[0].provider, counts, tuple(listed))


@dataclass(frozen=True, slots=True)
class ProviderState:
    """Of one provider: its last message, and those about parcels nobody knows or that failed."""

    last_at: datetime | None
    orphans: int
    failed: int


def provider_state(session: AnySession, provider: str) -> ProviderState:
    """Return how the messages of a provider fare."""
    table = table_of(ParcelEvent)
    row = session.execute(
        sa.select(
            sa.func.max(table.c.received_at).label("last"),
            sa.func.count(sa.case((table.c.state == "orphan", 1))).label("orphans"),
            sa.func.count(sa.case((table.c.state == "failed", 1))).label("failed"),
        ).where(table.c.provider == provider)
    ).one()
    return ProviderState(row.last, row.orphans, row.failed)
