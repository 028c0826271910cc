"""Price changes for running subscribers, as the admin shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.models import (
    Customer,
    Plan,
    Price,
    PriceMigration,
    PriceMigrationItem,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.price_changes import may_be_moved, same_price

#: Subscribers shown on the page of a change.
SHOWN = 50


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A change with how far it has come; ``counts`` are subscribers by state."""

    ref: str
    name: str
    plan: str
    interval: Interval
    price: Money
    effective_on: date
    notice_days: int
    countries: tuple[str, ...]
    #: Only who signed up before this day; None: everybody.
    began_before: date | None
    #: Country the price is for; empty: everywhere.
    country: str
    state: str
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Concerned:
    """One subscriber of a change that is under way."""

    subscription: str
    email: str
    old: Money
    new: Money
    applies_on: date
    state: str


@dataclass(frozen=True, slots=True)
class Offered:
    """A price on sale that subscribers of older versions could be moved to."""

    ref: str
    plan: str
    interval: Interval
    amount: Money
    #: Country the price is for; empty: everywhere.
    country: str
    #: Running subscriptions on another version of it that nobody has canceled.
    others: int


def price_changes(session: AnySession) -> list[PriceChange]:
    """Return every change, the newest first."""
    return [_change(row, {}) for row in session.execute(_changes())]


def price_change(session: AnySession, ref: str) -> PriceChange | None:
    """Return one change with how many subscribers stand where."""
    row = session.execute(_changes().where(PriceMigration.public_id == ref)).one_or_none()
    if row is None:
        return None
    item = table_of(PriceMigrationItem)
    counts = session.execute(
        sa.select(item.c.state, sa.func.count())
        .where(item.c.migration_id == row.id)
        .group_by(item.c.state)
    )
    return _change(row, {state: int(count) for state, count in counts})


def concerned(session: AnySession, ref: str) -> list[Concerned]:
    """Return the first subscribers of a change by the day it touches them."""
    item, migration = table_of(PriceMigrationItem), table_of(PriceMigration)
    subscription, customer, price = table_of(Subscription), table_of(Customer), table_of(Price)
    rows = session.execute(
        sa.select(
            subscription.c.public_id,
            customer.c.email,
            item.c.old_minor,
            item.c.new_minor,
            item.c.applies_on,
            item.c.state,
            price.c.currency,
        )
        .join(migration, migration.c.id == item.c.migration_id)
        .join(price, price.c.id == migration.c.price_id)
        .join(subscription, subscription.c.id == item.c.subscription_id)
        .join(customer, customer.c.id == subscription.c.customer_id)
        .where(migration.c.public_id == ref)
        .order_by(item.c.applies_on, item.c.id)
        .limit(SHOWN)
    )
    return [
        Concerned(
            row.public_id,
            row.email,
            Money(row.old_minor, row.currency),
            Money(row.new_minor, row.currency),
            row.applies_on,
            row.state,
        )
        for row in rows
    ]


def prices_with_older(session: AnySession) -> list[Offered]:
    """Return the prices on sale that some running subscription has an older version of."""
    price, plan, old = table_of(Price), table_of(Plan), table_of(Price).alias()
    subscription = table_of(Subscription)
    rows = session.execute(
        sa.select(
            price.c.public_id,
            plan.c.name,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            price.c.country,
            sa.func.count(subscription.c.id).label("others"),
        )
        .join(plan, plan.c.id == price.c.plan_id)
        .join(old, same_price(price, old))
        .join(
            subscription,
            sa.and_(subscription.c.price_id == old.c.id, may_be_moved(subscription)),
        )
        .where(price.c.retired_at.is_(None))
        .group_by(price.c.id, plan.c.name, plan.c.position)
        .order_by(plan.c.position, price.c.id)
    )
    return [
        Offered(
            row.public_id,
            row.name,
            Interval(row.unit, row.unit_count),
            Money(row.amount_minor, row.currency),
            row.country,
            row.others,
        )
        for row in rows
    ]


def _changes() -> sa.Select[Any]:
    table, price, plan = table_of(PriceMigration), table_of(Price), table_of(Plan)
    return (
        sa.select(
            table,
            price.c.unit,
            price.c.count.label("unit_count"),
            price.c.amount_minor,
            price.c.currency,
            price.c.country,
            plan.c.name.label("plan_name"),
        )
        .join(price, price.c.id == table.c.price_id)
        .join(plan, plan.c.id == price.c.plan_id)
        .order_by(table.c.id.desc())
    )


def _change(row: AnyRow, counts: dict[str, int]) -> PriceChange:
    began = row.segment.get("began_before")
    return PriceChange(
        row.public_id,
        row.name,
        row.plan_name,
        Interval(row.unit, row.unit_count),
        Money(row.amount_minor, row.currency),
        row.effective_on,
        row.notice_days,
        tuple(row.segment.get("countries", ())),
        date.fromisoformat(began) if began else None,
        row.country,
        row.state,
        counts,
    )
