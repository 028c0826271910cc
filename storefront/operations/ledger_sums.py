"""Sums of the ledger over a range of time: per account, and its tax per country and rate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.domain.ledger import JournalKind
from storefront.domain.money import Money
from storefront.models import (
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
    LedgerJournal,
    LedgerTransfer,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


@dataclass(frozen=True, slots=True)
class AccountSum:
    """One account in one currency over a range; amounts in minor units, debits positive."""

    account: str
    currency: str
    opening_minor: int
    debits_minor: int
    credits_minor: int

    @property
    def closing_minor(self) -> int:
        return self.opening_minor + self.debits_minor - self.credits_minor

    @property
    def debits(self) -> Money:
        return Money(self.debits_minor, self.currency)

    @property
    def credits(self) -> Money:
        return Money(self.credits_minor, self.currency)

    @property
    def closing(self) -> Money:
        return Money(self.closing_minor, self.currency)


@dataclass(frozen=True, slots=True)
class TaxSum:
    """Documents of a range at one rate; credit notes count below zero."""

    country: str
    treatment: str
    rate_bp: int
    currency: str
    net_minor: int
    tax_minor: int


def account_sums(session: AnySession, start: datetime, end: datetime) -> list[AccountSum]:
    """Return every account that has ever moved, with its sums from ``start`` to before ``end``."""
    journal, table = table_of(LedgerJournal), table_of(LedgerTransfer)
    is_before = journal.c.at < start

    def side(account: sa.Column[str], sign: int) -> sa.Select[tuple[str, str, int, int, int]]:
        amount = table.c.amount_minor
        inside = sa.case((is_before, 0), else_=amount)
        return (
            sa.select(
                account.label("account"),
                table.c.currency,
                sa.func.sum(sa.case((is_before, sign * amount), else_=0)).label("opening"),
                sa.func.sum(inside if sign > 0 else sa.literal(0)).label("debits"),
                sa.func.sum(inside if sign < 0 else sa.literal(0)).label("credits"),
            )
            .join(journal, journal.c.id == table.c.journal_id)
            .where(journal.c.at < end)
            .group_by(account, table.c.currency)
        )

    both = sa.union_all(side(table.c.debit, 1), side(table.c.credit, -1)).subquery()
    rows = session.execute(
        sa.select(
            both.c.account,
            both.c.currency,
            sa.func.sum(both.c.opening).label("opening"),
            sa.func.sum(both.c.debits).label("debits"),
            sa.func.sum(both.c.credits).label("credits"),
        )
        .group_by(both.c.account, both.c.currency)
        .order_by(both.c.account, both.c.currency)
    )
    return [
        AccountSum(row.account, row.currency, int(row.opening), int(row.debits), int(row.credits))
        for row in rows
    ]


def buyer_country(invoice: sa.FromClause) -> sa.ColumnElement[str]:
    """Return the country an invoice's snapshot says it was delivered to; empty when none."""
    snapshot = invoice.c.snapshot
    return sa.func.coalesce(
        snapshot[("ship_to", "country")].as_string(),
        snapshot[("buyer", "country")].as_string(),
        "",
    )


def tax_sums(session: AnySession, start: datetime, end: datetime) -> list[TaxSum]:
    """Return net and tax per country, treatment, rate and currency of what was booked in a range.

    Which documents count is what the ledger booked; their lines, frozen with them, say at
    which rate. The sum of all is the movement of ``tax_payable``; the accounting export
    refuses to be written when it is not. Source: docs/decisions/0079-accounting-export.md.
    """
    journal, invoice, line = table_of(LedgerJournal), table_of(Invoice), table_of(InvoiceLine)
    note, taken = table_of(CreditNote), table_of(CreditNoteLine)
    inside = (journal.c.at >= start, journal.c.at < end)
    by = (buyer_country(invoice).label("country"), invoice.c.tax_treatment, line.c.tax_rate_bp)
    sold = (
        sa.select(
            *by,
            invoice.c.currency,
            (line.c.gross_minor - line.c.tax_minor).label("net"),
            line.c.tax_minor.label("tax"),
        )
        .select_from(journal)
        .join(invoice, invoice.c.public_id == journal.c.event_ref)
        .join(line, line.c.invoice_id == invoice.c.id)
        .where(journal.c.kind == JournalKind.INVOICE_FINALISED, *inside)
    )
    given_back = (
        sa.select(
            *by,
            invoice.c.currency,
            (taken.c.tax_minor - taken.c.gross_minor).label("net"),
            (-taken.c.tax_minor).label("tax"),
        )
        .select_from(journal)
        .join(note, note.c.public_id == journal.c.event_ref)
        .join(taken, taken.c.credit_note_id == note.c.id)
        .join(line, line.c.id == taken.c.invoice_line_id)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(journal.c.kind == JournalKind.CREDIT_NOTE, *inside)
    )
    both = sa.union_all(sold, given_back).subquery()
    keys = (both.c.country, both.c.tax_treatment, both.c.tax_rate_bp, both.c.currency)
    rows = session.execute(
        sa.select(*keys, sa.func.sum(both.c.net).label("net"), sa.func.sum(both.c.tax).label("tax"))
        .group_by(*keys)
        .order_by(*keys)
    )
    return [
        TaxSum(
            row.country,
            str(row.tax_treatment),
            row.tax_rate_bp,
            row.currency,
            int(row.net),
            int(row.tax),
        )
        for row in rows
    ]
