"""Note which parcels arrived. Somebody says so; nothing is assumed from the days gone by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.events import Actor, EventKind
from storefront.models import Box, Shipment, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.provider_parcels import plan_numbers
from storefront.operations.returns import note_returns
from storefront.operations.timeline import Entry, record


@dataclass(frozen=True, slots=True)
class Said:
    """Who says where parcels are, and when it happened where they say that, by box."""

    actor: Actor
    actor_ref: str
    at: Mapping[int, datetime] = field(default_factory=dict)


def named_boxes(session: AnySession, batch_id: int) -> dict[str, set[int]]:
    """Return the keys of a batch's boxes that left, by box id and by tracking number.

    Either stands for all boxes that left in that parcel.
    """
    box, shipment = table_of(Box), table_of(Shipment)
    rows = session.execute(
        sa.select(box.c.id, box.c.public_id, box.c.shipment_id, shipment.c.tracking_number)
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(box.c.batch_id == batch_id)
    ).all()
    inside: dict[int, set[int]] = defaultdict(set)
    found: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        inside[row.shipment_id].add(row.id)
        if row.tracking_number:
            found[row.tracking_number].add(row.id)
    return found | {row.public_id: inside[row.shipment_id] for row in rows}


def boxes_on_their_way(
    session: AnySession,
    batch_id: int,
    only: Sequence[int],
    limit: int,
    states: Sequence[BoxState] = (BoxState.SHIPPED,),
) -> list[AnyRow]:
    """Return up to ``limit`` shipped boxes of the batch, locked for us; ``only`` these, if any.

    Or those in other ``states`` of a parcel that left. One of ``only`` that somebody else holds is
    waited for; otherwise it is passed over.
    """
    box, subscription = table_of(Box), table_of(Subscription)
    shipment = table_of(Shipment)
    statement = (
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.subscription_id,
            subscription.c.public_id.label("subscription"),
            shipment.c.tracking_number,
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(box.c.batch_id == batch_id, box.c.state.in_(states))
        .order_by(box.c.id)
        .limit(limit)
        .with_for_update(of=box, skip_locked=not only)
    )
    if only:
        statement = statement.where(box.c.id.in_(only))
    return list(session.execute(statement))


def deliver_boxes(
    session: AnySession, rows: Sequence[AnyRow], cycle_key: str, moment: Moment, said: Said
) -> None:
    """Move the boxes of ``boxes_on_their_way`` to delivered and tell their timelines."""
    _move(session, rows, BoxState.DELIVERED, EventKind.BOX_DELIVERED, cycle_key, moment, said)


def return_boxes(
    session: AnySession, rows: Sequence[AnyRow], cycle_key: str, moment: Moment, said: Said
) -> None:
    """Note that boxes came back, and mail their subscribers. What is in them is not put back
    into the stock by itself: only who opens the parcel knows whether it can be sold again.
    """
    _move(session, rows, BoxState.RETURNED, EventKind.BOX_RETURNED, cycle_key, moment, said)
    note_returns(session, [row.id for row in rows], moment)


def note_numbers(
    session: AnySession, numbers: Mapping[int, tuple[str, str]], moment: Moment
) -> int:
    """Give parcels that left without a number theirs; returns how many got one.

    ``numbers`` maps the key of a shipment to carrier and number; a known carrier stays.
    """
    shipment, done = table_of(Shipment), 0
    for key, (carrier, number) in sorted(numbers.items()):
        changed: Any = session.execute(
            sa.update(shipment)
            .where(shipment.c.id == key, shipment.c.tracking_number == "")
            .values(
                tracking_number=number,
                carrier=sa.case((shipment.c.carrier == "", carrier), else_=shipment.c.carrier),
            )
        )
        done += changed.rowcount
    box = table_of(Box)
    boxes = session.scalars(sa.select(box.c.id).where(box.c.shipment_id.in_(numbers))).all()
    plan_numbers(session, boxes, moment)
    return done


def _move(
    session: AnySession,
    rows: Sequence[AnyRow],
    to: BoxState,
    kind: EventKind,
    cycle_key: str,
    moment: Moment,
    said: Said,
) -> None:
    if not rows:
        return
    box = table_of(Box)
    done: Any = session.execute(
        sa.update(box)
        .where(
            box.c.id.in_([row.id for row in rows]),
            box.c.state.in_((BoxState.SHIPPED, BoxState.DELIVERED)),
        )
        .values(state=to)
    )
    if done.rowcount != len(rows):
        raise RuntimeError(f"{len(rows) - done.rowcount} boxes changed while they were {to.value}")
    entries = [
        Entry(
            row.subscription_id,
            row.subscription,
            kind,
            said.actor,
            said.actor_ref,
            {
                "box": row.public_id,
                "cycle": cycle_key,
                "tracking_number": row.tracking_number,
                **({"said_at": said.at[row.id].isoformat()} if row.id in said.at else {}),
            },
            ref=row.public_id,
        )
        for row in rows
    ]
    record(session, entries, moment)
