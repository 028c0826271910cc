"""Delete messages of gateways that were applied long ago; what they led to stays where it is.

Source: docs/decisions/0124-messages-from-gateways.md.
"""

from __future__ import annotations

from storefront.database import retrying
from storefront.operations.gateway_events import delete_applied
from storefront.runtime import Runtime

#: Rows deleted in one transaction, and in one run: nobody waits for a long one.
BATCH, AT_ONCE = 500, 10_000


def delete_old_messages(rt: Runtime) -> dict[str, int]:
    """Delete applied messages from before the last 90 days; the rest of many waits for later."""

    def batch() -> int:
        count = delete_applied(rt.session, rt.moment(), BATCH)
        rt.session.commit()
        return count

    deleted = 0
    while deleted < AT_ONCE:
        count = retrying(rt.session, batch)
        deleted += count
        if count < BATCH:
            break
    return {"deleted": deleted}
