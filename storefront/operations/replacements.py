"""Note what became of parcels, and send a box again: the writing, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.events import Actor, EventKind
from storefront.domain.replacements import OUTCOMES, Reason, may_become
from storefront.models import (
    Box,
    BoxCycle,
    BoxItem,
    BoxReplacement,
    Plan,
    ProductVariant,
    Subscription,
)
from storefront.models.base import public_id, table_of
from storefront.operations.box_addresses import own_address
from storefront.operations.boxes import JOINABLE
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.returns import GONE_WRONG, note_returns, settle_sent_again
from storefront.operations.timeline import Entry, record

_TOLD = {
    BoxState.DELIVERED: EventKind.BOX_DELIVERED,
    BoxState.RETURNED: EventKind.BOX_RETURNED,
    BoxState.LOST: EventKind.BOX_LOST,
}


@dataclass(frozen=True, slots=True)
class Item:
    """A variant in a box, and what one of it costs the merchant (NULL: unknown)."""

    variant_id: int
    ref: str
    pieces: int
    origin: str
    cost_minor: int | None
    currency: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a replacement costs, in the shop's currency."""

    goods_minor: int
    shipping_minor: int
    currency: str
    has_unknown_cost: bool


def boxes_that_left(session: AnySession, *conditions: sa.ColumnElement[bool]) -> list[AnyRow]:
    """Return boxes that meet ``conditions`` (on ``box``) and have left, locked for us."""
    box, subscription, plan = table_of(Box), table_of(Subscription), table_of(Plan)
    cycle = table_of(BoxCycle)
    return list(
        session.execute(
            sa.select(
                box,
                subscription.c.public_id.label("subscription"),
                subscription.c.customer_id,
                plan.c.name.label("plan"),
                plan.c.cycle_group_id,
                cycle.c.key.label("cycle_key"),
                own_address(box).label("own_address_id"),
            )
            .join(subscription, subscription.c.id == box.c.subscription_id)
            .join(plan, plan.c.id == box.c.plan_id)
            .join(cycle, cycle.c.id == box.c.cycle_id)
            .where(box.c.state.in_(list(OUTCOMES)), *conditions)
            .order_by(box.c.id)
            .with_for_update(of=box)
        )
    )


def note_outcome(
    session: AnySession,
    rows: Sequence[AnyRow],
    then: BoxState,
    actor_ref: str,
    moment: Moment,
    *,
    is_told: bool = True,
) -> list[AnyRow]:
    """Move those of ``boxes_that_left`` to ``then`` for which that can be; returns them.

    Whose box came back or is lost is mailed, unless they are told otherwise (``is_told`` False).

    Nothing is booked: a box earned its revenue when it left. What came back is not put into the
    stock by itself: only who opens the parcel knows whether it can be sold again.
    """
    moved = [row for row in rows if may_become(row.state, then)]
    if not moved:
        return []
    box = table_of(Box)
    done: Any = session.execute(
        sa.update(box)
        .where(box.c.id.in_([row.id for row in moved]), box.c.state.in_(list(OUTCOMES)))
        .values(state=then)
    )
    if done.rowcount != len(moved):
        raise RuntimeError(f"{len(moved) - done.rowcount} boxes changed meanwhile")
    entries = [
        _entry(
            row,
            _TOLD[then],
            actor_ref,
            {"box": row.public_id, "cycle": row.cycle_key},
            # What was noted before may be noted again, when a parcel turned up meanwhile.
            f"{row.public_id}:{moment.now.isoformat()}",
        )
        for row in moved
    ]
    record(session, entries, moment)
    if then in GONE_WRONG:
        topic = "box_lost" if then is BoxState.LOST else "box_returned"
        note_returns(session, [row.id for row in moved], moment, is_told=is_told, topic=topic)
    return moved


def live_replacement(session: AnySession, box_id: int) -> str | None:
    """Return the box that replaces this one and is not canceled."""
    box = table_of(Box)
    ref: str | None = session.scalar(
        sa.select(box.c.public_id).where(
            box.c.replaces_id == box_id, box.c.state != BoxState.CANCELED
        )
    )
    return ref


def items_of(session: AnySession, box_id: int) -> list[Item]:
    """Return what a locked box holds, in the order it was packed."""
    item, variant = table_of(BoxItem), table_of(ProductVariant)
    rows = session.execute(
        sa.select(
            item.c.variant_id,
            variant.c.public_id.label("ref"),
            item.c.quantity.label("pieces"),
            item.c.origin,
            variant.c.cost_minor,
            variant.c.currency,
        )
        .join(variant, variant.c.id == item.c.variant_id)
        .where(item.c.box_id == box_id)
        .order_by(item.c.id)
    )
    return [Item(**row._mapping) for row in rows]


