"""Change subscriptions, many at once, each only where nobody else changed it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from storefront.models import Subscription
from storefront.operations.bulk import update_many
from storefront.operations.keys import AnySession


class StaleSubscription(RuntimeError):
    """Rows changed between reading and writing; the whole batch must be read again."""


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """New column values for one subscription that was read at ``version``."""

    id: int
    version: int
    values: Mapping[str, Any]
    #: Fencing number of the claim, when a claim is written under.
    fence: int | None = None


def change_subscriptions(session: AnySession, changes: Sequence[SubscriptionChange]) -> None:
    """Write ``changes``, raising each ``version`` by one.

    Raises ``StaleSubscription`` when a row was changed since it was read or is claimed by
    another worker; nothing of the batch must then be committed.
    """
    shapes: dict[tuple[tuple[str, ...], bool], list[dict[str, Any]]] = {}
    for change in changes:
        shape = (tuple(sorted(change.values)), change.fence is not None)
        row = {**change.values, "id": change.id, "version": change.version}
        if change.fence is not None:
            row["fence"] = change.fence
        shapes.setdefault(shape, []).append(row)
    for (_, fenced), rows in shapes.items():
        where = ("id", "version", "fence") if fenced else ("id", "version")
        found = update_many(session, Subscription, rows, where=where, plus="version = version + 1")
        if found != len(rows):
            raise StaleSubscription(f"{len(rows) - found} of {len(rows)} rows are stale")
