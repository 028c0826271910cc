"""Debits that wait for their notice or their day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.charging import AttemptState
from storefront.domain.money import Money
from storefront.models import ChargeAttempt, Invoice, InvoiceLine, PaymentMethod
from storefront.models.base import table_of
from storefront.operations.notices import MARGIN


@dataclass(frozen=True, slots=True)
class Debit:
    """A planned charge; ``method`` is what its owner knows it by."""

    public_id: str
    gateway: str
    amount: Money
    about: str
    method: str
    not_before: datetime | None

    def earliest(self, now: datetime, notices: Mapping[str, timedelta]) -> datetime:
        """Return when it may be debited at the earliest, if its customer is told at ``now``."""
        if self.not_before is not None:
            return self.not_before
        return now + notices.get(self.gateway, timedelta()) + MARGIN


def debit_facts(session: AnySession, attempt: str) -> Debit | None:
    """Return a planned charge; None when it is not planned any more."""
    table = table_of(ChargeAttempt)
    rows = session.execute(_planned().where(table.c.public_id == attempt)).all()
    return _debit(rows[0]) if rows else None


def debits_of(session: AnySession, customer_id: int) -> tuple[Debit, ...]:
    """Return the charges that were announced to a customer and have not been sent."""
    table, invoice = table_of(ChargeAttempt), table_of(Invoice)
    rows = session.execute(
        _planned()
        .where(invoice.c.payer_id == customer_id, table.c.not_before.is_not(None))
        .order_by(table.c.not_before, table.c.id)
    )
    return tuple(_debit(row) for row in rows)


def _planned() -> sa.Select[Any]:
    table, invoice = table_of(ChargeAttempt), table_of(Invoice)
    line, method = table_of(InvoiceLine), table_of(PaymentMethod)
    about = (
        sa.select(line.c.text)
        .where(line.c.invoice_id == table.c.invoice_id, sa.not_(line.c.is_void))
        .order_by(line.c.position)
        .limit(1)
        .scalar_subquery()
    )
    return (
        sa.select(
            table.c.public_id,
            table.c.gateway,
            table.c.amount_minor,
            table.c.currency,
            table.c.not_before,
            about.label("about"),
            method.c.brand,
            method.c.last4,
            method.c.label,
        )
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .join(method, method.c.id == table.c.payment_method_id)
        .where(table.c.state == AttemptState.PLANNED)
    )


def _debit(row: sa.Row[Any]) -> Debit:
    known = row.label or (f"{row.brand.title()} •••• {row.last4}" if row.last4 else "")
    amount = Money(row.amount_minor, row.currency)
    return Debit(row.public_id, row.gateway, amount, row.about or "", known, row.not_before)
