"""Read what a change of plan or interval needs to know, and refuse what cannot be changed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.changes import (
    ChangeQuote,
    NotChangeable,
    PaidLine,
    Restart,
    Target,
    quote_later,
    quote_now,
    restart,
)
from storefront.domain.checkout import NoCycle, OrderQuote, quote_order
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.lifecycle import PeriodKind, PeriodState, SubscriptionState
from storefront.domain.recurring import PricedPeriod
from storefront.domain.tax_treatment import Sale, TaxRules
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    Customer,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Price,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.change_costs import costs_of_change
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.methods import paying_method
from storefront.operations.moment import Moment
from storefront.operations.offers import (
    OrderPlan,
    OrderPrice,
    fits,
    open_slots,
    order_terms,
    price_from,
    read_plan,
)
from storefront.operations.taxes import buyer_columns, sale_to


@dataclass(frozen=True, slots=True)
class ChangeFacts:
    """A change as it could be made now; without ``order`` and ``restart`` it waits."""

    row: AnyRow
    price: OrderPrice
    plan: OrderPlan
    #: A period of what is changed to, with the options and discounts there are.
    period: PricedPeriod
    asks_consent: bool
    order: OrderQuote | None
    restart: Restart | None


def read_change(
    session: AnySession,
    customer_id: int,
    subscription: str,
    price: str,
    taxes: TaxRules,
    moment: Moment,
) -> ChangeFacts:
    """Return the facts of changing to the price version ``price``.

    Raises ``LookupError`` for what is not the customer's or not on sale, and
    ``NotChangeable``. ``taxes`` are the shop's.
    """
    row = own_subscription(session, customer_id, subscription)
    target, plan = _target(session, row, price)
    _check(session, row, target)
    sale = sale_to(row, taxes)
    period, asks = costs_of_change(session, row, target, plan, sale, moment)
    order = _first_order(session, row, target, plan, sale, moment)
    restarted = None
    if order is not None and order.boxes >= row.box_count:
        restarted = restart(_paid_lines(session, row.period_id), period.quote)
    return ChangeFacts(row, target, plan, period, asks, order, restarted)


def quote_of(facts: ChangeFacts, moment: Moment) -> ChangeQuote:
    """Return what the change of ``facts`` costs, as it is shown and booked."""
    row, order = facts.row, facts.order
    target = Target(
        facts.price.public_id,
        facts.plan.name,
        facts.price.interval,
        facts.period.quote.total,
        facts.asks_consent,
    )
    if order is None or facts.restart is None:
        return quote_later(row.public_id, target, max(row.next_on, row.anchor_on))
    return quote_now(row.public_id, target, facts.restart, moment.today, order.renewal_on)


def own_subscription(session: AnySession, customer_id: int, subscription: str) -> AnyRow:
    """Return the customer's subscription with price, last period, payer and usable method.

    Raises ``LookupError`` for what is not the customer's.
    """
    table, price, period = table_of(Subscription), table_of(Price), table_of(SubscriptionPeriod)
    address, method, payer = table_of(Address), table_of(PaymentMethod), table_of(Customer)
    pays = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    statement = (
        sa.select(
            table,
            pays.label("payer"),
            price.c.currency,
            address.c.name.label("ship_name"),
            address.c.company,
            address.c.street,
            address.c.extra,
            address.c.country,
            address.c.region,
            address.c.postcode,
            address.c.city,
            *buyer_columns(payer),
            payer.c.name.label("payer_name"),
            payer.c.email.label("payer_email"),
            method.c.id.label("method_id"),
            method.c.gateway,
            method.c.account,
            method.c.fingerprint,
            period.c.id.label("period_id"),
            period.c.kind.label("period_kind"),
            period.c.state.label("period_state"),
            period.c.start_on,
            period.c.box_count,
        )
        .join(price, price.c.id == table.c.price_id)
        .join(payer, payer.c.id == pays)
        .join(
            period,
            sa.and_(
                period.c.subscription_id == table.c.id, period.c.number == table.c.next_number - 1
            ),
        )
        .outerjoin(address, address.c.id == table.c.address_id)
        .outerjoin(method, paying_method(usable=True))
        .where(table.c.public_id == subscription, table.c.customer_id == customer_id)
    )
    row = session.execute(statement).one_or_none()
    if row is None:
        raise LookupError(subscription)
    return row


def _target(session: AnySession, row: AnyRow, price: str) -> tuple[OrderPrice, OrderPlan]:
    table = table_of(Price)
    found = session.execute(
        sa.select(table).where(table.c.public_id == price, table.c.retired_at.is_(None))
    ).one_or_none()
    if found is None or found.currency != row.currency:
        raise LookupError(price)
    target, plan = price_from(found), read_plan(session, found.plan_id)
    if not fits(plan, target):
        raise LookupError(price)
    return target, plan


def _check(session: AnySession, row: AnyRow, target: OrderPrice) -> None:
    if SubscriptionState(row.state) is not SubscriptionState.ACTIVE or row.held_at is not None:
        raise NotChangeable(reason=str(row.state))
    if row.cancel_on is not None:
        raise NotChangeable(reason="cancelled")
    if row.price_id == target.id:
        raise NotChangeable(reason="same")
    if row.method_id is None:
        raise NotChangeable(reason="no_method")
    table = table_of(ScheduledChange)
    waits = session.scalar(
        sa.select(sa.func.count()).where(
            table.c.subscription_id == row.id, table.c.state == "waiting"
        )
    )
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    owes = session.scalar(
        sa.select(sa.func.count())
        .select_from(line.join(invoice, invoice.c.id == line.c.invoice_id))
        .where(line.c.subscription_id == row.id, invoice.c.state == InvoiceState.OPEN)
    )
    if waits:
        raise NotChangeable(reason="waiting")
    if owes:
        raise NotChangeable(reason="unpaid")


def _first_order(
    session: AnySession,
    row: AnyRow,
    target: OrderPrice,
    plan: OrderPlan,
    sale: Sale,
    moment: Moment,
) -> OrderQuote | None:
    """Return the period as if it were ordered today; None when the change has to wait."""
    if row.start_on != moment.today or not _is_untouched(session, row, moment):
        return None
    slots = open_slots(session, plan.group_id, moment.today)
    terms = order_terms(plan, target, sale, moment.today, slots, quantity=row.quantity)
    try:
        return quote_order(terms)
    except NoCycle:
        return None


def _is_untouched(session: AnySession, row: AnyRow, moment: Moment) -> bool:
    """Return whether the period is a paid one, and each of its boxes can still be changed."""
    if row.period_kind != PeriodKind.BILLED or row.period_state != PeriodState.PAID:
        return False
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = session.execute(
        sa.select(box.c.state, cycle.c.cutoff_on)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.period_id == row.period_id)
    ).all()
    return all(
        each.state == BoxState.PLANNED
        and (each.cutoff_on is None or each.cutoff_on >= moment.today)
        for each in rows
    )


def _paid_lines(session: AnySession, period_id: int) -> list[PaidLine]:
    """Return the live lines of a period; what a change took back of them is off already."""
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    rows = session.execute(
        sa.select(line)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(line.c.period_id == period_id, invoice.c.state == InvoiceState.PAID)
        .order_by(line.c.id)
    ).all()
    return [
        PaidLine(
            row.id,
            LineKind(row.kind),
            row.text,
            row.gross_minor - row.credited_minor,
            Decimal(row.tax_rate_bp) / 100,
        )
        for row in rows
        if row.kind != LineKind.PRORATION_CREDIT and row.credited_minor < abs(row.gross_minor)
    ]
