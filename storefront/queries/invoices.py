"""What a customer owes and has paid: open invoice, list, and one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import SubscriptionState
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    CreditNote,
    DunningCase,
    GatewaySetup,
    Invoice,
    InvoiceLine,
    NumberSeries,
    PaymentMethod,
    Refund,
    Subscription,
)
from storefront.models.base import table_of

#: States a customer sees; an order that was never paid for is no invoice.
_SHOWN = (
    InvoiceState.OPEN,
    InvoiceState.PAID,
    InvoiceState.VOID,
    InvoiceState.UNCOLLECTIBLE,
)
_PAGE = 24


@dataclass(frozen=True, slots=True)
class Owed:
    """An open invoice and what became of the last question to the bank."""

    invoice: str
    subscription: str
    amount: Money
    due_on: date
    #: State of the last attempt, empty when none was made, and the bank's reason.
    attempt: str
    reason: str
    tried_at: datetime | None
    next_try_at: datetime | None
    action_url: str
    is_past_due: bool


def owed(session: AnySession, customer_id: int) -> Owed | None:
    """Return the most urgent open invoice of the customer, or None; one statement."""
    invoice, attempt, case = table_of(Invoice), table_of(ChargeAttempt), table_of(DunningCase)
    line, table = table_of(InvoiceLine), table_of(Subscription)
    tried = attempt.alias()
    newest = (
        sa.select(sa.func.max(tried.c.id))
        .where(tried.c.invoice_id == invoice.c.id)
        .scalar_subquery()
    )
    of = (
        sa.select(sa.func.min(line.c.subscription_id))
        .where(line.c.invoice_id == invoice.c.id)
        .scalar_subquery()
    )
    row = session.execute(
        sa.select(
            invoice.c.public_id,
            table.c.public_id.label("subscription"),
            table.c.state,
            invoice.c.due_minor,
            invoice.c.currency,
            invoice.c.due_on,
            attempt.c.state.label("attempt"),
            attempt.c.reason,
            attempt.c.answered_at,
            attempt.c.action_url,
            case.c.next_at,
            case.c.next_action,
        )
        .select_from(invoice)
        .outerjoin(attempt, attempt.c.id == newest)
        .outerjoin(case, sa.and_(case.c.invoice_id == invoice.c.id, case.c.state == "open"))
        .join(table, table.c.id == of)
        .where(invoice.c.payer_id == customer_id, invoice.c.state == InvoiceState.OPEN)
        .order_by(invoice.c.due_on, invoice.c.id)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    return Owed(
        row.public_id,
        row.subscription,
        Money(row.due_minor, row.currency),
        row.due_on,
        AttemptState(row.attempt).value if row.attempt else "",
        row.reason or "",
        row.answered_at,
        row.next_at if row.next_action == "retry" else None,
        row.action_url or "",
        row.state == SubscriptionState.PAST_DUE,
    )


def has_setup(session: AnySession, customer_id: int, public_id: str) -> bool:
    """Return whether this customer began to add a card under that id."""
    table = table_of(GatewaySetup)
    found = sa.select(table.c.id).where(
        table.c.public_id == public_id, table.c.customer_id == customer_id
    )
    return session.execute(found).one_or_none() is not None


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """One line of the list. ``state`` is a pill's: open, overdue, paid, void …"""

    public_id: str
    number: str
    on: date
    text: str
    total: Money
    state: str


@dataclass(frozen=True, slots=True)
class InvoiceList:
    """A page of invoices, newest first; ``older`` is the next page's key."""

    rows: tuple[InvoiceRow, ...]
    older: str | None


def invoices(
    session: AnySession, customer_id: int, today: date, before: str | None = None
) -> InvoiceList:
    """Return the customer's invoices, those older than ``before`` when given."""
    table, series, line = table_of(Invoice), table_of(NumberSeries), table_of(InvoiceLine)
    text = (
        sa.select(line.c.text)
        .where(line.c.invoice_id == table.c.id, line.c.position == 1)
        .scalar_subquery()
    )
    statement = (
        sa.select(
            table.c.public_id,
            series.c.prefix,
            table.c.number,
            table.c.tax_point_on,
            table.c.due_on,
            table.c.total_minor,
            table.c.currency,
            table.c.state,
            text.label("text"),
        )
        .outerjoin(series, series.c.code == table.c.series)
        .where(table.c.payer_id == customer_id, table.c.state.in_(_SHOWN))
        .order_by(table.c.id.desc())
        .limit(_PAGE + 1)
    )
    if before:
        edge = sa.select(table.c.id).where(
            table.c.public_id == before, table.c.payer_id == customer_id
        )
        statement = statement.where(table.c.id < edge.scalar_subquery())
    found = session.execute(statement).all()
    rows = tuple(
        InvoiceRow(
            row.public_id,
            f"{row.prefix or ''}{row.number}",
            row.tax_point_on,
            row.text or "",
            Money(row.total_minor, row.currency),
            _state(row.state, row.due_on, today),
        )
        for row in found[:_PAGE]
    )
    return InvoiceList(rows, rows[-1].public_id if len(found) > _PAGE else None)


