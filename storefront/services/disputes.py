"""Decide what becomes of a disputed subscription: it goes on, or it ends."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.disputes import NothingToResume
from storefront.domain.events import Actor
from storefront.domain.gateways import DisputeState
from storefront.models import Invoice
from storefront.models.base import table_of
from storefront.operations import audit, disputes_over
from storefront.operations.audit import Who
from storefront.operations.subscriptions import decide_again
from storefront.runtime import Runtime


def resume_by_customer(rt: Runtime, customer_id: int, customer: str, dispute: str) -> list[str]:
    """Let the subscriptions of a dispute that was won go on, as their payer asked.

    Nothing that fell due meanwhile is charged. Returns the public ids of what goes on; raises
    ``LookupError`` for another's dispute, ``NothingToResume`` unless it was won and holds
    something still.
    """

    def work() -> list[str]:
        row = disputes_over.read_dispute(rt.session, dispute)
        payer = sa.select(table_of(Invoice).c.payer_id).where(
            table_of(Invoice).c.id == row.invoice_id
        )
        if rt.session.scalar(payer) != customer_id:
            rt.session.rollback()
            raise LookupError(dispute)
        if row.state != DisputeState.WON:
            rt.session.rollback()
            raise NothingToResume(dispute=dispute)
        done = disputes_over.resume(rt.session, row, Actor.CUSTOMER, customer, rt.moment())
        rt.session.commit()
        return done

    return decide_again(rt.session, work)


def resume(rt: Runtime, who: Who, dispute: str) -> list[str]:
    """Let the subscriptions of a dispute go on, whatever the bank says.

    Raises ``LookupError`` and ``NothingToResume``.
    """

    def work() -> list[str]:
        moment = rt.moment()
        row = disputes_over.read_dispute(rt.session, dispute)
        done = disputes_over.resume(rt.session, row, Actor.STAFF, who.public_id, moment)
        before, after = {"state": row.state.value}, {"resumed": done}
        audit.write(rt.session, who.id, "dispute.resumed", dispute, before, after, moment, who.ip)
        rt.session.commit()
        return done

    return decide_again(rt.session, work)


def end(rt: Runtime, who: Who, dispute: str) -> list[str]:
    """End the subscriptions of a dispute now; boxes the disputed payment brought are canceled.

    Raises ``LookupError`` and ``NothingToEnd``.
    """

    def work() -> list[str]:
        moment = rt.moment()
        row = disputes_over.read_dispute(rt.session, dispute)
        done = disputes_over.end(rt.session, row, who, rt.minimums, moment)
        before, after = {"state": row.state.value}, {"ended": done}
        audit.write(rt.session, who.id, "dispute.ended", dispute, before, after, moment, who.ip)
        rt.session.commit()
        return done

    return decide_again(rt.session, work)
