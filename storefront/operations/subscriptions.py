"""Change subscriptions, many at once, each only where nobody else changed it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.models import Subscription
from storefront.models.base import table_of
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
    table = table_of(Subscription)
    shapes: dict[tuple[tuple[str, ...], bool], list[dict[str, Any]]] = {}
    for change in changes:
        shape = (tuple(sorted(change.values)), change.fence is not None)
        row = {f"new_{name}": value for name, value in change.values.items()}
        row |= {"key": change.id, "seen": change.version, "fence_seen": change.fence}
        shapes.setdefault(shape, []).append(row)
    for (names, fenced), rows in shapes.items():
        statement = sa.update(table).where(
            table.c.id == sa.bindparam("key"), table.c.version == sa.bindparam("seen")
        )
        if fenced:
            statement = statement.where(table.c.fence == sa.bindparam("fence_seen"))
        else:
            for row in rows:
                del row["fence_seen"]
        values: dict[str, Any] = {
            name: sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in names
        }
        result = session.connection().execute(
            statement.values(**values, version=table.c.version + 1), rows
        )
        if result.rowcount != len(rows):
            raise StaleSubscription(f"{len(rows) - result.rowcount} of {len(rows)} rows are stale")
