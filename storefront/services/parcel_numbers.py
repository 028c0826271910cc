"""Put right the carrier and the tracking number of a parcel that left."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState
from storefront.domain.errors import DomainError
from storefront.domain.tracking_rows import MOST_CARRIER, MOST_NUMBER, is_text
from storefront.models import Box, Plan, Shipment, Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime


class NotSent(DomainError):
    """There is no parcel: the box has not left."""

    code = "not_sent"


class BadNumber(DomainError):
    """A number or a carrier that is too long or no text."""

    code = "bad_number"


def correct_number(rt: Runtime, box_ref: str, carrier: str, number: str, who: Who) -> bool:
    """Give the parcel of a box another carrier or number; False where it has just these.

    Holds for every box in the parcel. While it is on its way its customer gets a mail with the
    new number, for the first mail leads to somebody else's parcel. Raises ``NotSent`` and
    ``BadNumber``.
    """
    if len(number) > MOST_NUMBER or len(carrier) > MOST_CARRIER or not is_text(number + carrier):
        raise BadNumber

    def write() -> bool:
        session, moment = rt.session, rt.moment()
        found = _parcel(session, box_ref)
        if found is None:
            session.rollback()
            raise NotSent(box=box_ref)
        before = {"carrier": found.carrier, "number": found.tracking_number}
        after = {"carrier": carrier, "number": number}
        if before == after:
            session.rollback()
            return False
        shipment = table_of(Shipment)
        session.execute(
            sa.update(shipment)
            .where(shipment.c.id == found.id)
            .values(carrier=carrier, tracking_number=number)
        )
        audit.write(session, who.id, "box.number", box_ref, before, after, moment, who.ip)
        if number:
            _tell(session, found.id, after, moment)
        session.commit()
        return True

    return retrying(rt.session, write)


def _parcel(session: AnySession, box_ref: str) -> AnyRow | None:
    box, shipment = table_of(Box), table_of(Shipment)
    return session.execute(
        sa.select(shipment.c.id, shipment.c.carrier, shipment.c.tracking_number)
        .join(box, box.c.shipment_id == shipment.c.id)
        .where(box.c.public_id == box_ref)
        .with_for_update(of=shipment)
    ).one_or_none()


def _tell(session: AnySession, parcel: int, now: dict[str, str], moment: Moment) -> None:
    """Mail the customer of the parcel once, with the plans of all boxes still on their way."""
    box, subscription, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            subscription.c.customer_id,
            subscription.c.public_id.label("subscription"),
            plan.c.name.label("plan"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .where(box.c.shipment_id == parcel, box.c.state == BoxState.SHIPPED)
        .where(subscription.c.customer_id.is_not(None))
        .order_by(box.c.id)
    ).all()
    if not rows:
        return
    first = rows[0]
    facts = {
        "subscription": first.subscription,
        "box": first.public_id,
        "plan": ", ".join(dict.fromkeys(row.plan for row in rows)),
        "carrier": now["carrier"],
        "tracking_number": now["number"],
    }
    key = f"mail:box_renumbered:{first.public_id}:{moment.now.isoformat()}"
    enqueue(session, [Message("mail", "box_renumbered", key, facts, first.customer_id)], moment.now)
