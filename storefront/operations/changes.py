"""Apply changes of plan and interval: paid ones at once, waiting ones at their boundary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import InvoiceState
from storefront.domain.metrics import MovementKind
from storefront.models import (
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.change_boxes import reshape_boxes
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, MrrChange, move, record


def changes_paid_by(session: AnySession, invoice_ids: Sequence[int]) -> dict[int, AnyRow]:
    """Return the changes that wait for these invoices, by invoice."""
    table, price, plan = table_of(ScheduledChange), table_of(Price), table_of(Plan)
    subscription = table_of(Subscription)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.invoice_id,
            table.c.subscription_id,
            table.c.data,
            price.c.id.label("price_id"),
            price.c.plan_id,
            price.c.currency,
            plan.c.cycle_group_id,
            plan.c.shipping_unit,
            plan.c.shipping_count,
            subscription.c.public_id,
            subscription.c.customer_id,
            subscription.c.version,
            subscription.c.quantity,
            subscription.c.options,
            subscription.c.mrr_minor,
            subscription.c.source,
            subscription.c.cohort,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == price.c.plan_id)
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .where(table.c.invoice_id.in_(invoice_ids), table.c.state == "waiting")
    )
    return {row.invoice_id: row for row in rows}


def apply_paid_change(session: AnySession, change: AnyRow, invoice: AnyRow, moment: Moment) -> None:
    """Restart the period as the change says, in the transaction of the money's arrival.

    ``change.data``: period id, its new end, box count, monthly value, the new anchor, and
    what it takes back of which old lines (``credited``).
    """
    data = change.data
    period = table_of(SubscriptionPeriod)
    session.execute(
        sa.update(period)
        .where(period.c.id == data["period_id"])
        .values(
            end_on=date.fromisoformat(data["end_on"]),
            plan_id=change.plan_id,
            price_id=change.price_id,
            box_count=data["boxes"],
            mrr_minor=data["mrr_minor"],
        )
    )
    line = table_of(InvoiceLine)
    for line_id, minor in data["credited"]:
        session.execute(
            sa.update(line)
            .where(line.c.id == line_id)
            .values(credited_minor=line.c.credited_minor + minor)
        )
    change_subscriptions(
        session,
        [
            SubscriptionChange(
                change.subscription_id,
                change.version,
                {
                    "plan_id": change.plan_id,
                    "price_id": change.price_id,
                    "anchor_on": date.fromisoformat(data["anchor_on"]),
                    "anchor_day": data["anchor_day"],
                    "next_on": date.fromisoformat(data["end_on"]),
                    "renews_at": moment.start_of(date.fromisoformat(data["end_on"])),
                    "mrr_minor": data["mrr_minor"],
                },
            )
        ],
    )
    reshape_boxes(session, change, moment)
    set_state(session, [change.id], "applied")
    _tell(session, change, invoice, moment)


def withdraw_unpaid(session: AnySession, invoice_ids: Sequence[int], moment: Moment) -> None:
    """Drop changes whose payment did not come; the subscription goes on as it was."""
    changes = changes_paid_by(session, invoice_ids) if invoice_ids else {}
    if not changes:
        return
    set_state(session, [row.id for row in changes.values()], "withdrawn")
    table, subscription = table_of(Invoice), table_of(Subscription)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(list(changes)), table.c.state == InvoiceState.OFFERED)
        .values(state=InvoiceState.DISCARDED)
    )
    rows = session.execute(
        sa.select(subscription.c.id, subscription.c.version, subscription.c.next_on).where(
            subscription.c.id.in_([row.subscription_id for row in changes.values()])
        )
    )
    change_subscriptions(
        session,
        [
            SubscriptionChange(row.id, row.version, {"renews_at": moment.start_of(row.next_on)})
            for row in rows
        ],
    )


def open_changes(session: AnySession, subscription_id: int) -> list[AnyRow]:
    """Return the changes of a subscription that wait, and whether a charge is on its way."""
    table, attempt = table_of(ScheduledChange), table_of(ChargeAttempt)
    on_its_way = sa.exists().where(
        attempt.c.invoice_id == table.c.invoice_id,
        attempt.c.state.in_(OPEN_ATTEMPTS - {AttemptState.PLANNED}),
    )
    return list(
        session.execute(
            sa.select(table.c.id, table.c.invoice_id, on_its_way.label("in_flight")).where(
                table.c.subscription_id == subscription_id,
                table.c.kind == "price",
                table.c.state == "waiting",
            )
        )
    )


def withdraw_open(session: AnySession, changes: Sequence[AnyRow], moment: Moment) -> None:
    """Drop ``open_changes``, paid for or not: a success that comes later is sent back.

    Raises the version of a subscription whose change was being paid: read it again.
    """
    withdraw_unpaid(session, [row.invoice_id for row in changes if row.invoice_id], moment)
    set_state(session, [row.id for row in changes], "withdrawn")


def withdraw_scheduled(session: AnySession, subscription_id: int) -> bool:
    """Drop the change that waits for its day, not one being paid; False when there is none."""
    table = table_of(ScheduledChange)
    ids = list(
        session.scalars(
            sa.select(table.c.id).where(
                table.c.subscription_id == subscription_id,
                table.c.state == "waiting",
                table.c.kind == "price",
                table.c.invoice_id.is_(None),
            )
        )
    )
    set_state(session, ids, "withdrawn")
    return bool(ids)


def set_state(session: AnySession, ids: Sequence[int], state: str) -> None:
    """Move waiting changes to ``applied`` or ``withdrawn``."""
    if ids:
        table = table_of(ScheduledChange)
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids), table.c.state == "waiting")
            .values(state=state)
        )


def _tell(session: AnySession, change: AnyRow, invoice: AnyRow, moment: Moment) -> None:
    entry = Entry(
        change.subscription_id,
        change.public_id,
        EventKind.SUBSCRIPTION_CHANGED,
        Actor.CUSTOMER,
        data={"invoice": invoice.public_id, "amount_minor": invoice.total_minor},
        ref=invoice.public_id,
    )
    record(session, [entry], moment)
    delta = change.data["mrr_minor"] - change.mrr_minor
    if delta:
        kind = MovementKind.EXPANSION if delta > 0 else MovementKind.CONTRACTION
        moved = MrrChange(
            change.subscription_id,
            kind,
            delta,
            change.currency,
            change.plan_id,
            change.source,
            change.cohort,
            "change",
            moment.today,
        )
        move(session, [moved])
    mail = Message(
        "mail",
        "plan_changed",
        f"mail:plan_changed:{invoice.public_id}",
        {"invoice": invoice.public_id, "subscription": change.public_id},
        change.customer_id,
    )
    enqueue(session, [mail], moment.now)
