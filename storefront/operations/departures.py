"""Boxes of a batch leave: parcel, stock, revenue, mail and timeline in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.events import Actor, EventKind
from storefront.models import Box, FulfilmentBatch, Plan, Shipment, Subscription
from storefront.models.base import public_ids, table_of
from storefront.operations.earning import EarnedBox, earn_boxes
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.provider_parcels import plan_numbers
from storefront.operations.stock import ship as ship_stock
from storefront.operations.timeline import Entry, record

#: A parcel that leaves: the first box in it, and its number.
_Which = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Parcel:
    """How a batch leaves: with which carrier, and the tracking numbers known by box."""

    carrier: str
    tracking: Mapping[str, str]
    actor: Actor
    actor_ref: str
    #: Boxes whose customers are not mailed that they left: the next mail says more.
    untold: AbstractSet[int] = frozenset()


def boxes_to_ship(
    session: AnySession, batch_id: int, limit: int, only: Sequence[int] = ()
) -> list[AnyRow]:
    """Return up to ``limit`` exported boxes of the batch that have not left, locked for us.

    And, beyond that, those that leave in a parcel with them. ``only`` these, if any are named: one
    that somebody else holds is waited for, for whoever names it says it once. Otherwise it is
    passed over, and a later slice finds it.
    """
    box, batch = table_of(Box), table_of(FulfilmentBatch)
    # One worker at a time, so that a parcel is never cut between two.
    alone = sa.select(batch.c.id).where(batch.c.id == batch_id).with_for_update(key_share=True)
    session.execute(alone)
    these = (box.c.id.in_(only),) if only else ()
    statement = _leaving(batch_id).where(*these).with_for_update(of=box, skip_locked=not only)
    rows = list(session.execute(statement.limit(limit)))
    cut = {row.parcel_id for row in rows if row.parcel_id is not None}
    if cut:
        known = [row.id for row in rows]
        rows += session.execute(statement.where(box.c.parcel_id.in_(cut), box.c.id.not_in(known)))
    return rows


def _leaving(batch_id: int) -> sa.Select[Any]:
    box, subscription, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    return (
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
        .where(box.c.batch_id == batch_id, box.c.state == BoxState.EXPORTED)
        .order_by(box.c.id)
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
    gone = _gone(session, rows, parcels)
    new = [which for which in parcels if which not in gone]
    keys = gone | _new_shipments(session, new, parcel, moment)
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
    _announce(session, [parcels[which] for which in new], cycle_key, parcel, moment)
    _record(session, rows, cycle_key, parcel, moment)


def _parcels(rows: Sequence[AnyRow], tracking: Mapping[str, str]) -> dict[_Which, list[AnyRow]]:
    """Return the boxes that leave in one parcel."""
    found: dict[_Which, list[AnyRow]] = {}
    for row in rows:
        which = (row.parcel_id or row.id, tracking.get(row.public_id, ""))
        found.setdefault(which, []).append(row)
    return found


def _gone(
    session: AnySession, rows: Sequence[AnyRow], parcels: Iterable[_Which]
) -> dict[_Which, int]:
    """Return the shipments of parcels that left without one of their boxes.

    A box without a number of its own goes with the first of them.
    """
    shared = {row.parcel_id for row in rows if row.parcel_id is not None}
    if not shared:
        return {}
    box, shipment = table_of(Box), table_of(Shipment)
    left = session.execute(
        sa.select(box.c.parcel_id, shipment.c.tracking_number, shipment.c.id)
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(box.c.parcel_id.in_(shared))
        .order_by(shipment.c.id.desc())
    ).all()
    found = {(row.parcel_id, ""): row.id for row in left}
    found |= {(row.parcel_id, row.tracking_number): row.id for row in left}
    return {which: found[which] for which in parcels if which in found}


def _new_shipments(
    session: AnySession, parcels: Sequence[_Which], parcel: Parcel, moment: Moment
) -> dict[_Which, int]:
    if not parcels:
        return {}
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
    return keys


def _earned(row: AnyRow) -> EarnedBox:
    owner = row.payer_id or row.customer_id
    return EarnedBox(row.id, row.public_id, row.period_id, row.net_minor, row.currency, owner)


def _announce(
    session: AnySession,
    parcels: Sequence[Sequence[AnyRow]],
    cycle_key: str,
    parcel: Parcel,
    moment: Moment,
) -> None:
    """Mail the customer of each parcel once, with the plans of all boxes in it."""
    messages = [
        Message(
            "mail",
            "box_shipped",
            f"mail:box_shipped:{row.public_id}",
            {
                "subscription": row.subscription,
                **_facts(row, cycle_key, parcel),
                "plan": ", ".join(dict.fromkeys(one.plan for one in inside)),
            },
            row.customer_id,
        )
        for inside in parcels
        for row in inside[:1]
        if row.customer_id is not None and not {one.id for one in inside} <= parcel.untold
    ]
    enqueue(session, messages, moment.now)


def _facts(row: AnyRow, cycle_key: str, parcel: Parcel) -> dict[str, str]:
    return {
        "box": row.public_id,
        "plan": row.plan,
        "cycle": cycle_key,
        "carrier": parcel.carrier,
        "tracking_number": parcel.tracking.get(row.public_id, ""),
    }


def _record(
    session: AnySession, rows: Sequence[AnyRow], cycle_key: str, parcel: Parcel, moment: Moment
) -> None:
    entries = [
        Entry(
            row.subscription_id,
            row.subscription,
            EventKind.BOX_SHIPPED,
            parcel.actor,
            parcel.actor_ref,
            _facts(row, cycle_key, parcel),
            ref=row.public_id,
        )
        for row in rows
    ]
    record(session, entries, moment)
