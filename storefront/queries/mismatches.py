"""What a person needs to see who decides about a payment over another amount than asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.mismatches import AMOUNT_MISMATCH, Choice, choices, taken_from, taken_text
from storefront.domain.money import Money
from storefront.models import (
    ChargeAttempt,
    Customer,
    Invoice,
    InvoiceLine,
    NumberSeries,
    ParkedWork,
)
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class MismatchView:
    """One payment that waits for a decision; amounts with tax."""

    payment: str
    #: Whose money it is.
    customer: str
    name: str
    #: What it was for: the first line of its invoice.
    about: str
    #: As printed; empty until the invoice has a number.
    number: str
    asked: Money
    taken: Money
    #: ``taken`` as it is posted back, so that nobody decides about another amount.
    taken_code: str
    gateway: str
    gateway_reference: str
    since: datetime
    offered: tuple[Choice, ...]
    #: What is asked for again after everything went back; None where nothing is.
    asked_again: Money | None


def mismatch(session: AnySession, payment: str) -> MismatchView | None:
    """Return the payment with this public id if it waits for a decision."""
    attempt, invoice, customer = table_of(ChargeAttempt), table_of(Invoice), table_of(Customer)
    parked, line, series = table_of(ParkedWork), table_of(InvoiceLine), table_of(NumberSeries)
    about = (
        sa.select(line.c.text)
        .where(line.c.invoice_id == invoice.c.id)
        .order_by(line.c.position)
        .limit(1)
        .scalar_subquery()
    )
    row = session.execute(
        sa.select(
            attempt.c.public_id,
            (attempt.c.amount_minor - attempt.c.carried_minor).label("amount_minor"),
            attempt.c.currency,
            attempt.c.gateway,
            attempt.c.gateway_reference,
            invoice.c.state,
            invoice.c.number,
            series.c.prefix,
            invoice.c.due_minor,
            customer.c.public_id.label("customer"),
            customer.c.name,
            parked.c.detail,
            parked.c.parked_at,
            about.label("about"),
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(customer, customer.c.id == invoice.c.payer_id)
        .outerjoin(series, series.c.code == invoice.c.series)
        .join(parked, parked.c.subject == attempt.c.public_id)
        .where(
            attempt.c.public_id == payment,
            attempt.c.state == AttemptState.UNKNOWN,
            attempt.c.reason == AMOUNT_MISMATCH,
            parked.c.reason == AMOUNT_MISMATCH,
            parked.c.resolved_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    asked, taken = Money(row.amount_minor, row.currency), taken_from(row.detail)
    owed = row.state in (InvoiceState.OPEN, InvoiceState.OFFERED) and row.due_minor > 0
    due = Money(row.due_minor, row.currency) if owed else None
    return MismatchView(
        row.public_id,
        row.customer,
        row.name,
        row.about or "",
        f"{row.prefix or ''}{row.number}" if row.number is not None else "",
        asked,
        taken,
        taken_text(taken),
        row.gateway,
        row.gateway_reference,
        row.parked_at,
        choices(asked, taken, due),
        due if row.state == InvoiceState.OPEN else None,
    )
