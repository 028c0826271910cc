"""Boxes for tests of packing: paid ones, put straight into their cycle."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.ledger import BANK, DEFERRED_REVENUE, JournalKind
from storefront.domain.lifecycle import PeriodKind, PeriodState, SubscriptionState
from storefront.models import Box, BoxCycle, CycleGroup, Plan, Subscription, SubscriptionPeriod
from storefront.models.base import public_id
from storefront.operations.ledger import Journal, Transfer, book
from storefront.runtime import Runtime
from storefront.testing.factories import make_address, make_customer, price_of, save
from storefront.testing.repeating import repeatable


@repeatable
def cycles_of(rt: Runtime, group: CycleGroup) -> list[BoxCycle]:
    """Return the cycles of ``group`` in the order in which they leave, detached."""
    rows = rt.session.scalars(
        sa.select(BoxCycle).where(BoxCycle.group_id == group.id).order_by(BoxCycle.ship_from)
    ).all()
    rt.session.expunge_all()
    rt.session.rollback()
    return list(rows)


@repeatable
def make_subscribed(rt: Runtime, plan: Plan, **values: Any) -> Subscription:
    """Return an active subscription with a customer and a German address."""
    customer = make_customer(rt)
    price = price_of(rt, plan)
    address = make_address(rt, customer)
    defaults: dict[str, Any] = {
        "public_id": public_id("sub"),
        "customer_id": customer.id,
        "plan_id": plan.id,
        "price_id": price.id,
        "address_id": address.id,
        "state": SubscriptionState.ACTIVE,
        "anchor_on": rt.today(),
        "anchor_day": rt.today().day,
        "next_on": rt.today() + timedelta(days=31),
        "next_number": 1,
        "created_at": rt.now(),
    }
    row = Subscription(**defaults | values)
    save(rt, row)
    return row


@repeatable
def make_paid_period(rt: Runtime, subscription: Subscription, number: int = 0) -> int:
    """Return the id of a paid period of the subscription."""
    start = rt.today() + timedelta(days=31 * number)
    row = SubscriptionPeriod(
        subscription_id=subscription.id,
        number=number,
        kind=PeriodKind.BILLED,
        state=PeriodState.PAID,
        start_on=start,
        end_on=start + timedelta(days=31),
        billed_number=number + 1,
        plan_id=subscription.plan_id,
        price_id=subscription.price_id,
        box_count=1,
        opened_at=rt.now(),
        paid_at=rt.now(),
    )
    save(rt, row)
    return row.id


@repeatable
def make_box(
    rt: Runtime,
    plan: Plan,
    cycle: BoxCycle | None,
    *,
    subscription: Subscription | None = None,
    number: int = 0,
    **values: Any,
) -> Box:
    """Return a planned box worth 21.85 net in ``cycle``, of a subscription of its own."""
    subscription = subscription or make_subscribed(rt, plan)
    defaults: dict[str, Any] = {
        "public_id": public_id("box"),
        "subscription_id": subscription.id,
        "period_id": make_paid_period(rt, subscription, number),
        "plan_id": plan.id,
        "kind": BoxKind.REGULAR,
        "ordinal": 1,
        "cycle_id": cycle.id if cycle else None,
        "net_minor": 2185,
        "tax_minor": 415,
        "currency": "EUR",
        "state": BoxState.PLANNED,
        "created_at": rt.now(),
    }
    row = Box(**defaults | values)
    save(rt, row)
    _book_deferred(rt, row)
    return row


def _book_deferred(rt: Runtime, box: Box) -> None:
    """Book what the box was paid with, as its invoice would have."""
    amount = (box.net_minor, box.currency)
    transfer = Transfer(BANK, DEFERRED_REVENUE, *amount, period_id=box.period_id)
    book(rt.session, [Journal(JournalKind.INVOICE_PAID, box.public_id, (transfer,))], rt.now())
    rt.session.commit()
