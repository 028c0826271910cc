"""Claim due subscriptions and open their next periods, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.boxes import CycleSlot, slot_for
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.shipping import Delivery
from storefront.models import (
    Address,
    BoxCycle,
    Consent,
    Customer,
    PaymentMethod,
    Plan,
    Price,
    ScheduledChange,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.addons import has_addons, running_addons
from storefront.operations.boxes import CycleUse, cycle_use
from storefront.operations.change_data import due_change
from storefront.operations.discounts import running_discounts
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of, named
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.pinned import ending_columns, with_change
from storefront.operations.questions import Question, at_now
from storefront.operations.shipping import read_delivery
from storefront.operations.taxes import buyer_columns
from storefront.operations.terms import OptionTexts, option_texts
from storefront.operations.undeliverable import undeliverable


@dataclass(frozen=True, slots=True)
class Claim:
    """A subscription this worker holds; ``due_at`` is when it fell due."""

    id: int
    fence: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """Everything the decisions and prices of a batch need."""

    subscriptions: Sequence[AnyRow]
    slots: Mapping[int, Sequence[CycleSlot]]
    use: CycleUse
    discounts: Mapping[int, Sequence[AnyRow]]
    #: (plan id, group code, option code) -> (text for the line, minor units by currency).
    options: OptionTexts
    delivery: Delivery
    addons: Mapping[int, Sequence[AnyRow]]
    #: Subscriptions whose next box would go where nothing is sent.
    undeliverable: AbstractSet[int] = frozenset()


def count_due(session: AnySession, now: datetime) -> int:
    """Return how many subscriptions are due at ``now``; for a progress bar."""
    table = table_of(Subscription)
    statement = sa.select(sa.func.count()).where(_due(table))
    return int(session.execute(statement, {"now": now}).scalar_one())


def claim_due(session: AnySession, moment: Moment, limit: int, lease: timedelta) -> list[Claim]:
    """Claim up to ``limit`` due subscriptions, the longest due first.

    A claim raises the fencing number and moves ``renews_at`` behind the lease, so claimed
    rows leave the due index and come back by themselves if this worker dies.
    """
    due, hold = _claim_statements(session.get_bind().dialect.name == "postgresql")
    rows = named(session.execute(due, {"now": moment.now, "size": limit}))
    if rows:
        session.execute(hold, {"ids": [row.id for row in rows], "until": moment.now + lease})
    return [Claim(row.id, row.fence + 1, row.renews_at) for row in rows]


def _claimable() -> list[AnySelect]:
    return [_claim_statements(locks=False)[0]]


#: Whether subscriptions are due.
RENEWALS_DUE = Question(_claimable, at_now)


@cache
def _claim_statements(locks: bool) -> tuple[AnySelect, sa.UpdateBase]:
    table = table_of(Subscription)
    due = (
        sa.select(table.c.id, table.c.fence, table.c.renews_at)
        .where(_due(table))
        .order_by(table.c.renews_at, table.c.id)
        .limit(sa.bindparam("size", type_=sa.Integer()))
    )
    if locks:
        due = due.with_for_update(skip_locked=True)
    until = sa.bindparam("until", type_=table.c.renews_at.type)
    hold = sa.update(table).where(any_of(table.c.id))
    return due, hold.values(renews_at=until, fence=table.c.fence + 1)


def give_back(session: AnySession, claims: Sequence[Claim], until: datetime, at: datetime) -> None:
    """Make rows due again at ``at`` that this worker claimed and could not finish."""
    table = table_of(Subscription)
    session.connection().execute(
        sa.update(table)
        .where(
            table.c.id == sa.bindparam("key"),
            table.c.fence == sa.bindparam("held"),
            table.c.renews_at == sa.bindparam("lease", type_=table.c.renews_at.type),
        )
        .values(renews_at=sa.bindparam("again", type_=table.c.renews_at.type)),
        [{"key": c.id, "held": c.fence, "lease": until, "again": at} for c in claims],
    )


def read_batch(
    session: AnySession, claims: Sequence[Claim], countries: Sequence[str] = ()
) -> BatchFacts:
    """Read what the batch needs; the same number of statements for 1 and for 1,000 claims.

    ``countries`` are those the shop sends to; empty: all.
    """
    rows = _subscriptions(session, [claim.id for claim in claims])
    groups = {row.cycle_group_id for row in rows if row.ships}
    first = min((row.next_on for row in rows), default=None)
    slots = _slots(session, groups, first) if groups and first else {}
    ids = [row.id for row in rows]
    delivery = read_delivery(session)
    with_options = {row.plan_id for row in rows if row.options}
    return BatchFacts(
        rows,
        slots,
        cycle_use(session, ids),
        running_discounts(session, ids),
        option_texts(session, with_options),
        delivery,
        running_addons(session, (row.id for row in rows if row.has_addons)),
        undeliverable(session, rows, slots, countries, delivery.zones),
    )


def slot_at(facts: BatchFacts, row: AnyRow) -> CycleSlot | None:
    """Return the cycle that a period from ``row.next_on`` feeds first, if the plan ships."""
    return slot_for(facts.slots.get(row.cycle_group_id, ()), row.next_on) if row.ships else None


def _due(table: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.renews_at.is_not(None),
        table.c.renews_at <= sa.bindparam("now", type_=table.c.renews_at.type),
        table.c.parked_at.is_(None),
        table.c.held_at.is_(None),
    )


def _subscriptions(session: AnySession, ids: Sequence[int]) -> list[AnyRow]:
    rows = named(session.execute(_subscriptions_statement(), {"ids": ids}))
    return [
        with_change(row, row.held_price_id, row.price_id) if row.change_id else row for row in rows
    ]


@cache
def _subscriptions_statement() -> AnySelect:
    subscription, price, plan = table_of(Subscription), table_of(Price), table_of(Plan)
    address, customer, settings = table_of(Address), table_of(Customer), table_of(ShopSettings)
    method, last = table_of(PaymentMethod), table_of(SubscriptionPeriod)
    payer = sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
    consent, change = table_of(Consent), table_of(ScheduledChange)
    return (
        sa.select(
            subscription.c.id,
            subscription.c.public_id,
            subscription.c.customer_id,
            payer.label("payer"),
            price.c.plan_id,
            price.c.id.label("price_id"),
            change.c.id.label("change_id"),
            change.c.kind.label("change_kind"),
            change.c.data.label("change_data"),
            subscription.c.price_id.label("held_price_id"),
            subscription.c.quantity,
            subscription.c.options,
            subscription.c.state,
            subscription.c.version,
            subscription.c.fence,
            subscription.c.anchor_on,
            subscription.c.anchor_day,
            subscription.c.next_on,
            subscription.c.next_number,
            subscription.c.billed_count,
            subscription.c.boxes_billed,
            subscription.c.min_boxes,
            subscription.c.max_boxes,
            subscription.c.ends_on,
            subscription.c.cancel_on,
            subscription.c.pauses_on,
            subscription.c.resumes_on,
            subscription.c.mrr_minor,
            subscription.c.cohort,
            subscription.c.source,
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
            plan.c.cycle_group_id,
            plan.c.tax_class,
            *ending_columns(plan),
            address.c.name.label("ship_name"),
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.postcode,
            address.c.city,
            address.c.country,
            address.c.region,
            *buyer_columns(customer, subscription),
            customer.c.billing,
            customer.c.pays_by,
            sa.func.coalesce(
                customer.c.payment_days, sa.select(settings.c.payment_days).scalar_subquery()
            ).label("payment_days"),
            customer.c.name.label("payer_name"),
            customer.c.email.label("payer_email"),
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            method.c.refused_at,
            last.c.kind.label("last_kind"),
            last.c.opened_at.label("last_opened_at"),
            last.c.paid_at.label("last_paid_at"),
            sa.exists().where(consent.c.subscription_id == subscription.c.id).label("has_consent"),
            has_addons(subscription).label("has_addons"),
        )
        .select_from(subscription)
        .outerjoin(change, due_change(change, subscription))
        .join(price, price.c.id == sa.func.coalesce(change.c.price_id, subscription.c.price_id))
        .join(plan, plan.c.id == price.c.plan_id)
        .join(customer, customer.c.id == payer)
        .outerjoin(address, address.c.id == subscription.c.address_id)
        .outerjoin(method, paying_method(usable=False))
        .outerjoin(
            last,
            sa.and_(
                last.c.subscription_id == subscription.c.id,
                last.c.number == subscription.c.next_number - 1,
                last.c.kind.in_([PeriodKind.BILLED, PeriodKind.TRIAL, PeriodKind.GIFT]),
            ),
        )
        .where(any_of(subscription.c.id))
        .order_by(subscription.c.id)
    )


def _slots(session: AnySession, groups: set[int], first: date) -> dict[int, list[CycleSlot]]:
    """Return cycles of every state that a period from ``first`` on could feed."""
    rows = session.execute(_slots_statement(), {"ids": sorted(groups), "from": first}).all()
    found: dict[int, list[CycleSlot]] = {}
    for row in rows:
        slot = CycleSlot(row.id, row.charge_on, row.cutoff_on, row.lock_on, row.ship_from)
        found.setdefault(row.group_id, []).append(slot)
    return found


@cache
def _slots_statement() -> AnySelect:
    table = table_of(BoxCycle)
    return (
        sa.select(
            table.c.id,
            table.c.group_id,
            table.c.charge_on,
            table.c.cutoff_on,
            table.c.lock_on,
            table.c.ship_from,
        )
        .where(
            any_of(table.c.group_id),
            table.c.lock_on >= sa.bindparam("from", type_=table.c.lock_on.type),
        )
        .order_by(table.c.ship_from, table.c.id)
    )
