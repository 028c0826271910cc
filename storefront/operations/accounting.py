"""Rows of the accounting export, streamed: memory stays flat however long the range is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.ledger import (
    BANK,
    DEFERRED_REVENUE,
    REVENUE,
    TAX_PAYABLE,
    JournalKind,
)
from storefront.models import (
    ChargeAttempt,
    CreditNote,
    CreditNoteLine,
    Customer,
    Invoice,
    InvoiceLine,
    LedgerJournal,
    LedgerTransfer,
    NumberSeries,
    Refund,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.ledger_sums import buyer_country

#: Rows fetched at a time.
CHUNK = 2000
#: Journals that book a document.
DOCUMENTS = (JournalKind.INVOICE_FINALISED, JournalKind.CREDIT_NOTE)


def transfer_count(session: AnySession, start: datetime, end: datetime) -> int:
    """Return how many transfers the range has."""
    journal, table = table_of(LedgerJournal), table_of(LedgerTransfer)
    return int(
        session.scalar(
            sa.select(sa.func.count())
            .select_from(table)
            .join(journal, journal.c.id == table.c.journal_id)
            .where(journal.c.at >= start, journal.c.at < end)
        )
        or 0
    )


def transfers(session: AnySession, start: datetime, end: datetime) -> Iterator[AnyRow]:
    """Yield every transfer of a range with its journal, in the order they were booked."""
    journal, table = table_of(LedgerJournal), table_of(LedgerTransfer)
    statement = (
        _named(
            sa.select(
                journal.c.id,
                journal.c.kind,
                journal.c.event_ref,
                journal.c.at,
                table.c.debit,
                table.c.credit,
                table.c.amount_minor,
                table.c.currency,
            ),
            sa.join(journal, table, table.c.journal_id == journal.c.id),
            table.c.customer_id,
            table.c.invoice_id,
        )
        .where(journal.c.at >= start, journal.c.at < end)
        .order_by(journal.c.at, journal.c.id, table.c.id)
    )
    return _stream(session, statement)


def payments(session: AnySession, start: datetime, end: datetime) -> Iterator[AnyRow]:
    """Yield every transfer of a range that moved money, with the gateway's name for it."""
    journal, table = table_of(LedgerJournal), table_of(LedgerTransfer)
    attempt, refund = table_of(ChargeAttempt), table_of(Refund)
    is_money = [
        sa.or_(account == BANK, account.startswith("clearing:", autoescape=True))
        for account in (table.c.debit, table.c.credit)
    ]
    tables = (
        sa.join(journal, table, table.c.journal_id == journal.c.id)
        .outerjoin(attempt, attempt.c.public_id == journal.c.event_ref)
        .outerjoin(refund, refund.c.public_id == journal.c.event_ref)
    )
    statement = (
        _named(
            sa.select(
                journal.c.kind,
                journal.c.event_ref,
                journal.c.at,
                table.c.debit,
                table.c.credit,
                table.c.amount_minor,
                table.c.currency,
                sa.func.coalesce(refund.c.gateway_reference, attempt.c.gateway_reference, "").label(
                    "gateway_reference"
                ),
            ),
            tables,
            table.c.customer_id,
            table.c.invoice_id,
        )
        .where(journal.c.at >= start, journal.c.at < end, sa.or_(*is_money))
        .order_by(journal.c.at, journal.c.id, table.c.id)
    )
    return _stream(session, statement)


def invoice_lines(session: AnySession, start: datetime, end: datetime) -> Iterator[AnyRow]:
    """Yield every line of the invoices finalised in a range, also of those over zero."""
    invoice, line = table_of(Invoice), table_of(InvoiceLine)
    statement = (
        _named(
            sa.select(
                sa.literal("invoice").label("document_kind"),
                sa.literal("").label("corrects"),
                invoice.c.finalised_at.label("at"),
                *_line_columns(invoice, line),
                (line.c.gross_minor - line.c.tax_minor).label("net_minor"),
                line.c.tax_minor,
                line.c.gross_minor,
            ),
            sa.join(invoice, line, line.c.invoice_id == invoice.c.id),
            invoice.c.payer_id,
            invoice.c.id,
        )
        .where(
            invoice.c.number.is_not(None),
            invoice.c.finalised_at >= start,
            invoice.c.finalised_at < end,
        )
        .order_by(invoice.c.id, line.c.position)
    )
    return _stream(session, statement)


