"""The rows behind the counts of what waits: who, about what, and how it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.models import (
    Box,
    BoxCycle,
    ChargeAttempt,
    Customer,
    Invoice,
    InvoiceLine,
    Plan,
    Price,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.guard import Announced, refusal


def of_subscriptions(part: sa.Subquery) -> sa.Select[Any]:
    subscription, customer = table_of(Subscription), table_of(Customer)
    plan, price = table_of(Plan), table_of(Price)
    return (
        sa.select(
            *_person(customer),
            plan.c.name.label("about"),
            subscription.c.state,
            sa.literal("").label("detail"),
            part.c.minor,
            price.c.currency,
            part.c.at,
            sa.literal("").label("cycle"),
        )
        .select_from(part)
        .join(subscription, subscription.c.id == part.c.id)
        .join(plan, plan.c.id == subscription.c.plan_id)
        .join(price, price.c.id == subscription.c.price_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
    )


def of_waiting(part: sa.Subquery, announced: Announced) -> sa.Select[Any]:
    return of_attempts(part, refusal(table_of(ChargeAttempt), announced))


def of_attempts(part: sa.Subquery, why: sa.ColumnElement[str] | None = None) -> sa.Select[Any]:
    attempt, invoice, customer = table_of(ChargeAttempt), table_of(Invoice), table_of(Customer)
    line = table_of(InvoiceLine)
    what = (
        sa.select(line.c.text)
        .where(line.c.invoice_id == invoice.c.id)
        .order_by(line.c.position)
        .limit(1)
        .scalar_subquery()
    )
    return (
        sa.select(
            *_person(customer),
            what.label("about"),
            attempt.c.state,
            (attempt.c.reason if why is None else why).label("detail"),
            part.c.minor,
            attempt.c.currency,
            part.c.at,
            sa.literal("").label("cycle"),
        )
        .select_from(part)
        .join(attempt, attempt.c.id == part.c.id)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(customer, customer.c.id == invoice.c.payer_id)
    )


def of_invoices(part: sa.Subquery) -> sa.Select[Any]:
    invoice, customer = table_of(Invoice), table_of(Customer)
    return (
        sa.select(
            *_person(customer),
            sa.cast(invoice.c.number, sa.String).label("about"),
            invoice.c.state,
            sa.literal("").label("detail"),
            part.c.minor,
            invoice.c.currency,
            part.c.at,
            sa.literal("").label("cycle"),
        )
        .select_from(part)
        .join(invoice, invoice.c.id == part.c.id)
        .join(customer, customer.c.id == invoice.c.payer_id)
    )


def of_boxes(part: sa.Subquery) -> sa.Select[Any]:
    box, subscription, customer = table_of(Box), table_of(Subscription), table_of(Customer)
    plan, cycle = table_of(Plan), table_of(BoxCycle)
    return (
        sa.select(
            *_person(customer),
            plan.c.name.label("about"),
            box.c.state,
            box.c.problem.label("detail"),
            part.c.minor,
            box.c.currency,
            part.c.at,
            cycle.c.public_id.label("cycle"),
            box.c.public_id.label("box"),
        )
        .select_from(part)
        .join(box, box.c.id == part.c.id)
        .join(plan, plan.c.id == box.c.plan_id)
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .outerjoin(customer, customer.c.id == subscription.c.customer_id)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
    )


def _person(customer: sa.Table) -> Sequence[sa.ColumnElement[Any]]:
    return customer.c.public_id.label("customer"), customer.c.name.label("name")
