"""Boxes of a batch leave: parcel, stock, revenue, mail and timeline in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.events import Actor, EventKind
from storefront.models import Box, Plan, Shipment, Subscription
from storefront.models.base import public_ids, table_of
from storefront.operations.earning import EarnedBox, earn_boxes
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.provider_parcels import plan_numbers
from storefront.operations.stock import ship as ship_stock
from storefront.operations.timeline import Entry, record


@dataclass(frozen=True, slots=True)
class Parcel:
    """How a batch leaves: with which carrier, and the tracking numbers known by box."""

    carrier: str
    tracking: Mapping[str, str]
    actor: Actor
    actor_ref: str


def boxes_to_ship(
    session: AnySession, batch_id: int, limit: int, only: Sequence[int] = ()
) -> list[AnyRow]:
    """Return up to ``limit`` exported boxes of the batch that have not left, locked for us.

    ``only`` these, if any are named: one that somebody else holds is waited for, for whoever names
    it says it once. Otherwise it is passed over, and a later slice finds it.
    """
    box, subscription, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    these = (box.c.id.in_(only),) if only else ()
    return list(
        session.execute(
            sa.select(
                box.c.id,
                box.c.public_id,
                box.c.subscription_id,
                box.c.period_id,
                box.c.cycle_id,
                box.c.parcel_id,
                box.c.kind,
                box.c.net_minor,
                box.c.currency,
                subscription.c.public_id.label("subscription"),
                subscription.c.customer_id,
                subscription.c.payer_id,
                plan.c.name.label("plan"),
            )
            .join(subscription, subscription.c.id == box.c.subscription_id)
            .join(plan, plan.c.id == box.c.plan_id)
            .where(box.c.batch_id == batch_id, box.c.state == BoxState.EXPORTED, *these)
            .order_by(box.c.id)
            .limit(limit)
            .with_for_update(of=box, skip_locked=not only)
        )
    )


def ship_boxes(
    session: AnySession, rows: Sequence[AnyRow], cycle_key: str, parcel: Parcel, moment: Moment
) -> None:
    """Let the boxes of ``boxes_to_ship`` leave: parcel, stock, revenue, mail and timeline.

    A box is worth its revenue when it leaves: its share moves from deferred revenue.
    """
    if not rows:
        return
    parcels = _parcels(rows, parcel.tracking)
    keys = dict(zip(parcels, reserve(session, Shipment, len(parcels)), strict=True))
    session.execute(
        sa.insert(table_of(Shipment)),
        [
            {
                "id": keys[which],
                "public_id": public,
                "carrier": parcel.carrier,
                "tracking_number": which[1],
                "shipped_at": moment.now,
            }
            for which, public in zip(parcels, public_ids("shp", len(parcels)), strict=True)
        ],
    )
    box = table_of(Box)
    done = session.connection().execute(
        sa.update(box)
        .where(box.c.id == sa.bindparam("key"), box.c.state == BoxState.EXPORTED)
        .values(state=BoxState.SHIPPED, shipment_id=sa.bindparam("new_shipment")),
        [
            {"key": row.id, "new_shipment": keys[which]}
            for which, inside in parcels.items()
            for row in inside
        ],
    )
    if done.rowcount != len(rows):
        raise RuntimeError(f"{len(rows) - done.rowcount} boxes changed while they were shipped")
    ship_stock(session, [row.id for row in rows], moment.now, parcel.actor_ref or "worker")
    # One that replaces another was paid for, and earned, with the first.
    paid = [row for row in rows if row.kind is not BoxKind.REPLACEMENT]
    earn_boxes(session, [_earned(row) for row in paid], moment)
    numbered = [row.id for row in rows if parcel.tracking.get(row.public_id)]
    plan_numbers(session, numbered, moment)
    _announce(session, rows, cycle_key, parcel, moment)


def _parcels(
    rows: Sequence[AnyRow], tracking: Mapping[str, str]
) -> dict[tuple[int, str], list[AnyRow]]:
    """Return the boxes that leave in one parcel, by their first box and the parcel's number."""
    found: dict[tuple[int, str], list[AnyRow]] = {}
    for row in rows:
        which = (row.parcel_id or row.id, tracking.get(row.public_id, ""))
        found.setdefault(which, []).append(row)
    return found


def _earned(row: AnyRow) -> EarnedBox:
    owner = row.payer_id or row.customer_id
    return EarnedBox(row.id, row.public_id, row.period_id, row.net_minor, row.currency, owner)


def _announce(
    session: AnySession, rows: Sequence[AnyRow], cycle_key: str, parcel: Parcel, moment: Moment
) -> None:
    data = {
        row.id: {
            "box": row.public_id,
            "plan": row.plan,
            "cycle": cycle_key,
            "carrier": parcel.carrier,
            "tracking_number": parcel.tracking.get(row.public_id, ""),
        }
        for row in rows
    }
    messages = [
        Message(
            "mail",
            "box_shipped",
            f"mail:box_shipped:{row.public_id}",
            {
                "subscription": row.subscription,
                **data[row.id],
                "plan": ", ".join(dict.fromkeys(one.plan for one in inside)),
            },
            row.customer_id,
        )
        for inside in _parcels(rows, parcel.tracking).values()
        for row in inside[:1]
        if row.customer_id is not None
    ]
    enqueue(session, messages, moment.now)
    entries = [
        Entry(
            row.subscription_id,
            row.subscription,
            EventKind.BOX_SHIPPED,
            parcel.actor,
            parcel.actor_ref,
            data[row.id],
            ref=row.public_id,
        )
        for row in rows
    ]
    record(session, entries, moment)
