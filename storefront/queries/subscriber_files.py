"""The list of subscriptions as rows of a file, in memory that stays flat however long it is.

Source: docs/decisions/0206-the-list-of-subscribers-as-a-file.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.money import exponent
from storefront.models import Address, Box, BoxCycle, Customer, Plan, Price, Subscription
from storefront.models.base import table_of
from storefront.operations.consents import marketing_since
from storefront.operations.keys import AnyRow
from storefront.queries.subscribers import Filters, conditions, pill_state
from storefront.queries.today import renews_on, will_renew

#: Subscriptions read by one statement.
_SLICE = 500
_ADDRESS = (
    "company",
    "street",
    "extra",
    "postcode",
    "city",
    "region",
    "country",
    "phone",
)
#: What a row holds, in order. Files are read by programs too: never rename one.
COLUMNS = (
    "subscription",
    "customer",
    "name",
    "email",
    "plan",
    "every",
    "quantity",
    "answers",
    "state",
    "source",
    "signed_up",
    "next_box",
    "next_charge",
    "price",
    "currency",
    "cancelled",
    "ends",
    "ended",
    "end_reason",
    "recipient",
    *_ADDRESS,
    "offers_since",
)


def subscriber_rows(
    session: AnySession, filters: Filters, zone: ZoneInfo
) -> Iterator[tuple[str, ...]]:
    """Yield the cells of ``COLUMNS`` of each subscription of the list, newest first.

    Days are those of the shop's ``zone``. One statement for 500 subscriptions, each where the
    last one ended, so that none is read twice.
    """
    table = table_of(Subscription)
    key = sa.tuple_(table.c.created_at, table.c.id)
    statement = _statement().where(*conditions(filters))
    statement = statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(_SLICE)
    wanted = statement
    while True:
        rows = session.execute(wanted).all()
        for row in rows:
            yield _cells(row, zone)
        if len(rows) < _SLICE:
            return
        last = sa.literal(rows[-1].created_at, table.c.created_at.type)
        wanted = statement.where(key < sa.tuple_(last, sa.literal(rows[-1].id)))


def _statement() -> sa.Select[Any]:
    table, customer = table_of(Subscription), table_of(Customer)
    plan, price, address = table_of(Plan), table_of(Price), table_of(Address)
    return (
        sa.select(
            table,
            customer.c.public_id.label("customer"),
            customer.c.name.label("customer_name"),
            customer.c.email,
            plan.c.name.label("plan"),
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            renews_on(),
            sa.case((will_renew(), 1), else_=0).label("renews"),
            _next_box().label("next_box"),
            marketing_since(customer.c.id).label("offers_since"),
            address.c.name.label("recipient"),
            *(address.c[part] for part in _ADDRESS),
        )
        .select_from(table)
        .join(plan, plan.c.id == table.c.plan_id)
        .join(price, price.c.id == table.c.price_id)
        .outerjoin(customer, customer.c.id == table.c.customer_id)
        .outerjoin(address, address.c.id == table.c.address_id)
    )


def _next_box() -> sa.ScalarSelect[Any]:
    """Return the first day on which a box leaves that is paid and has not left."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    waits = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED)
    return (
        sa.select(sa.func.min(cycle.c.ship_from))
        .select_from(box)
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.subscription_id == table_of(Subscription).c.id, box.c.state.in_(waits))
        .correlate(table_of(Subscription))
        .scalar_subquery()
    )


def _cells(row: AnyRow, zone: ZoneInfo) -> tuple[str, ...]:
    amount = Decimal(row.amount_minor * row.quantity).scaleb(-exponent(row.currency))
    state = pill_state(row.state, held=row.held_at is not None, ends=row.cancel_on is not None)
    return (
        row.public_id,
        row.customer or "",
        row.customer_name or "",
        row.email or "",
        row.plan,
        f"{row.unit_count} {row.unit}",
        str(row.quantity),
        "; ".join(f"{question}: {said}" for question, said in (row.options or {}).items()),
        state,
        row.source,
        row.created_at.astimezone(zone).date().isoformat(),
        _day(row.next_box),
        _day(row.renews_on if row.renews else None),
        f"{amount:f}",
        row.currency,
        row.canceled_at.astimezone(zone).date().isoformat() if row.canceled_at else "",
        _day(row.cancel_on or row.ends_on),
        _day(row.ended_on),
        row.end_reason.value if row.end_reason else "",
        row.recipient or "",
        *(str(getattr(row, part) or "") for part in _ADDRESS),
        row.offers_since.astimezone(zone).date().isoformat() if row.offers_since else "",
    )


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""
