"""Where a gift ends, and what follows it: the order of a recipient who goes on.

Source: docs/decisions/0194-recipients-go-on.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.cycles import slot_for
from storefront.domain.events import EventKind
from storefront.domain.gifts import follows_on as day_after
from storefront.domain.gifts import moved_to
from storefront.domain.lifecycle import PeriodKind, SubscriptionState
from storefront.domain.periods import Interval, add_interval
from storefront.models import (
    Box,
    BoxCycle,
    Checkout,
    Gift,
    Plan,
    Price,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import open_slots
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.tiling import put_term_end
from storefront.operations.timeline import Entry, record

#: Boxes of a gift that are still in the house.
UNSENT = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED)


@dataclass(frozen=True, slots=True)
class GiftEnd:
    """How a gift ends. ``row`` has the gift's columns, and of its subscription ``ref``,
    ``customer_id``, ``plan_id``, ``price_id``, ``quantity``, ``options``, ``address_id`` and
    ``held_at``.
    """

    row: AnyRow
    #: First day on which what follows can be charged.
    follows_on: date
    #: Boxes that were not taken back, and those of them still in the house.
    boxes: int
    unsent: int
    #: Days on which the last box leaves; None while one waits for its round.
    last_ships_on: date | None
    last_ships_to: date | None


def is_continuing(checkout: AnyRow) -> bool:
    """Return whether an order is that of a recipient who goes on where a gift ends."""
    return bool(checkout.quote.get("continues"))


def follows_on(session: AnySession, gift: str, today: date) -> date | None:
    """Return from when on what follows a gift can be charged; None once that is today or over."""
    for end in gift_ends(session, table_of(Gift).c.public_id == gift):
        return end.follows_on if end.follows_on > today else None
    return None


def gift_ends(session: AnySession, *conditions: sa.ColumnElement[bool]) -> list[GiftEnd]:
    """Return how gifts end whose boxes were paid for and not all taken back, by their keys."""
    gift, table, plan = table_of(Gift), table_of(Subscription), table_of(Plan)
    period, box = table_of(SubscriptionPeriod), _boxes_of_gifts(conditions)
    rows = session.execute(
        sa.select(
            gift,
            table.c.public_id.label("ref"),
            table.c.customer_id,
            table.c.plan_id,
            table.c.price_id,
            table.c.quantity,
            table.c.options,
            table.c.address_id,
            table.c.held_at,
            plan.c.shipping_unit,
            plan.c.shipping_count,
            period.c.start_on,
            period.c.box_count,
            box.c.boxes,
            box.c.unsent,
            box.c.waiting,
            box.c.unplaced,
            box.c.last_feed_on,
            box.c.last_ships_on,
            box.c.last_ships_to,
        )
        .join(table, table.c.id == gift.c.subscription_id)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(period, sa.and_(period.c.subscription_id == table.c.id, period.c.number == 0))
        .join(box, box.c.subscription_id == table.c.id)
        .where(period.c.kind == PeriodKind.GIFT, box.c.boxes > 0, *conditions)
        .order_by(gift.c.id)
    )
    return [_end(row) for row in rows]


def _boxes_of_gifts(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Subquery:
    box, cycle, gift = table_of(Box), table_of(BoxCycle), table_of(Gift)
    table = table_of(Subscription)
    feed = sa.func.coalesce(cycle.c.charge_on, cycle.c.lock_on)
    is_left = box.c.state != BoxState.CANCELED
    waits = sa.and_(is_left, box.c.cycle_id.is_(None))
    return (
        sa.select(
            box.c.subscription_id,
            sa.func.sum(sa.case((is_left, 1), else_=0)).label("boxes"),
            sa.func.sum(sa.case((box.c.state.in_(UNSENT), 1), else_=0)).label("unsent"),
            sa.func.sum(sa.case((waits, 1), else_=0)).label("waiting"),
            # Those taken back as well: what becomes of the giver's money moves no payment of
            # who goes on.
            sa.func.sum(sa.case((box.c.cycle_id.is_(None), 1), else_=0)).label("unplaced"),
            sa.func.max(feed).label("last_feed_on"),
            sa.func.max(sa.case((is_left, cycle.c.ship_from))).label("last_ships_on"),
            sa.func.max(sa.case((is_left, cycle.c.ship_to))).label("last_ships_to"),
        )
        .join(gift, gift.c.subscription_id == box.c.subscription_id)
        .join(table, table.c.id == box.c.subscription_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.kind == BoxKind.REGULAR, *conditions)
        .group_by(box.c.subscription_id)
        .subquery()
    )


def _end(row: AnyRow) -> GiftEnd:
    shipping = Interval(row.shipping_unit, row.shipping_count)
    day = day_after(row.start_on, shipping, row.box_count, row.last_feed_on, row.unplaced)
    placed = not row.waiting
    return GiftEnd(
        row,
        day,
        row.boxes,
        row.unsent,
        row.last_ships_on if placed else None,
        row.last_ships_to if placed else None,
    )


def follow_gifts(session: AnySession, moment: Moment, *conditions: sa.ColumnElement[bool]) -> int:
    """Let what follows a gift begin behind its last box, wherever that box went meanwhile.

    Only before its first payment, and never before the day that was agreed on. Returns how many
    moved; running it again changes nothing. Raises ``StaleSubscription`` when somebody changed
    one of them meanwhile. ``conditions`` on ``gift`` narrow to some.
    """
    own = _own_orders(session, moment.today, conditions)
    if not own:
        return 0
    gift = table_of(Gift)
    ends = gift_ends(session, gift.c.id.in_(own))
    return sum(_follow(session, end, own[end.row.id], moment) for end in ends)


def _own_orders(
    session: AnySession, today: date, conditions: Sequence[sa.ColumnElement[bool]]
) -> dict[int, list[AnyRow]]:
    """Return what follows gifts and was not paid for yet, by the gift's key, in order."""
    gift = table_of(Gift)
    order, table, plan = table_of(Checkout), table_of(Subscription), table_of(Plan)
    price = table_of(Price)
    rows = session.execute(
        sa.select(
            gift.c.id.label("gift_id"),
            order.c.quote,
            table.c.id,
            table.c.public_id,
            table.c.version,
            table.c.anchor_on,
            table.c.anchor_day,
            plan.c.cycle_group_id,
            price.c.unit,
            price.c.count.label("unit_count"),
        )
        .join(order, order.c.id == gift.c.checkout_id)
        .join(table, table.c.checkout_id == order.c.id)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(price, price.c.id == table.c.price_id)
        .where(
            order.c.state == "done",
            table.c.state == SubscriptionState.ACTIVE,
            # Only the days up to its first payment: nothing was opened or billed since.
            table.c.next_number == 1,
            table.c.billed_count == 0,
            table.c.anchor_on > today,
            table.c.cancel_on.is_(None),
            table.c.pauses_on.is_(None),
            *conditions,
        )
        .order_by(table.c.id)
    )
    found: dict[int, list[AnyRow]] = defaultdict(list)
    for row in rows:
        found[row.gift_id].append(row)
    return found


