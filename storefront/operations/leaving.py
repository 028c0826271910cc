"""Why subscribers left, as they said it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.events import EventKind
from storefront.domain.leaving import REASONS
from storefront.models import Subscription, SubscriptionEvent
from storefront.models.base import table_of
from storefront.operations.keys import AnySession

_KINDS = (
    EventKind.SUBSCRIPTION_CANCEL_PLANNED,
    EventKind.SUBSCRIPTION_CANCEL_UNDONE,
    EventKind.LEAVING_SAID,
)


@dataclass(frozen=True, slots=True)
class Reason:
    """What somebody said about leaving; either may be empty."""

    why: str
    note: str


def reasons_of(session: AnySession, subscriptions: Sequence[str]) -> dict[str, Reason]:
    """Return why each of these subscriptions was cancelled, where its customer said so.

    ``subscriptions`` are public ids. One statement. A cancellation that was taken back leaves
    no reason.
    """
    if not subscriptions:
        return {}
    table, event = table_of(Subscription), table_of(SubscriptionEvent)
    rows = session.execute(
        sa.select(table.c.public_id, event.c.kind, event.c.data)
        .join(table, table.c.id == event.c.subscription_id)
        .where(table.c.public_id.in_(subscriptions), event.c.kind.in_(_KINDS))
        .order_by(event.c.id)
    )
    found: dict[str, Reason] = {}
    for row in rows:
        why, note = str(row.data.get("why", "")), str(row.data.get("note", ""))
        if row.kind == EventKind.SUBSCRIPTION_CANCEL_UNDONE:
            found.pop(row.public_id, None)
        elif why in REASONS or (note and row.kind == EventKind.LEAVING_SAID):
            found[row.public_id] = Reason(why, note)
    return found
