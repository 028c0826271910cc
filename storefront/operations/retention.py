"""Blank documents and consents of erased people whose time is over.

Source: docs/decisions/0176-how-long-documents-stay.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.erasure import without_buyer
from storefront.models import Consent, CreditNote, Customer, Invoice
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment


def blank_invoices(session: AnySession, issued_before: datetime, moment: Moment, limit: int) -> int:
    """Blank invoices issued before an instant, and those never issued; returns how many."""
    table, customer = table_of(Invoice), table_of(Customer)
    rows = session.execute(
        sa.select(table.c.id, table.c.snapshot)
        .join(customer, customer.c.id == table.c.payer_id)
        .where(
            customer.c.erased_at.is_not(None),
            table.c.blanked_at.is_(None),
            sa.or_(table.c.number.is_(None), table.c.finalised_at < issued_before),
        )
        .order_by(table.c.id)
        .limit(limit)
    ).all()
    return _write(session, table, rows, moment)


def blank_credit_notes(
    session: AnySession, issued_before: datetime, moment: Moment, limit: int
) -> int:
    """Blank credit notes issued before an instant; returns how many."""
    table, invoice, customer = table_of(CreditNote), table_of(Invoice), table_of(Customer)
    rows = session.execute(
        sa.select(table.c.id, table.c.snapshot)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .join(customer, customer.c.id == invoice.c.payer_id)
        .where(
            customer.c.erased_at.is_not(None),
            table.c.blanked_at.is_(None),
            table.c.created_at < issued_before,
        )
        .order_by(table.c.id)
        .limit(limit)
    ).all()
    return _write(session, table, rows, moment)


def _write(session: AnySession, table: sa.Table, rows: Sequence[AnyRow], moment: Moment) -> int:
    for row in rows:
        values = {"snapshot": without_buyer(row.snapshot), "blanked_at": moment.now}
        session.execute(sa.update(table).where(table.c.id == row.id).values(values))
    return len(rows)


def blank_consents(session: AnySession, erased_before: datetime) -> int:
    """Take from where a consent was given out of consents of people erased before an instant."""
    table, customer = table_of(Consent), table_of(Customer)
    erased = sa.select(customer.c.id).where(customer.c.erased_at < erased_before)
    done = session.execute(
        sa.update(table)
        .where(table.c.customer_id.in_(erased), sa.or_(table.c.ip != "", table.c.user_agent != ""))
        .values(ip="", user_agent="")
        .returning(table.c.id)
    )
    return len(done.all())
