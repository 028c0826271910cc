"""Double entry: journals and their transfers. Append-only (trigger)."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.ledger import JournalKind
from storefront.models.base import Base, values_enum


class LedgerJournal(Base):
    """One money event, booked in the transaction of the event."""

    __tablename__ = "ledger_journal"
    __table_args__ = (
        sa.UniqueConstraint("kind", "event_ref"),
        sa.Index("ix_ledger_journal_at", "at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[JournalKind] = mapped_column(values_enum(JournalKind))
    #: Public id of what happened (invoice, attempt, credit note, box …).
    event_ref: Mapped[str] = mapped_column(sa.String(60))
    at: Mapped[datetime]
    reverses_id: Mapped[int | None] = mapped_column(sa.ForeignKey("ledger_journal.id"))


class LedgerTransfer(Base):
    """One amount from one account to another; every journal balances by construction."""

    __tablename__ = "ledger_transfer"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.CheckConstraint("debit <> credit", name="two_accounts"),
        sa.Index("ix_ledger_transfer_invoice", "invoice_id"),
        sa.Index("ix_ledger_transfer_journal", "journal_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    journal_id: Mapped[int] = mapped_column(sa.ForeignKey("ledger_journal.id"))
    debit: Mapped[str] = mapped_column(sa.String(40))
    credit: Mapped[str] = mapped_column(sa.String(40))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"))
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"))
    period_id: Mapped[int | None] = mapped_column(sa.ForeignKey("subscription_period.id"))
    box_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"))


class LedgerSeal(Base):
    """A day's journals, hashed over the seal before it, so that no past day can be rewritten."""

    __tablename__ = "ledger_seal"

    #: UTC day of the journals' instants.
    day: Mapped[date] = mapped_column(primary_key=True)
    transfers: Mapped[int]
    content_hash: Mapped[str] = mapped_column(sa.String(64))
    sealed_at: Mapped[datetime]
