"""Apply changes of plan and interval: paid ones at once, waiting ones at their boundary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, assign_cycles
from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import DEFERRED_KINDS, InvoiceState, LineKind
from storefront.domain.metrics import MovementKind
from storefront.domain.money import split_minor
from storefront.domain.periods import Interval
from storefront.models import (
    Box,
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import public_ids, table_of
from storefront.operations.boxes import cycle_use, slots_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySession, reserve
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
    _reshape_boxes(session, change, moment)
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


def set_state(session: AnySession, ids: Sequence[int], state: str) -> None:
    """Move waiting changes to ``applied`` or ``withdrawn``."""
    if ids:
        table = table_of(ScheduledChange)
        session.execute(
            sa.update(table)
            .where(table.c.id.in_(ids), table.c.state == "waiting")
            .values(state=state)
        )


def _reshape_boxes(session: AnySession, change: AnyRow, moment: Moment) -> None:
    """Re-price the period's boxes and add those the longer period brings."""
    period_id, wanted = change.data["period_id"], change.data["boxes"]
    if not wanted:
        return
    box, line = table_of(Box), table_of(InvoiceLine)
    boxes = session.execute(
        sa.select(box.c.id, box.c.ordinal)
        .where(
            box.c.period_id == period_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .order_by(box.c.ordinal)
    ).all()
    sums = session.execute(
        sa.select(
            sa.func.sum(line.c.gross_minor - line.c.tax_minor).label("net"),
            sa.func.sum(line.c.tax_minor).label("tax"),
        ).where(line.c.period_id == period_id, line.c.kind.in_(DEFERRED_KINDS), ~line.c.is_void)
    ).one()
    paying = session.execute(
        sa.select(line.c.id)
        .where(line.c.invoice_id == change.invoice_id, line.c.kind == LineKind.PRORATION_CHARGE)
        .order_by(line.c.position)
        .limit(1)
    ).scalar_one()
    nets, taxes = split_minor(int(sums.net), [1] * wanted), split_minor(int(sums.tax), [1] * wanted)
    for row in boxes:
        session.execute(
            sa.update(box)
            .where(box.c.id == row.id)
            .values(
                plan_id=change.plan_id,
                invoice_line_id=paying,
                net_minor=nets[row.ordinal - 1],
                tax_minor=taxes[row.ordinal - 1],
            )
        )
    _add_boxes(session, change, len(boxes), paying, (nets, taxes), moment)


def _add_boxes(
    session: AnySession,
    change: AnyRow,
    there: int,
    paying: int,
    shares: tuple[list[int], list[int]],
    moment: Moment,
) -> None:
    extra = change.data["boxes"] - there
    if extra <= 0:
        return
    slots = slots_of(session, [change.cycle_group_id], moment.today)[change.cycle_group_id]
    use = cycle_use(session, [change.subscription_id])
    joined = assign_cycles(
        [slot for slot in slots if slot.cutoff_on >= moment.today],
        use.taken[change.subscription_id],
        use.skipped[change.subscription_id],
        extra,
        moment.today,
        start=moment.today,
        shipping=Interval(change.shipping_unit, change.shipping_count),
    )
    keys, publics = reserve(session, Box, extra), public_ids("box", extra)
    insert_many(
        session,
        Box,
        [
            {
                "id": key,
                "public_id": public,
                "subscription_id": change.subscription_id,
                "period_id": change.data["period_id"],
                "plan_id": change.plan_id,
                "options": dict(change.options),
                "quantity": change.quantity,
                "kind": BoxKind.REGULAR,
                "ordinal": ordinal,
                "cycle_id": slot.id if slot else None,
                "invoice_line_id": paying,
                "net_minor": shares[0][ordinal - 1],
                "tax_minor": shares[1][ordinal - 1],
                "currency": change.currency,
                "state": BoxState.PLANNED,
                "problem": "",
                "created_at": moment.now,
            }
            for key, public, ordinal, slot in zip(
                keys, publics, range(there + 1, there + extra + 1), joined, strict=True
            )
        ],
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
