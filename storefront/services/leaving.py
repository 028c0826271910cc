"""Keep why somebody left, which is asked after the cancellation and never needed for it.

Source: docs/decisions/0212-why-and-what-instead.md.
"""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.leaving import LONGEST_NOTE, REASONS
from storefront.domain.lifecycle import EndReason, SubscriptionState
from storefront.domain.privacy import mask_card_numbers
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations.leaving import Reason, reasons_of
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime


class NotFound(DomainError):
    """No such subscription of this customer."""

    code = "not_found"


def say_why(rt: Runtime, customer_id: int, subscription: str, why: str, note: str) -> bool:
    """Keep why a cancelled subscription was left; False where there is nothing (new) to keep.

    ``why`` is a code of ``domain.leaving.REASONS``, another is as good as none; ``note`` is in
    their words. Raises ``NotFound``.
    """
    said = Reason(
        why if why in REASONS else "", mask_card_numbers(note.strip())[:LONGEST_NOTE].strip()
    )

    def write() -> bool:
        table = table_of(Subscription)
        statement = sa.select(
            table.c.id, table.c.state, table.c.cancel_on, table.c.end_reason
        ).where(table.c.public_id == subscription, table.c.customer_id == customer_id)
        if rt.session.get_bind().dialect.name == "postgresql":
            statement = statement.with_for_update()
        row = rt.session.execute(statement).one_or_none()
        if row is None:
            rt.session.rollback()
            raise NotFound(subscription=subscription)
        over = row.state == SubscriptionState.CANCELED and row.end_reason == EndReason.VOLUNTARY
        known = reasons_of(rt.session, [subscription]).get(subscription)
        if not (row.cancel_on or over) or said in (Reason("", ""), known):
            rt.session.rollback()
            return False
        data = {"why": said.why, "note": said.note}
        kind = EventKind.LEAVING_SAID
        record(
            rt.session,
            [Entry(row.id, subscription, kind, Actor.CUSTOMER, data=data)],
            rt.moment(),
        )
        rt.session.commit()
        return True

    return retrying(rt.session, write)
