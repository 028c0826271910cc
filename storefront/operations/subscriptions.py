"""Change subscriptions, many at once, each only where nobody else changed it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from storefront.database import retrying
from storefront.models import Subscription
from storefront.operations.bulk import update_many
from storefront.operations.keys import AnySession

T = TypeVar("T")
#: How often a change is decided before the person who asked for it is told to try later.
TRIES = 4


class StaleSubscription(RuntimeError):
    """Rows changed between reading and writing; the whole batch must be read again."""


class SubscriptionChange(NamedTuple):
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


def decide_again(
    session: AnySession, change: Callable[[], T], *also: type[Exception], tries: int = TRIES
) -> T:
    """Run ``change`` anew when somebody was faster: it decides again on what is true then.

    ``change`` is one whole transaction with its commit, as for ``retrying``. ``also`` names
    further errors that mean the same as ``StaleSubscription``, which is raised (or they are)
    after the last of ``tries``.
    """
    stale: tuple[type[Exception], ...] = (StaleSubscription, *also)
    for left in range(tries, 0, -1):
        try:
            return retrying(session, change)
        except stale:
            if left == 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")
