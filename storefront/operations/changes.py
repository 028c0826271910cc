"""Apply changes of a subscription: paid ones at once, waiting ones at their boundary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodKind, PeriodState
from storefront.domain.metrics import MovementKind
from storefront.models import (
    Address,
    Box,
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    Plan,
    Price,
    ScheduledChange,
    Subscription,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.answers import Answered, write_answers
from storefront.operations.bulk import insert_many
from storefront.operations.change_boxes import level_deferred, reshape_boxes
from storefront.operations.coupons import Lowered, Use, redeem_cycle
from storefront.operations.customer_credit import give_back_applied
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.offers import price_named, read_plan
from storefront.operations.outbox import Message, enqueue
from storefront.operations.pinned import bound_in, ends_with, put_off_after_term, write_after_term
from storefront.operations.skips import MOVABLE
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, MrrChange, move, record


def changes_paid_by(session: AnySession, invoice_ids: Sequence[int]) -> dict[int, AnyRow]:
    """Return the changes that wait for these invoices, by invoice."""
    table, price, plan = table_of(ScheduledChange), table_of(Price), table_of(Plan)
    subscription, old_plan = table_of(Subscription), plan.alias()
    address = table_of(Address)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.invoice_id,
            table.c.subscription_id,
            table.c.data,
            price.c.id.label("price_id"),
            price.c.plan_id,
            price.c.currency,
            plan.c.name.label("plan_name"),
            plan.c.cycle_group_id,
            plan.c.shipping_unit,
            plan.c.shipping_count,
            plan.c.ships,
            plan.c.first_box,
            plan.c.first_box_on,
            old_plan.c.ships.label("shipped"),
            subscription.c.public_id,
            subscription.c.customer_id,
            subscription.c.version,
            subscription.c.price_id.label("held_price_id"),
            subscription.c.options.label("held_options"),
            subscription.c.min_boxes,
            subscription.c.next_on,
            subscription.c.next_number,
            subscription.c.billed_count,
            subscription.c.boxes_billed,
            address.c.country,
            address.c.region,
            subscription.c.mrr_minor,
            subscription.c.source,
            subscription.c.cohort,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == price.c.plan_id)
        .join(subscription, subscription.c.id == table.c.subscription_id)
        .join(old_plan, old_plan.c.id == subscription.c.plan_id)
        .outerjoin(address, address.c.id == subscription.c.address_id)
        .where(table.c.invoice_id.in_(invoice_ids), table.c.state == "waiting")
    )
    return {row.invoice_id: row for row in rows}


def open_paid_periods(session: AnySession, changes: Sequence[AnyRow], moment: Moment) -> None:
    """Cut the periods that paid changes leave today and open those that begin; first of all.

    The lines of the changes' invoices that pay for the new periods are told so, before they
    are booked.
    """
    for change in changes:
        if change.data.get("opens"):
            _open_period(session, change, moment)


def _open_period(session: AnySession, change: AnyRow, moment: Moment) -> None:
    data, period = change.data, table_of(SubscriptionPeriod)
    start = date.fromisoformat(data["start_on"])
    left = session.execute(
        sa.update(period)
        .where(period.c.id == data["period_id"])
        .values(end_on=start)
        .returning(period.c.number, period.c.billed_number)
    ).one()
    key = reserve(session, SubscriptionPeriod, 1)[0]
    insert_many(
        session,
        SubscriptionPeriod,
        [
            {
                "id": key,
                "subscription_id": change.subscription_id,
                "number": left.number + 1,
                "kind": PeriodKind.BILLED,
                "state": PeriodState.PAID,
                "start_on": start,
                "end_on": date.fromisoformat(data["end_on"]),
                "billed_number": left.billed_number + 1,
                "plan_id": change.plan_id,
                "price_id": change.price_id,
                "box_count": data["boxes"],
                "mrr_minor": data["mrr_minor"],
                "reason": "",
                "opened_at": moment.now,
                "paid_at": moment.now,
            }
        ],
    )
    line = table_of(InvoiceLine)
    session.execute(
        sa.update(line)
        .where(line.c.invoice_id == change.invoice_id, line.c.period_id.is_(None))
        .values(period_id=key)
    )


def apply_paid_change(session: AnySession, change: AnyRow, invoice: AnyRow, moment: Moment) -> None:
    """Do what a paid change says, in the transaction of the money's arrival.

    ``change.data``: what it changes to, the period and its boxes that were not packed, what
    it takes back of which old lines (``credited``); for a restart also the new period's days
    and boxes, and the discounts that lowered it.
    """
    data = change.data
    _credit_lines(session, data["credited"])
    values: dict[str, Any] = {
        "plan_id": change.plan_id,
        "price_id": change.price_id,
        "quantity": data["quantity"],
        "options": data["options"],
        "mrr_minor": data["mrr_minor"],
    }
    if data["how"] == "restart":
        values |= _restarted(session, change)
    else:
        _adjust(session, change)
    values |= _ends(session, change, moment)
    values["renews_at"] = moment.start_of(values.get("next_on", change.next_on))
    version = change.version
    change_subscriptions(session, [SubscriptionChange(change.subscription_id, version, values)])
    _note_answers(session, change, moment)
    reshape_boxes(session, change, moment)
    level_deferred(session, data["period_id"], invoice, moment)
    redeem_cycle(session, _lowered(session, change, invoice), moment.now)
    set_state(session, [change.id], "applied")
    _tell(session, change, invoice, moment)


def _note_answers(session: AnySession, change: AnyRow, moment: Moment) -> None:
    before, after = change.held_options or {}, change.data["options"]
    one = Answered(change.subscription_id, before, change.held_price_id, after, change.price_id)
    write_answers(session, [one], moment)


def _credit_lines(session: AnySession, credited: Sequence[Sequence[int]]) -> None:
    line = table_of(InvoiceLine)
    for line_id, minor in credited:
        session.execute(
            sa.update(line)
            .where(line.c.id == line_id)
            .values(credited_minor=line.c.credited_minor + minor)
        )


def _adjust(session: AnySession, change: AnyRow) -> None:
    """The period keeps its days; what it is worth and which plan it is for change."""
    period = table_of(SubscriptionPeriod)
    session.execute(
        sa.update(period)
        .where(period.c.id == change.data["period_id"])
        .values(
            plan_id=change.plan_id, price_id=change.price_id, mrr_minor=change.data["mrr_minor"]
        )
    )


def _ends(session: AnySession, change: AnyRow, moment: Moment) -> dict[str, Any]:
    """Have the subscription end as what it changes to is sold; returns the columns that say so.

    Boxes not sent are of the new plan: those of an adjusted period count for it as a whole.
    """
    data = change.data
    restarts = data["how"] == "restart"
    on = date.fromisoformat(data["end_on"]) if restarts else change.next_on
    if change.held_price_id == change.price_id:
        if restarts:
            put_off_after_term(session, change.subscription_id, on)
        return {}
    if restarts:
        before = _left_behind(change)
    else:
        period = table_of(SubscriptionPeriod)
        billed = sa.select(period.c.box_count).where(period.c.id == data["period_id"])
        before = change.boxes_billed - max(int(session.execute(billed).scalar_one()), 1)
    plan, price = read_plan(session, change.plan_id), price_named(session, change.price_id)
    write_after_term(
        session, change.subscription_id, (plan, price), change.country or "", on, moment
    )
    plan = bound_in(plan, price.interval, change.country or "", change.region or "")
    return ends_with(plan, price, max(before, 0), change.min_boxes)


def _left_behind(change: AnyRow) -> int:
    """Return the boxes billed for what a restart leaves; a plan that ships none has periods."""
    replaced = len(change.data["unsent"]) if change.shipped else int(not change.data["opens"])
    return max(int(change.boxes_billed) - replaced, 0)


def _restarted(session: AnySession, change: AnyRow) -> dict[str, Any]:
    """Return what a restart changes of the subscription; one of the first day prices the row."""
    data = change.data
    end, opens = date.fromisoformat(data["end_on"]), data["opens"]
    if not opens:
        period = table_of(SubscriptionPeriod)
        packed = sa.select(period.c.box_count).where(period.c.id == data["period_id"])
        left = int(session.execute(packed).scalar_one()) - len(data["unsent"])
        session.execute(
            sa.update(period)
            .where(period.c.id == data["period_id"])
            .values(
                end_on=end,
                plan_id=change.plan_id,
                price_id=change.price_id,
                box_count=left + max(data["boxes"], len(data["unsent"])),
                mrr_minor=data["mrr_minor"],
            )
        )
    return {
        "anchor_on": date.fromisoformat(data["anchor_on"]),
        "anchor_day": data["anchor_day"],
        "next_on": end,
        "next_number": change.next_number + int(opens),
        "billed_count": change.billed_count + int(opens),
        "boxes_billed": _left_behind(change) + max(data["boxes"], 1),
    }


def _lowered(session: AnySession, change: AnyRow, invoice: AnyRow) -> list[Lowered]:
    """Return the discounts whose next cycle a restarted period takes."""
    off = dict(change.data.get("lowered", ()))
    if not off:
        return []
    table = table_of(SubscriptionDiscount)
    rows = session.execute(
        sa.select(table.c.id, table.c.coupon_id, table.c.promotion_code_id).where(
            table.c.id.in_(list(off))
        )
    )
    use = Use(change.subscription_id, invoice.payer_id, invoice.id)
    return [Lowered(row.id, row, use, off[row.id], counts=False) for row in rows]


def withdraw_overtaken(session: AnySession, invoice_ids: Sequence[int], moment: Moment) -> None:
    """Drop changes that can no longer be made as they were shown; their money is surplus.

    A box they were to change was packed, or taken back, or a line they were to credit was
    refunded, while their payment was on its way.
    """
    changes = changes_paid_by(session, invoice_ids) if invoice_ids else {}
    box = table_of(Box)
    for change in changes.values():
        unsent = change.data["unsent"]
        there = session.scalar(
            sa.select(sa.func.count()).where(box.c.id.in_(unsent), box.c.state.in_(MOVABLE))
        )
        if there != len(unsent) or _is_refunded(session, change.data["credited"]):
            withdraw_unpaid(session, [change.invoice_id], moment)


def _is_refunded(session: AnySession, credited: Sequence[Sequence[int]]) -> bool:
    """Return whether less is left of a line than a change takes back of it."""
    line, parts = table_of(InvoiceLine), {int(key): minor for key, minor in credited}
    rows = session.execute(
        sa.select(line.c.id, line.c.gross_minor, line.c.credited_minor).where(
            line.c.id.in_(list(parts))
        )
    )
    return any(row.credited_minor + parts[row.id] > row.gross_minor for row in rows)


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
    give_back_applied(session, list(changes), moment)
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
        data={
            "invoice": invoice.public_id,
            "amount_minor": invoice.total_minor,
            "plan": change.plan_name,
        },
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
