"""What follows when another method pays: nothing that waits with the old one is left to succeed.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from collections.abc import Sequence

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.gateways import CancelAnswer
from storefront.operations.method_choice import chase_now
from storefront.operations.replanning import waiting_for_customer
from storefront.operations.retries import abandon_actions
from storefront.runtime import Runtime


def stop_waiting(rt: Runtime, subscription_ids: Sequence[int]) -> int:
    """Stop charges that wait for their customer with a method that pays no more.

    Each is cancelled at its gateway first; only what can never succeed any more is given up and
    tried with the method that pays now, once, by the worker's next chase. Call it with nothing
    uncommitted. Returns how many were given up.
    """
    if not subscription_ids:
        return 0
    with reading():
        rows = waiting_for_customer(rt.session, subscription_ids)
        rt.session.rollback()
    stopped = [row.id for row in rows if charges.cancel(rt, row) is CancelAnswer.CANCELLED]
    if stopped:

        def write() -> None:
            abandon_actions(rt.session, stopped, rt.moment())
            chase_now(rt.session, subscription_ids, rt.moment())
            rt.session.commit()

        retrying(rt.session, write)
    return len(stopped)
