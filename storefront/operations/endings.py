"""End subscriptions, many at once: by the renewal run, the chase's last action, or a click."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED, EndReason, SubscriptionState, check_move
from storefront.domain.metrics import MovementKind
from storefront.models import BoxCycle, BoxSkip, Price, Subscription, SubscriptionDiscount
from storefront.models.base import table_of
from storefront.operations.box_addresses import drop_addresses
from storefront.operations.coupon_uses import release_holds
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, MrrChange, move, record


@dataclass(frozen=True, slots=True)
class Ending:
    """One subscription to end, read at ``version``."""

    subscription_id: int
    version: int
    reason: EndReason
    #: First day not served, the day its churn is counted on; None: today.
    ended_on: date | None = None
    actor: Actor = Actor.WORKER
    actor_ref: str = ""
    #: False when another mail of the same transaction says it already.
    tells_customer: bool = True
    #: Fencing number of the claim, when a worker ends it.
    fence: int | None = None


def end_subscriptions(session: AnySession, endings: Sequence[Ending], moment: Moment) -> list[int]:
    """End subscriptions in the caller's transaction; returns the ids that ended now.

    The state goes to canceled, nothing is due any more, the churn is booked, the timeline
    and the mail ``ended`` are written, and skips and own addresses of boxes that will
    never be charged go; so do uses of codes that have lowered nothing.
    Paid boxes are left alone: they belong to the box, not to the state. One that has ended
    before is left as it is. Statements: a constant number for any count.
    Raises ``MoveNotAllowed`` for one that never began and ``StaleSubscription`` for one
    that changed since it was read; nothing of the batch must then be committed.
    """
    if not endings:
        return []
    found = _subscriptions(session, [one.subscription_id for one in endings])
    due = [
        (one, row)
        for one in endings
        if (row := found.get(one.subscription_id)) and SubscriptionState(row.state) not in ENDED
    ]
    if not due:
        return []
    change_subscriptions(session, [_ended(one, row, moment) for one, row in due])
    _drop_waiting_skips(session, [row.id for _, row in due])
    drop_addresses(session, [row.id for _, row in due])
    discount = table_of(SubscriptionDiscount)
    release_holds(session, discount.c.subscription_id.in_([row.id for _, row in due]))
    record(session, [_entry(one, row, moment) for one, row in due], moment)
    move(session, [_churn(one, row, moment) for one, row in due if row.cohort])
    enqueue(
        session,
        [_mail(row) for one, row in due if _is_told(one, row)],
        moment.now,
    )
    return [row.id for _, row in due]


def _is_told(one: Ending, row: AnyRow) -> bool:
    """Return whether the customer is written to; who got a gift hears of its last box."""
    is_gift_over = row.is_gift and one.reason is EndReason.COMPLETED
    return bool(one.tells_customer and row.customer_id and not is_gift_over)


def _subscriptions(session: AnySession, ids: Sequence[int]) -> dict[int, AnyRow]:
    table, price = table_of(Subscription), table_of(Price)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.customer_id,
            table.c.is_gift,
            table.c.state,
            table.c.plan_id,
            table.c.source,
            table.c.cohort,
            table.c.mrr_minor,
            price.c.currency,
        )
        .join(price, price.c.id == table.c.price_id)
        .where(table.c.id.in_(ids))
    )
    return {row.id: row for row in rows}


def _ended(one: Ending, row: AnyRow, moment: Moment) -> SubscriptionChange:
    check_move(SubscriptionState(row.state), SubscriptionState.CANCELED)
    day = one.ended_on or moment.today
    values = {
        "state": SubscriptionState.CANCELED,
        "end_reason": one.reason,
        "ended_on": day,
        "renews_at": None,
        "mrr_minor": 0,
    }
    return SubscriptionChange(one.subscription_id, one.version, values, one.fence)


def _drop_waiting_skips(session: AnySession, ids: Sequence[int]) -> None:
    """Take away skips that were to be paid later; those that moved a paid box stay.

    A moved box keeps its skip, because undoing it is still possible until its cut-off.
    A skip whose period was opened already tells what happened, so it stays too.
    """
    skip, cycle, subscription = table_of(BoxSkip), table_of(BoxCycle), table_of(Subscription)
    waiting = (
        sa.select(skip.c.id)
        .join(cycle, cycle.c.id == skip.c.cycle_id)
        .join(subscription, subscription.c.id == skip.c.subscription_id)
        .where(
            skip.c.subscription_id.in_(ids),
            skip.c.moved_box_id.is_(None),
            sa.func.coalesce(cycle.c.charge_on, cycle.c.lock_on) >= subscription.c.next_on,
        )
    )
    session.execute(sa.delete(skip).where(skip.c.id.in_(waiting)))


def _entry(one: Ending, row: AnyRow, moment: Moment) -> Entry:
    day = one.ended_on or moment.today
    return Entry(
        row.id,
        row.public_id,
        EventKind.SUBSCRIPTION_ENDED,
        one.actor,
        one.actor_ref,
        {"reason": one.reason.value, "ended_on": day.isoformat()},
    )


def _churn(one: Ending, row: AnyRow, moment: Moment) -> MrrChange:
    return MrrChange(
        row.id,
        MovementKind.CHURN,
        -row.mrr_minor,
        row.currency,
        row.plan_id,
        row.source,
        row.cohort,
        one.reason.value,
        one.ended_on or moment.today,
    )


def _mail(row: AnyRow) -> Message:
    return Message(
        "mail",
        "ended",
        f"mail:ended:{row.public_id}",
        {"subscription": row.public_id},
        row.customer_id,
    )
