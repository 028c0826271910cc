"""Keep that boxes came back until somebody decides, and tell their subscribers.

Source: docs/decisions/0201-boxes-that-came-back.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxReturn, Plan, Shipment, Subscription
from storefront.models.base import table_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue


def note_returns(
    session: AnySession, box_ids: Sequence[int], moment: Moment, *, is_told: bool = True
) -> None:
    """Put boxes that just came back on the list, and mail whom they were for, once per parcel.

    Without ``is_told`` nobody is mailed: they are told otherwise what becomes of the box.
    """
    if not box_ids:
        return
    table = table_of(BoxReturn)
    # One that arrived after all and came back again: what was settled was about the first time.
    session.execute(
        sa.update(table)
        .where(table.c.box_id.in_(box_ids))
        .values(came_back_at=moment.now, settled_at=None, settled_ref="")
    )
    insert_many(
        session,
        BoxReturn,
        [
            {"box_id": key, "came_back_at": moment.now, "settled_at": None, "settled_ref": ""}
            for key in sorted(box_ids)
        ],
        once_per="box_id",
    )
    if is_told:
        enqueue(session, _mails(_parcels(session, box_ids)), moment.now)


def settle(session: AnySession, box_ref: str, actor_ref: str, moment: Moment) -> bool:
    """Put a box that came back aside; False when it is not on the list."""
    table, box = table_of(BoxReturn), table_of(Box)
    key = (
        sa.select(box.c.id)
        .where(box.c.public_id == box_ref, box.c.state == BoxState.RETURNED)
        .scalar_subquery()
    )
    done: Any = session.execute(
        sa.update(table)
        .where(table.c.box_id == key, table.c.settled_at.is_(None))
        .values(settled_at=moment.now, settled_ref=actor_ref)
    )
    return bool(done.rowcount)


def _parcels(session: AnySession, box_ids: Sequence[int]) -> list[list[AnyRow]]:
    """Return the boxes by the parcel in which they left."""
    box, shipment = table_of(Box), table_of(Shipment)
    subscription, plan = table_of(Subscription), table_of(Plan)
    rows = session.execute(
        sa.select(
            box.c.public_id,
            subscription.c.public_id.label("subscription"),
            subscription.c.customer_id,
            plan.c.name.label("plan"),
            sa.func.coalesce(shipment.c.public_id, box.c.public_id).label("parcel"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(plan, plan.c.id == box.c.plan_id)
        .outerjoin(shipment, shipment.c.id == box.c.shipment_id)
        .where(box.c.id.in_(box_ids), subscription.c.customer_id.is_not(None))
        .order_by(box.c.id)
    )
    found: dict[tuple[str, int], list[AnyRow]] = {}
    for row in rows:
        found.setdefault((row.parcel, row.customer_id), []).append(row)
    return list(found.values())


def _mails(parcels: Sequence[Sequence[AnyRow]]) -> list[Message]:
    return [
        Message(
            "mail",
            "box_returned",
            f"mail:box_returned:{inside[0].parcel}:{inside[0].customer_id}",
            {
                "box": inside[0].public_id,
                "subscription": inside[0].subscription,
                "plan": ", ".join(dict.fromkeys(one.plan for one in inside)),
            },
            inside[0].customer_id,
        )
        for inside in parcels
    ]
