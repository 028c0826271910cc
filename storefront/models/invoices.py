"""What is owed: invoices with their lines, credit notes, customer credit, number series."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.invoices import CreditReason, InvoiceState, LineKind
from storefront.models.base import Base, values_enum


class Invoice(Base):
    """Document columns are frozen by trigger from ``offered`` on; state and counters move."""

    __tablename__ = "invoice"
    __table_args__ = (
        sa.CheckConstraint(
            "due_minor = total_minor - credited_minor - applied_minor - paid_minor",
            name="due_is_the_rest",
        ),
        sa.CheckConstraint(
            "total_minor >= 0 AND credited_minor >= 0 AND applied_minor >= 0"
            " AND paid_minor >= 0 AND due_minor >= 0",
            name="counters_not_negative",
        ),
        sa.CheckConstraint(
            "(state IN ('draft','offered','discarded')) = (number IS NULL)",
            name="numbered_once_finalised",
        ),
        sa.CheckConstraint(
            "tax_treatment IN ('standard','reverse_charge','exempt','export')",
            name="tax_treatment",
        ),
        sa.CheckConstraint("pay_by IN ('gateway','bank')", name="pay_by"),
        sa.Index("ix_invoice_payer", "payer_id", "id"),
        sa.Index("ix_invoice_state", "state", "due_on"),
        # Both at once: SQLite has no figures to choose by and may take all that is open instead.
        sa.Index("ix_invoice_owed", "payer_id", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Who owes it; stored here, never read through the subscription.
    payer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    checkout_id: Mapped[int | None] = mapped_column(sa.ForeignKey("checkout.id"), index=True)
    #: Language the document is written in; empty: the shop's.
    locale: Mapped[str] = mapped_column(sa.String(12), server_default="")
    #: standard, reverse_charge, exempt or export.
    tax_treatment: Mapped[str] = mapped_column(sa.String(16), server_default="standard")
    #: gateway, or bank: waits for a transfer until ``due_on``.
    pay_by: Mapped[str] = mapped_column(sa.String(8), server_default="gateway")
    state: Mapped[InvoiceState] = mapped_column(values_enum(InvoiceState))
    series: Mapped[str] = mapped_column(sa.String(16))
    #: Gapless within the series; NULL until finalised.
    number: Mapped[int | None]
    currency: Mapped[str] = mapped_column(sa.String(3))
    tax_inclusive: Mapped[bool]
    total_minor: Mapped[int]
    tax_minor: Mapped[int]
    credited_minor: Mapped[int] = mapped_column(default=0)
    applied_minor: Mapped[int] = mapped_column(default=0)
    paid_minor: Mapped[int] = mapped_column(default=0)
    due_minor: Mapped[int]
    #: The day the tax rate follows; equals the first day of the billed period.
    tax_point_on: Mapped[date]
    due_on: Mapped[date]
    #: Seller, buyer and delivery address as they were: all a document says beside its lines.
    snapshot: Mapped[dict[str, Any]] = mapped_column(default=dict)
    content_hash: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    #: When it was finalised (drew its number).
    finalised_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    written_off_at: Mapped[datetime | None]
    #: When the snapshot lost whom it was made out to: the law asks for it no more.
    blanked_at: Mapped[datetime | None]


class InvoiceLine(Base):
    """One line. Frozen; only ``credited_minor`` and ``is_void`` move."""

    __tablename__ = "invoice_line"
    __table_args__ = (
        sa.UniqueConstraint("invoice_id", "position"),
        sa.Index("ix_invoice_line_period", "period_id"),
        sa.CheckConstraint(
            "credited_minor >= 0 AND (credited_minor = 0 OR credited_minor <= gross_minor)",
            name="credited_within_amount",
        ),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"))
    position: Mapped[int]
    kind: Mapped[LineKind] = mapped_column(values_enum(LineKind))
    text: Mapped[str]
    subscription_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("subscription.id"), index=True
    )
    period_id: Mapped[int | None] = mapped_column(sa.ForeignKey("subscription_period.id"))
    service_from: Mapped[date | None]
    #: First day not covered.
    service_to: Mapped[date | None]
    quantity: Mapped[int]
    unit_minor: Mapped[int]
    #: As shown: with tax inside when the invoice is inclusive; negative for a discount.
    amount_minor: Mapped[int]
    #: Hundredths of a percent: 1900 = 19 %.
    tax_rate_bp: Mapped[int]
    tax_minor: Mapped[int]
    #: What the line adds to the total, tax in it.
    gross_minor: Mapped[int]
    credited_minor: Mapped[int] = mapped_column(default=0)
    corrects_line_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice_line.id"))
    #: The add-on that an add-on's line is for; NULL on lines from before it was kept.
    addon_id: Mapped[int | None] = mapped_column(sa.ForeignKey("addon.id"))
    #: Position of the line that a discount lowers.
    lowers: Mapped[int | None]
    #: Set with the invoice's void, so that the period can be invoiced anew.
    is_void: Mapped[bool] = mapped_column(default=False)


class NumberSeries(Base):
    """Gapless numbers: the counter row is drawn last before the commit of a batch."""

    __tablename__ = "number_series"

    code: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    #: Text before the number on documents, such as ``2027-``; fixed with the first number.
    prefix: Mapped[str] = mapped_column(sa.String(16), default="")
    next_number: Mapped[int] = mapped_column(default=1)


class CreditNote(Base):
    """A negative document that reduces or repays an invoice."""

    __tablename__ = "credit_note"
    __table_args__ = (
        sa.UniqueConstraint("series", "number"),
        sa.CheckConstraint("total_minor >= 0", name="total_not_negative"),
        sa.CheckConstraint("\"to\" IN ('open','card','credit','bank')", name="to"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    series: Mapped[str] = mapped_column(sa.String(16))
    number: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    total_minor: Mapped[int]
    tax_minor: Mapped[int]
    reason: Mapped[CreditReason] = mapped_column(values_enum(CreditReason))
    #: Where the money goes: open (less is owed), card, credit, bank.
    to: Mapped[str] = mapped_column(sa.String(8), server_default="open")
    #: Seller and buyer as they were, and the language, for the document.
    snapshot: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    locale: Mapped[str] = mapped_column(sa.String(12), server_default="")
    content_hash: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    #: As ``invoice.blanked_at``.
    blanked_at: Mapped[datetime | None]
    #: The one box that it was given back for; NULL: for none, for several, or nobody said.
    box_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box.id"), index=True)


class CreditNoteLine(Base):
    """How much of an invoice line a credit note takes back, with its tax share."""

    __tablename__ = "credit_note_line"
    __table_args__ = (
        sa.UniqueConstraint("credit_note_id", "invoice_line_id"),
        sa.CheckConstraint("gross_minor <> 0", name="credits_something"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    credit_note_id: Mapped[int] = mapped_column(sa.ForeignKey("credit_note.id"))
    invoice_line_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice_line.id"), index=True)
    gross_minor: Mapped[int]
    tax_minor: Mapped[int]


class CustomerCredit(Base):
    """Money we owe the customer; used by the next invoices. Moved by guarded updates."""

    __tablename__ = "customer_credit"
    __table_args__ = (
        sa.UniqueConstraint("customer_id", "currency"),
        sa.CheckConstraint("balance_minor >= 0", name="balance_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    currency: Mapped[str] = mapped_column(sa.String(3))
    balance_minor: Mapped[int] = mapped_column(default=0)


class CreditMove(Base):
    """Append-only record of credit given (trigger on the amount); ``rest_minor`` falls."""

    __tablename__ = "credit_move"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.CheckConstraint("rest_minor BETWEEN 0 AND amount_minor", name="rest_within_amount"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_credit_id: Mapped[int] = mapped_column(sa.ForeignKey("customer_credit.id"), index=True)
    amount_minor: Mapped[int]
    rest_minor: Mapped[int]
    #: change, refund, goodwill, referral …
    origin: Mapped[str] = mapped_column(sa.String(24))
    reason: Mapped[str] = mapped_column(default="")
    credit_note_id: Mapped[int | None] = mapped_column(sa.ForeignKey("credit_note.id"))
    at: Mapped[datetime]


class CreditApplication(Base):
    """Credit that settled a part of an invoice; given back once when that is voided."""

    __tablename__ = "credit_application"
    __table_args__ = (
        sa.UniqueConstraint("invoice_id", "credit_move_id"),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    credit_move_id: Mapped[int] = mapped_column(sa.ForeignKey("credit_move.id"), index=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"))
    amount_minor: Mapped[int]
    at: Mapped[datetime]
    given_back_at: Mapped[datetime | None]


class CarriedAmount(Base):
    """A total under the gateway's minimum: settles its invoice, asked for with a later one."""

    __tablename__ = "carried_amount"
    __table_args__ = (
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.Index("ix_carried_amount_of", "payer_id", "currency", "settled_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    payer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: The invoice it settled.
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), unique=True)
    amount_minor: Mapped[int]
    #: The attempt that asks for it as well, while one does.
    attempt_id: Mapped[int | None] = mapped_column(sa.ForeignKey("charge_attempt.id"), index=True)
    at: Mapped[datetime]
    #: When it was paid, or given up with the invoice's credit note.
    settled_at: Mapped[datetime | None]