def _state(state: InvoiceState, due_on: date, today: date) -> str:
    if state is InvoiceState.OPEN and due_on < today:
        return "overdue"
    return InvoiceState(state).value


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of a document; ``amount`` is as printed, tax in it when the prices have it."""

    text: str
    kind: str
    quantity: int
    unit: Money
    rate: Decimal
    amount: Money
    service_from: date | None
    #: Last day covered.
    service_until: date | None


@dataclass(frozen=True, slots=True)
class PaymentView:
    """Money that came or went back, or a credit note. ``kind``: paid, refund, credit_note."""

    kind: str
    amount: Money
    at: datetime
    brand: str = ""
    last4: str = ""
    number: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """A document as its customer reads it."""

    public_id: str
    number: str
    state: str
    on: date
    due_on: date
    seller: Mapping[str, Any]
    buyer: Mapping[str, Any]
    ship_to: Mapping[str, Any]
    tax_inclusive: bool
    lines: tuple[LineView, ...]
    #: Per rate: rate in percent, net, tax.
    taxes: tuple[tuple[Decimal, Money, Money], ...]
    total: Money
    net: Money
    tax: Money
    credited: Money
    due: Money
    payments: tuple[PaymentView, ...]


def invoice(
    session: AnySession, customer_id: int, public_id: str, today: date
) -> InvoiceView | None:
    """Return one of the customer's invoices, or None. Four statements."""
    table, series, line = table_of(Invoice), table_of(NumberSeries), table_of(InvoiceLine)
    row = session.execute(
        sa.select(table, series.c.prefix)
        .outerjoin(series, series.c.code == table.c.series)
        .where(
            table.c.public_id == public_id,
            table.c.payer_id == customer_id,
            table.c.state.in_(_SHOWN),
        )
    ).one_or_none()
    if row is None:
        return None
    lines = session.execute(
        sa.select(line).where(line.c.invoice_id == row.id).order_by(line.c.position)
    ).all()

    def money(minor: int) -> Money:
        return Money(minor, row.currency)

    snapshot = row.snapshot or {}
    return InvoiceView(
        row.public_id,
        f"{row.prefix or ''}{row.number}",
        _state(row.state, row.due_on, today),
        row.tax_point_on,
        row.due_on,
        snapshot.get("seller", {}),
        snapshot.get("buyer", {}),
        snapshot.get("ship_to", {}),
        row.tax_inclusive,
        tuple(_line(one, row.currency) for one in lines),
        _taxes(lines, row.currency),
        money(row.total_minor),
        money(row.total_minor - row.tax_minor),
        money(row.tax_minor),
        money(row.credited_minor),
        money(row.due_minor),
        _payments(session, row.id, row.currency),
    )


def _line(row: Any, currency: str) -> LineView:
    return LineView(
        row.text,
        str(row.kind.value),
        row.quantity,
        Money(row.unit_minor, currency),
        Decimal(row.tax_rate_bp) / 100,
        Money(row.amount_minor, currency),
        row.service_from,
        row.service_to - timedelta(days=1) if row.service_to else None,
    )


def _taxes(lines: Sequence[Any], currency: str) -> tuple[tuple[Decimal, Money, Money], ...]:
    sums: dict[int, list[int]] = {}
    for line in lines:
        net_tax = sums.setdefault(line.tax_rate_bp, [0, 0])
        net_tax[0] += line.gross_minor - line.tax_minor
        net_tax[1] += line.tax_minor
    return tuple(
        (Decimal(rate) / 100, Money(net, currency), Money(tax, currency))
        for rate, (net, tax) in sorted(sums.items())
    )


def _payments(session: AnySession, invoice_id: int, currency: str) -> tuple[PaymentView, ...]:
    """Return what was paid, given back and credited, in the order it happened."""
    attempt, method = table_of(ChargeAttempt), table_of(PaymentMethod)
    refund, note = table_of(Refund), table_of(CreditNote)
    series = table_of(NumberSeries)
    blank = sa.literal("")
    took = sa.select(
        sa.literal("paid").label("kind"),
        attempt.c.amount_minor,
        attempt.c.answered_at.label("at"),
        method.c.brand,
        method.c.last4,
        blank.label("number"),
        blank.label("state"),
    ).outerjoin(method, method.c.id == attempt.c.payment_method_id)
    took = took.where(attempt.c.invoice_id == invoice_id, attempt.c.state == AttemptState.SUCCEEDED)
    gave = (
        sa.select(
            sa.literal("refund"),
            refund.c.amount_minor,
            sa.func.coalesce(refund.c.answered_at, refund.c.created_at),
            method.c.brand,
            method.c.last4,
            blank,
            sa.cast(refund.c.state, sa.String),
        )
        .join(attempt, attempt.c.id == refund.c.attempt_id)
        .outerjoin(method, method.c.id == attempt.c.payment_method_id)
        .where(attempt.c.invoice_id == invoice_id)
    )
    noted = (
        sa.select(
            sa.literal("credit_note"),
            note.c.total_minor,
            note.c.created_at,
            blank,
            blank,
            sa.func.coalesce(series.c.prefix, "") + sa.cast(note.c.number, sa.String),
            blank,
        )
        .outerjoin(series, series.c.code == note.c.series)
        .where(note.c.invoice_id == invoice_id)
    )
    rows = session.execute(sa.union_all(took, gave, noted).order_by("at"))
    return tuple(
        PaymentView(
            row.kind,
            Money(row.amount_minor, currency),
            row.at,
            row.brand or "",
            row.last4 or "",
            row.number,
            row.state,
        )
        for row in rows
    )
