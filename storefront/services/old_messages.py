"""Delete what is of no use any more: applied messages of gateways, and who tried which card.

What the messages led to stays where it is.
Source: docs/decisions/0124-messages-from-gateways.md, 0247-declined-cards-are-counted.md.
"""

from __future__ import annotations

from collections.abc import Callable

from storefront.database import retrying
from storefront.operations import card_tries
from storefront.operations.gateway_events import delete_applied
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.runtime import Runtime

#: Rows deleted in one transaction, and in one run: nobody waits for a long one.
BATCH, AT_ONCE = 500, 10_000


def delete_old_messages(rt: Runtime) -> dict[str, int]:
    """Delete applied messages from before the last 90 days; the rest of many waits for later."""
    return {"deleted": _in_batches(rt, delete_applied)}


def delete_old_tries(rt: Runtime) -> dict[str, int]:
    """Delete who tried cards a week ago and before; the rest of many waits for later."""
    return {"card_tries": _in_batches(rt, card_tries.delete_old)}


def _in_batches(rt: Runtime, delete: Callable[[AnySession, Moment, int], int]) -> int:
    def batch() -> int:
        count = delete(rt.session, rt.moment(), BATCH)
        rt.session.commit()
        return count

    deleted = 0
    while deleted < AT_ONCE:
        count = retrying(rt.session, batch)
        deleted += count
        if count < BATCH:
            break
    return deleted
