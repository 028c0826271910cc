"""What the checkout's pages show of one order, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.money import Money
from storefront.models import (
    Address,
    Box,
    BoxCycle,
    ChargeAttempt,
    Customer,
    Invoice,
    PaymentMethod,
    Plan,
    Price,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.checkout import Market, Order, find_checkout, read_order
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.offers import fits, read_plan, read_prices
from storefront.operations.orders import ADDRESS_COLUMNS


@dataclass(frozen=True, slots=True)
class Choosable:
    """A plan that can be ordered and the price of the interval that was asked for."""

    plan_id: int
    price_id: int


def find_plan(
    session: AnySession, code: str, market: Market, unit_count: tuple[str, int] | None
) -> Choosable | None:
    """Return the plan with this code that is on sale, in the interval wished or the shortest."""
    table = table_of(Plan)
    plan_id = session.execute(
        sa.select(table.c.id).where(table.c.code == code, table.c.archived_at.is_(None))
    ).scalar_one_or_none()
    if plan_id is None:
        return None
    plan = read_plan(session, plan_id)
    on_sale = read_prices(session, plan_id, market.currency, market.country_of({}))
    prices = [price for price in on_sale if fits(plan, price)]
    if not prices:
        return None
    wished = [
        price
        for price in prices
        if (price.interval.unit, price.interval.count) == (unit_count or ("", 0))
    ]
    return Choosable(plan_id, (wished or prices)[0].id)


def preview(
    session: AnySession,
    chosen: Choosable,
    options: Mapping[str, str],
    market: Market,
    moment: Moment,
) -> Order:
    """Return the order as it would be, before anything is written."""
    row: Any = _Unwritten(plan_id=chosen.plan_id, price_id=chosen.price_id, options=options)
    return read_order(session, row, market, moment)


@dataclass(frozen=True, slots=True)
class _Unwritten:
    """Looks like a row of ``checkout`` on which nothing was typed yet."""

    plan_id: int
    price_id: int
    options: Mapping[str, Any]
    state: str = "open"
    email: str = ""
    quantity: int = 1
    promotion_code_id: int | None = None
    quote_hash: str = ""
    id: int = 0
    tax_id: str = ""
    tax_id_state: str = ""
    customer_id: int | None = None
    addons: Sequence[Mapping[str, Any]] = ()

    @property
    def address(self) -> dict[str, Any]:
        return {}

    @property
    def quote(self) -> dict[str, Any]:
        return {}


def order_page(session: AnySession, key: str, market: Market, moment: Moment) -> Order | None:
    """Return the order with this id, priced as of now, or None."""
    row = find_checkout(session, key)
    return None if row is None else read_order(session, row, market, moment)


@dataclass(frozen=True, slots=True)
class KnownDelivery:
    """What a signed-in customer need not type again."""

    email: str
    address: dict[str, str]
    #: VAT number and its state.
    tax_id: tuple[str, str] = ("", "")


def known_delivery(session: AnySession, customer_id: int) -> KnownDelivery:
    """Return e-mail and the newest address of a customer."""
    customer, address = table_of(Customer), table_of(Address)
    who = session.execute(
        sa.select(
            customer.c.email, customer.c.name, customer.c.tax_id, customer.c.tax_id_state
        ).where(customer.c.id == customer_id)
    ).one()
    row = session.execute(
        sa.select(*[address.c[name] for name in ADDRESS_COLUMNS])
        .where(address.c.customer_id == customer_id)
        .order_by(address.c.id.desc())
        .limit(1)
    ).one_or_none()
    known = dict(row._mapping) if row else {"name": who.name}
    return KnownDelivery(who.email, known, (who.tax_id, who.tax_id_state))


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An order that is paid: what was charged, to which card, and what comes next."""

    plan_name: str
    unit: str
    count: int
    name: str
    email: str
    address: dict[str, str]
    paid: Money
    tax: Money
    tax_inside: bool
    lines: tuple[tuple[str, Money], ...]
    card: str
    charges: tuple[tuple[date, Money], ...]
    ships_on: date | None
    cutoff_on: date | None
    is_verified: bool


def confirmation(session: AnySession, key: str) -> Confirmation | None:
    """Return the paid order with this id, or None while it is not paid."""
    row = find_checkout(session, key)
    if row is None or row.state != "done":
        return None
    found = _paid(session, row)
    if found is None:
        return None
    quote = row.quote
    currency = found.currency
    charges = [(date.fromisoformat(on), Money(minor, currency)) for on, minor in quote["charges"]]
    first = _first_box(session, found.subscription_id)
    return Confirmation(
        plan_name=found.plan_name,
        unit=found.unit,
        count=found.unit_count,
        name=str(row.address.get("name", "")),
        email=row.email,
        address={name: str(row.address.get(name, "")) for name in ADDRESS_COLUMNS},
        paid=Money(found.total_minor, currency),
        tax=Money(found.tax_minor, currency),
        tax_inside=found.tax_inclusive,
        lines=tuple((text, Money(minor, currency)) for text, minor in quote["lines"]),
        card=_card(found),
        charges=tuple(charges),
        ships_on=first.ship_from if first else None,
        cutoff_on=first.cutoff_on if first else None,
        is_verified=found.email_verified_at is not None,
    )


def _card(row: AnyRow) -> str:
    return f"{row.brand.capitalize()} •••• {row.last4}" if row.last4 else ""


def _paid(session: AnySession, checkout: AnyRow) -> AnyRow | None:
    invoice, subscription, plan = table_of(Invoice), table_of(Subscription), table_of(Plan)
    price, method, customer = table_of(Price), table_of(PaymentMethod), table_of(Customer)
    return session.execute(
        sa.select(
            invoice.c.total_minor,
            invoice.c.tax_minor,
            invoice.c.tax_inclusive,
            invoice.c.currency,
            subscription.c.id.label("subscription_id"),
            plan.c.name.label("plan_name"),
            price.c.unit,
            price.c.count.label("unit_count"),
            method.c.brand,
            method.c.last4,
            customer.c.email_verified_at,
        )
        .select_from(
            invoice.join(subscription, subscription.c.checkout_id == invoice.c.checkout_id)
            .join(plan, plan.c.id == subscription.c.plan_id)
            .join(price, price.c.id == subscription.c.price_id)
            .join(customer, customer.c.id == invoice.c.payer_id)
            .outerjoin(method, method.c.id == subscription.c.payment_method_id)
        )
        .where(
            invoice.c.checkout_id == checkout.id,
            invoice.c.state.not_in([InvoiceState.OFFERED, InvoiceState.DISCARDED]),
        )
        .order_by(invoice.c.id)
        .limit(1)
    ).one_or_none()


def _first_box(session: AnySession, subscription_id: int) -> AnyRow | None:
    box, cycle = table_of(Box), table_of(BoxCycle)
    return session.execute(
        sa.select(cycle.c.ship_from, cycle.c.cutoff_on)
        .select_from(box.join(cycle, cycle.c.id == box.c.cycle_id))
        .where(box.c.subscription_id == subscription_id)
        .order_by(box.c.id)
        .limit(1)
    ).one_or_none()


def payment_sent_at(session: AnySession, key: str) -> Any:
    """Return when the last charge of an order left, None if none did."""
    attempt, invoice = table_of(ChargeAttempt), table_of(Invoice)
    row = find_checkout(session, key)
    if row is None:
        return None
    return session.execute(
        sa.select(sa.func.max(attempt.c.sent_at))
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(invoice.c.checkout_id == row.id)
    ).scalar_one()
