"""Whom a price change moves, what they pay now and then, and what each was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import boxes_per_period
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.price_changes import applies_on, turns_until
from storefront.domain.recurring import price_period
from storefront.domain.tax_treatment import TaxRules
from storefront.models import (
    Address,
    Customer,
    Plan,
    Price,
    PriceMigrationItem,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.addons import has_addons, running_addons
from storefront.operations.discounts import running_discounts, shipping_rates
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.taxes import buyer_columns
from storefront.operations.terms import option_texts, terms_of

#: Subscriptions priced at once.
SLICE = 200
_MOVED = (
    SubscriptionState.TRIALING,
    SubscriptionState.ACTIVE,
    SubscriptionState.PAST_DUE,
    SubscriptionState.PAUSED,
)


@dataclass(frozen=True, slots=True)
class Moved:
    """One subscriber of a price change; amounts are what a billing interval costs them."""

    subscription_id: int
    subscription: str
    email: str
    old_price_id: int
    old: Money
    new: Money
    applies_on: date


def moved_slice(
    session: AnySession,
    migration: AnyRow,
    taxes: TaxRules,
    today: date,
    after: int = 0,
) -> tuple[list[Moved], int | None]:
    """Return the next subscribers that ``migration`` would move, by key above ``after``.

    Beside them the key that the following slice begins behind, None when nobody is left.
    Those it has an item for are left out, and those who leave before it would touch them.
    Statements: a constant number.
    """
    rows = _rows(session, migration, after, of=None)
    if not rows:
        return [], None
    then = _rows(session, migration, after, of=migration.price_id)
    return _priced(session, migration, rows, then, taxes, today), rows[-1].id


def moved_one(
    session: AnySession, migration: AnyRow, subscription_id: int, taxes: TaxRules, today: date
) -> Moved | None:
    """Return what one subscriber pays now and then, as of today; None when it is over."""
    rows = _rows(session, migration, 0, of=None, only=subscription_id)
    then = _rows(session, migration, 0, of=migration.price_id, only=subscription_id)
    found = _priced(session, migration, rows, then, taxes, today)
    return found[0] if found else None


def _priced(
    session: AnySession,
    migration: AnyRow,
    rows: Sequence[AnyRow],
    at_new_price: Sequence[AnyRow],
    taxes: TaxRules,
    today: date,
) -> list[Moved]:
    if not rows:
        return []
    ids = [row.id for row in rows]
    then = {row.id: row for row in at_new_price}
    discounts, rates = running_discounts(session, ids), shipping_rates(session)
    options = option_texts(session, {row.plan_id for row in rows if row.options})
    addons = running_addons(session, (row.id for row in rows if row.has_addons))

    def cost(row: AnyRow, on: date, ahead: int) -> Money:
        billing = Interval(row.unit, row.unit_count)
        shipping = Interval(row.shipping_unit, row.shipping_count)
        boxes = boxes_per_period(billing, shipping) if row.ships else 0
        terms = terms_of(
            row,
            boxes,
            discounts.get(row.id, ()),
            options,
            taxes,
            on,
            rates=rates,
            addons=addons.get(row.id, ()),
            ahead=ahead,
        )
        return price_period(terms).quote.total

    found = []
    for row in rows:
        start, interval = max(row.next_on, row.anchor_on), Interval(row.unit, row.unit_count)
        on = applies_on(
            start,
            interval,
            row.anchor_day,
            effective_on=migration.effective_on,
            told_on=today,
            notice_days=migration.notice_days,
        )
        if row.cancel_on is not None and row.cancel_on <= on:
            continue
        # What is lowered once, or sold once, before that day is no part of either price.
        ahead = turns_until(start, interval, row.anchor_day, on)
        old, new = cost(row, on, ahead), cost(then[row.id], on, ahead)
        found.append(Moved(row.id, row.public_id, row.email, row.price_id, old, new, on))
    return found


def segment_of(migration: AnyRow) -> Mapping[str, Sequence[Any]]:
    """Return whom a migration is for: keys of the prices they pay now, countries or none."""
    segment: Mapping[str, Sequence[Any]] = migration.segment
    return segment


def _rows(
    session: AnySession, migration: AnyRow, after: int, of: int | None, only: int | None = None
) -> list[AnyRow]:
    """Return a slice of the subscriptions, with their own price or with that of ``of``.

    With ``only`` it is that one, also when it has an item.
    """
    subscription, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    address, customer = table_of(Address), table_of(Customer)
    segment = segment_of(migration)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    priced = price.c.id == (subscription.c.price_id if of is None else of)
    statement = (
        sa.select(
            subscription.c.id,
            subscription.c.public_id,
            subscription.c.quantity,
            subscription.c.options,
            subscription.c.anchor_on,
            subscription.c.anchor_day,
            subscription.c.next_on,
            subscription.c.billed_count,
            subscription.c.boxes_billed,
            subscription.c.cancel_on,
            price.c.id.label("price_id"),
            price.c.plan_id,
            price.c.currency,
            price.c.amount_minor,
            price.c.phases,
            price.c.tax_inclusive,
            price.c.unit,
            price.c.count.label("unit_count"),
            plan.c.name.label("plan_name"),
            plan.c.code.label("plan_code"),
            plan.c.ships,
            plan.c.shipping_unit,
            plan.c.shipping_count,
            plan.c.tax_class,
            address.c.country,
            address.c.region,
            address.c.postcode,
            address.c.city,
            *buyer_columns(customer),
            customer.c.email,
            has_addons(subscription).label("has_addons"),
        )
        .select_from(subscription)
        .join(price, priced)
        .join(plan, plan.c.id == price.c.plan_id)
        .join(customer, customer.c.id == payer)
        .outerjoin(address, address.c.id == subscription.c.address_id)
        .where(
            subscription.c.id > after,
            subscription.c.price_id.in_(segment["prices"]),
            subscription.c.state.in_(_MOVED),
            _untouched(migration, subscription) if only is None else subscription.c.id == only,
        )
        .order_by(subscription.c.id)
        .limit(SLICE)
    )
    if segment.get("countries"):
        statement = statement.where(address.c.country.in_(segment["countries"]))
    return list(session.execute(statement))


def _untouched(migration: AnyRow, subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    item = table_of(PriceMigrationItem)
    return ~sa.exists().where(
        item.c.migration_id == migration.id, item.c.subscription_id == subscription.c.id
    )
