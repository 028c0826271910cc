"""Whom a price change moves, what they pay now and then, and what each was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import boxes_per_period
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.price_changes import applies_on, turns_until
from storefront.domain.recurring import PricedPeriod, price_period
from storefront.domain.shipping import INCLUDED, Delivery
from storefront.domain.tax_treatment import FALLBACK, TaxRules
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
from storefront.operations.discounts import running_discounts
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.shipping import read_delivery
from storefront.operations.taxes import buyer_columns
from storefront.operations.terms import OptionTexts, option_texts, terms_of

#: Subscriptions priced at once.
SLICE = 200
_MOVED = (
    SubscriptionState.TRIALING,
    SubscriptionState.ACTIVE,
    SubscriptionState.PAST_DUE,
    SubscriptionState.PAUSED,
)


def same_price(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    """Select pairs of different versions of one price."""
    keys = ("plan_id", "currency", "country", "unit", "count")
    return sa.and_(*[one.c[key] == other.c[key] for key in keys], one.c.id != other.c.id)


def may_be_moved(subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    """Select the subscriptions that a price change can move: they run and nobody canceled them."""
    return sa.and_(subscription.c.state.in_(_MOVED), subscription.c.cancel_on.is_(None))


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
    #: The tax provider did not say the rate: it is the shop's own.
    is_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Coming:
    """Subscribers that a price change would move, read and not priced yet."""

    #: With their own price, the day it ends for them and how many payments come before.
    rows: tuple[tuple[AnyRow, date, int], ...]
    #: The same with the new price, by key.
    then: Mapping[int, AnyRow]
    discounts: Mapping[int, Sequence[AnyRow]]
    delivery: Delivery
    options: OptionTexts
    addons: Mapping[int, Sequence[AnyRow]]
    #: The key that the following slice begins behind, None when nobody is left.
    last: int | None

    def taxed(self) -> Iterator[tuple[AnyRow, str, date]]:
        """Yield what a tax provider is asked about: who and where, tax class, day."""
        for row, on, _ahead in self.rows:
            for one in (row, *self.addons.get(row.id, ())):
                yield row, one.tax_class, on


def coming_slice(session: AnySession, migration: AnyRow, today: date, after: int = 0) -> Coming:
    """Return the next subscribers that ``migration`` would move, by key above ``after``.

    Those it has an item for are left out, and those who end before it would touch them.
    Statements: a constant number.
    """
    rows = _rows(session, migration, after, of=None)
    then = _rows(session, migration, after, of=migration.price_id) if rows else []
    return _coming(session, migration, rows, then, today)


def coming_for(
    session: AnySession, migration: AnyRow, subscription_ids: Sequence[int], today: date
) -> Coming:
    """Return these subscribers as of today, without those for whom it is over."""
    rows = _rows(session, migration, 0, of=None, only=subscription_ids)
    then = _rows(session, migration, 0, of=migration.price_id, only=subscription_ids)
    return _coming(session, migration, rows, then, today)


def _coming(
    session: AnySession,
    migration: AnyRow,
    rows: Sequence[AnyRow],
    at_new_price: Sequence[AnyRow],
    today: date,
) -> Coming:
    ids = [row.id for row in rows]
    return Coming(
        tuple(_touched(migration, rows, today)),
        {row.id: row for row in at_new_price},
        running_discounts(session, ids) if ids else {},
        read_delivery(session) if ids else INCLUDED,
        option_texts(session, {row.plan_id for row in (*rows, *at_new_price) if row.options}),
        running_addons(session, (row.id for row in rows if row.has_addons)),
        rows[-1].id if rows else None,
    )


def _touched(
    migration: AnyRow, rows: Sequence[AnyRow], today: date
) -> Iterator[tuple[AnyRow, date, int]]:
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
        # What is lowered once, or sold once, before that day is no part of either price.
        ahead = turns_until(start, interval, row.anchor_day, on)
        if not _is_over(row, on, ahead):
            yield row, on, ahead


def _is_over(row: AnyRow, on: date, ahead: int) -> bool:
    """Return whether a subscription ends by itself before it pays on ``on``."""
    ends_on, most = row.ends_on, row.max_boxes
    boxes = max(_boxes_of(row), 1)
    has_none_left = most is not None and row.boxes_billed + (ahead + 1) * boxes > most
    return has_none_left or (ends_on is not None and on >= ends_on)


def _boxes_of(row: AnyRow) -> int:
    """Return how many boxes a payment pays for."""
    shipping = Interval(row.shipping_unit, row.shipping_count)
    return boxes_per_period(Interval(row.unit, row.unit_count), shipping) if row.ships else 0


def priced(coming: Coming, taxes: TaxRules) -> list[Moved]:
    """Return what each of ``coming`` pays now and then, taxed by ``taxes``."""

    def cost(row: AnyRow, on: date, ahead: int) -> PricedPeriod:
        terms = terms_of(
            row,
            _boxes_of(row),
            coming.discounts.get(row.id, ()),
            coming.options,
            taxes,
            on,
            delivery=coming.delivery,
            addons=coming.addons.get(row.id, ()),
            ahead=ahead,
        )
        return price_period(terms)

    found = []
    for row, on, ahead in coming.rows:
        old, new = cost(row, on, ahead), cost(coming.then[row.id], on, ahead)
        found.append(
            Moved(
                row.id,
                row.public_id,
                row.email,
                row.price_id,
                old.quote.total,
                new.quote.total,
                on,
                new.tax_source == FALLBACK,
            )
        )
    return found


def segment_of(migration: AnyRow) -> Mapping[str, Any]:
    """Return whom a migration is for: keys of the prices they pay now, countries or none.

    ``began_before_at`` is the instant before which they signed up, when that matters.
    """
    segment: Mapping[str, Any] = migration.segment
    return segment


def _rows(
    session: AnySession,
    migration: AnyRow,
    after: int,
    of: int | None,
    only: Sequence[int] | None = None,
) -> list[AnyRow]:
    """Return a slice of the subscriptions, with their own price or with that of ``of``.

    With ``only`` it is those, also when they have an item.
    """
    subscription, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    address, customer = table_of(Address), table_of(Customer)
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
            subscription.c.ends_on,
            subscription.c.max_boxes,
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
            *buyer_columns(customer, subscription),
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
            _concerned(migration, subscription, address),
            _untouched(migration, subscription) if only is None else subscription.c.id.in_(only),
        )
        .order_by(subscription.c.id)
        .limit(SLICE)
    )
    return list(session.execute(statement))


def count_concerned(session: AnySession, migration: AnyRow) -> int:
    """Return how many subscriptions a price change is for, also those that end before it."""
    subscription, address = table_of(Subscription), table_of(Address)
    return int(
        session.scalar(
            sa.select(sa.func.count())
            .select_from(subscription)
            .outerjoin(address, address.c.id == subscription.c.address_id)
            .where(_concerned(migration, subscription, address))
        )
        or 0
    )


def _concerned(
    migration: AnyRow, subscription: sa.FromClause, address: sa.FromClause
) -> sa.ColumnElement[bool]:
    segment = segment_of(migration)
    conditions = [subscription.c.price_id.in_(segment["prices"]), may_be_moved(subscription)]
    if segment.get("countries"):
        conditions.append(address.c.country.in_(segment["countries"]))
    if segment.get("began_before_at"):
        before = datetime.fromisoformat(segment["began_before_at"])
        conditions.append(subscription.c.created_at < before)
    return sa.and_(*conditions)


def _untouched(migration: AnyRow, subscription: sa.FromClause) -> sa.ColumnElement[bool]:
    item = table_of(PriceMigrationItem)
    return ~sa.exists().where(
        item.c.migration_id == migration.id, item.c.subscription_id == subscription.c.id
    )