def cost_of(
    items: Sequence[Item], pieces: Mapping[str, int], shipping_minor: int, currency: str
) -> Cost:
    """Return what the wanted ``pieces`` (by variant) and their parcel cost."""
    wanted = [one for one in items if one.ref in pieces]
    known = [one for one in wanted if one.cost_minor is not None and one.currency == currency]
    goods = sum((one.cost_minor or 0) * pieces[one.ref] for one in known)
    return Cost(goods, shipping_minor, currency, len(known) != len(wanted))


def next_cycle(session: AnySession, group_id: int | None, moment: Moment) -> AnyRow | None:
    """Return (id, key, ship_from) of the group's next cycle that still takes a box, or None."""
    cycle = table_of(BoxCycle)
    return session.execute(
        sa.select(cycle.c.id, cycle.c.key, cycle.c.ship_from)
        .where(
            cycle.c.group_id == group_id,
            cycle.c.state.in_(JOINABLE),
            cycle.c.lock_on >= moment.today,
        )
        .order_by(cycle.c.lock_on, cycle.c.id)
        .limit(1)
    ).one_or_none()


def insert_replacement(
    session: AnySession,
    row: AnyRow,
    cycle_id: int,
    items: Sequence[Item],
    pieces: Mapping[str, int],
    address_id: int | None,
    moment: Moment,
) -> tuple[int, str]:
    """Insert the box that replaces ``row`` with its contents; returns its key and public id.

    It was paid for with the first one: it has no line, is worth nothing and earns nothing.
    ``address_id`` None: it goes where the subscription's boxes go by then.
    Raises ``IntegrityError`` when another replaces the same box already.
    """
    (key,) = reserve(session, Box, 1)
    ref = public_id("box")
    session.execute(
        sa.insert(table_of(Box)).values(
            id=key,
            public_id=ref,
            subscription_id=row.subscription_id,
            period_id=row.period_id,
            plan_id=row.plan_id,
            options=row.options,
            quantity=1,
            kind=BoxKind.REPLACEMENT,
            ordinal=row.ordinal,
            replaces_id=row.id,
            cycle_id=cycle_id,
            invoice_line_id=None,
            net_minor=0,
            tax_minor=0,
            currency=row.currency,
            state=BoxState.PLANNED,
            problem="",
            address_id=address_id,
            created_at=moment.now,
        )
    )
    wanted = [one for one in items if one.ref in pieces]
    session.execute(
        sa.insert(table_of(BoxItem)),
        [
            {
                "box_id": key,
                "variant_id": one.variant_id,
                "quantity": pieces[one.ref],
                "origin": one.origin,
            }
            for one in wanted
        ],
    )
    return key, ref


def note_replacement(
    session: AnySession,
    box_id: int,
    row: AnyRow,
    ref: str,
    reason: Reason,
    note: str,
    cost: Cost,
    actor_ref: str,
    moment: Moment,
) -> None:
    """Write reason and cost of the new box, tell the timeline, and mail its customer."""
    session.execute(
        sa.insert(table_of(BoxReplacement)).values(
            box_id=box_id,
            reason=reason.value,
            note=note,
            goods_minor=cost.goods_minor,
            shipping_minor=cost.shipping_minor,
            currency=cost.currency,
            has_unknown_cost=cost.has_unknown_cost,
            created_at=moment.now,
            actor=actor_ref,
        )
    )
    settle_sent_again(session, [row.id], moment)
    data = {"box": ref, "replaces": row.public_id, "reason": reason.value}
    record(session, [_entry(row, EventKind.BOX_REPLACED, actor_ref, data, ref)], moment)
    if row.customer_id is not None:
        payload = {"subscription": row.subscription, "plan": row.plan, "box": ref}
        message = Message(
            "mail",
            "box_replaced",
            f"mail:box_replaced:{ref}",
            {**payload, "reason": reason.value},
            row.customer_id,
        )
        enqueue(session, [message], moment.now)


def _entry(row: AnyRow, kind: EventKind, actor_ref: str, data: dict[str, Any], ref: str) -> Entry:
    return Entry(
        row.subscription_id,
        row.subscription,
        kind,
        Actor.STAFF,
        actor_ref,
        data,
        ref=ref,
    )