def _follow(session: AnySession, end: GiftEnd, orders: Sequence[AnyRow], moment: Moment) -> int:
    """Move each of what follows one gift; returns how many moved."""
    moved = 0
    noted: list[date] = []
    for own in orders:
        ours = end.row.follows_on or _agreed(own)
        day, aim = _day_behind(session, end, own, ours, moment)
        if day == own.anchor_on:
            continue
        _begin_on(session, own, day, aim, moment)
        moved += 1
        if own.anchor_on == ours:
            noted.append(day)
    if noted:
        gift = table_of(Gift)
        latest = sa.update(gift).where(gift.c.id == end.row.id).values(follows_on=max(noted))
        session.execute(latest)
    return moved


def _day_behind(
    session: AnySession, end: GiftEnd, own: AnyRow, ours: date, moment: Moment
) -> tuple[date, int]:
    """Return the first payment day of ``own`` now, and the day of the month to aim at."""
    slots = open_slots(session, own.cycle_group_id, moment.today)
    slot = slot_for(slots, end.follows_on)
    if own.cycle_group_id is not None and slot is None:
        return own.anchor_on, own.anchor_day
    wanted = end.follows_on if slot is None else slot.charge_on or end.follows_on
    day = moved_to(own.anchor_on, wanted, _agreed(own), ours, moment.today)
    # A fixed billing day aims at the same day of every month as before.
    is_fixed = slot is not None and slot.charge_on is not None
    return day, own.anchor_day if is_fixed else day.day


def earliest_day(session: AnySession, subscription_id: int) -> date | None:
    """Return the day before which the first payment of what follows a gift cannot be.

    None for any other subscription, and once its first payment was asked for.
    """
    gift, order, table = table_of(Gift), table_of(Checkout), table_of(Subscription)
    own = session.execute(
        sa.select(gift.c.follows_on, order.c.quote, table.c.anchor_on)
        .join(order, order.c.id == gift.c.checkout_id)
        .join(table, table.c.checkout_id == order.c.id)
        .where(table.c.id == subscription_id, table.c.next_number == 1, table.c.billed_count == 0)
    ).one_or_none()
    return None if own is None else own.follows_on or _agreed(own)


def _agreed(own: AnyRow) -> date:
    """Return the first payment day that the recipient agreed to."""
    boxes: Sequence[Mapping[str, Any]] = own.quote.get("boxes", ())
    days = [charge[0] for charge in boxes[0]["charges"]] if boxes else []
    return date.fromisoformat(days[0]) if days else own.anchor_on


def _begin_on(session: AnySession, own: AnyRow, day: date, anchor_day: int, moment: Moment) -> None:
    """Have the first payment on ``day``: the days before it, which cost nothing, end there."""
    period = table_of(SubscriptionPeriod)
    mine = (period.c.subscription_id == own.id, period.c.number == 0)
    session.execute(sa.update(period).where(*mine).values(end_on=day))
    values = {
        "anchor_on": day,
        "anchor_day": anchor_day,
        "next_on": day,
        "renews_at": moment.start_of(day),
    }
    change_subscriptions(session, [SubscriptionChange(own.id, own.version, values)])
    term = Interval(own.unit, own.unit_count)
    put_term_end(session, own.id, add_interval(day, term, 1, day=anchor_day))
    data = {"from": own.anchor_on.isoformat(), "to": day.isoformat()}
    entry = Entry(own.id, own.public_id, EventKind.DATE_MOVED, data=data)
    record(session, [entry], moment)