def credit_lines(session: AnySession, start: datetime, end: datetime) -> Iterator[AnyRow]:
    """Yield every line of the credit notes of a range, below zero, like ``invoice_lines``."""
    invoice, line = table_of(Invoice), table_of(InvoiceLine)
    note, taken, series = table_of(CreditNote), table_of(CreditNoteLine), table_of(NumberSeries)
    own = series.alias("own_series")
    other, corrected = series.alias("invoice_series"), invoice
    statement = (
        sa.select(
            sa.literal("credit_note").label("document_kind"),
            _number(other, corrected).label("corrects"),
            note.c.created_at.label("at"),
            *_line_columns(invoice, line),
            (taken.c.tax_minor - taken.c.gross_minor).label("net_minor"),
            (-taken.c.tax_minor).label("tax_minor"),
            (-taken.c.gross_minor).label("gross_minor"),
            _customer(invoice.c.payer_id),
            _number(own, note).label("number"),
        )
        .select_from(note)
        .join(taken, taken.c.credit_note_id == note.c.id)
        .join(line, line.c.id == taken.c.invoice_line_id)
        .join(invoice, invoice.c.id == note.c.invoice_id)
        .outerjoin(own, own.c.code == note.c.series)
        .outerjoin(other, other.c.code == invoice.c.series)
        .where(note.c.created_at >= start, note.c.created_at < end)
        .order_by(note.c.id, taken.c.id)
    )
    return _stream(session, statement)


def document_sums(
    session: AnySession, start: datetime, end: datetime
) -> tuple[dict[str, int], dict[str, int]]:
    """Return (net, tax) per currency as the ledger booked the documents of a range."""
    journal, table = table_of(LedgerJournal), table_of(LedgerTransfer)

    def signed(*accounts: str) -> sa.ColumnElement[int]:
        return sa.func.sum(
            sa.case((table.c.credit.in_(accounts), table.c.amount_minor), else_=0)
            - sa.case((table.c.debit.in_(accounts), table.c.amount_minor), else_=0)
        )

    rows = session.execute(
        sa.select(
            table.c.currency,
            signed(DEFERRED_REVENUE, REVENUE).label("net"),
            signed(TAX_PAYABLE).label("tax"),
        )
        .join(journal, journal.c.id == table.c.journal_id)
        .where(journal.c.at >= start, journal.c.at < end, journal.c.kind.in_(DOCUMENTS))
        .group_by(table.c.currency)
    ).all()
    return (
        {row.currency: int(row.net) for row in rows},
        {row.currency: int(row.tax) for row in rows},
    )


def _line_columns(invoice: sa.Table, line: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
    return (
        invoice.c.tax_point_on,
        buyer_country(invoice).label("country"),
        invoice.c.tax_treatment,
        invoice.c.currency,
        line.c.kind.label("line_kind"),
        line.c.text,
        line.c.service_from,
        line.c.service_to,
        line.c.quantity,
        line.c.tax_rate_bp,
    )


def _named(
    statement: sa.Select[Any],
    tables: sa.FromClause,
    customer_id: sa.ColumnElement[Any],
    invoice_id: sa.ColumnElement[Any],
) -> sa.Select[Any]:
    """Add the customer's public id and the invoice's number to rows of ``tables``."""
    named, series = table_of(Invoice).alias("named"), table_of(NumberSeries)
    joined = tables.outerjoin(named, named.c.id == invoice_id)
    joined = joined.outerjoin(series, series.c.code == named.c.series)
    return statement.add_columns(
        _customer(customer_id), _number(series, named).label("number")
    ).select_from(joined)


def _customer(customer_id: sa.ColumnElement[Any]) -> sa.Label[str]:
    table = table_of(Customer)
    found = sa.select(table.c.public_id).where(table.c.id == customer_id).scalar_subquery()
    return sa.func.coalesce(found, "").label("customer")


def _number(series: sa.FromClause, document: sa.FromClause) -> sa.ColumnElement[str]:
    number = sa.cast(document.c.number, sa.Text)
    return sa.func.coalesce(sa.func.coalesce(series.c.prefix, "").concat(number), "")


def _stream(session: AnySession, statement: AnySelect) -> Iterator[AnyRow]:
    result = session.execute(statement, execution_options={"yield_per": CHUNK})
    yield from result
