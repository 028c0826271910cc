"""Stored payment methods, questions to gateways, and money sent back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.charging import AttemptState, DeclineKind
from storefront.models.base import Base, values_enum


class PaymentMethod(Base):
    """A card or account stored at a gateway. Never a card number."""

    __tablename__ = "payment_method"
    __table_args__ = (sa.UniqueConstraint("gateway", "account", "token"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    #: The gateway account the token belongs to; it works nowhere else.
    account: Mapped[str] = mapped_column(sa.String(80))
    token: Mapped[str]
    brand: Mapped[str] = mapped_column(sa.String(24))
    last4: Mapped[str] = mapped_column(sa.String(4))
    exp_month: Mapped[int | None]
    exp_year: Mapped[int | None]
    #: The gateway's name for the physical card, the same for every token of it.
    fingerprint: Mapped[str] = mapped_column(sa.String(80))
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    #: A hard decline: never try this method again.
    refused_at: Mapped[datetime | None]
    detached_at: Mapped[datetime | None]


class GatewaySetup(Base):
    """Saving a method without a charge; ``public_id`` is the key at the gateway."""

    __tablename__ = "gateway_setup"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    checkout_id: Mapped[int | None] = mapped_column(sa.ForeignKey("checkout.id"), index=True)
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    account: Mapped[str] = mapped_column(sa.String(80))
    state: Mapped[AttemptState] = mapped_column(values_enum(AttemptState))
    #: Where the gateway shows its page; empty for embedded fields.
    redirect_url: Mapped[str] = mapped_column(sa.String(500), default="")
    payment_method_id: Mapped[int | None] = mapped_column(sa.ForeignKey("payment_method.id"))
    reason: Mapped[str] = mapped_column(sa.String(80), default="")
    created_at: Mapped[datetime]


class ChargeAttempt(Base):
    """One question to the gateway for one invoice. On disk before the gateway is asked."""

    __tablename__ = "charge_attempt"
    __table_args__ = (
        sa.UniqueConstraint("invoice_id", "number"),
        sa.CheckConstraint("amount_minor > 0", name="amount_positive"),
        sa.CheckConstraint("carried_minor BETWEEN 0 AND amount_minor", name="carried_within"),
        sa.CheckConstraint("refunded_minor BETWEEN 0 AND amount_minor", name="refunded_within"),
        sa.Index("ix_charge_attempt_limits", "fingerprint", "amount_minor", "sent_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    #: Idempotency key and our reference at the gateway.
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"))
    number: Mapped[int]
    gateway: Mapped[str] = mapped_column(sa.String(24))
    account: Mapped[str] = mapped_column(sa.String(80))
    #: NULL only for money that came another way (gateway ``manual``).
    payment_method_id: Mapped[int | None] = mapped_column(sa.ForeignKey("payment_method.id"))
    fingerprint: Mapped[str] = mapped_column(sa.String(80), default="")
    amount_minor: Mapped[int]
    #: The part of it that pays amounts carried from earlier invoices.
    carried_minor: Mapped[int] = mapped_column(server_default="0")
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: True: the customer is present and can authenticate.
    on_session: Mapped[bool] = mapped_column(default=False)
    state: Mapped[AttemptState] = mapped_column(values_enum(AttemptState))
    decline_kind: Mapped[DeclineKind | None] = mapped_column(values_enum(DeclineKind, 8))
    #: The gateway's reason code, such as ``insufficient_funds``; or our refusal.
    reason: Mapped[str] = mapped_column(sa.String(80), default="")
    gateway_reference: Mapped[str] = mapped_column(default="")
    #: Where the customer authenticates, while ``action_required``.
    action_url: Mapped[str] = mapped_column(sa.String(500), default="")
    #: This success paid the invoice; at most one per invoice.
    settles: Mapped[bool] = mapped_column(default=False)
    refunded_minor: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    #: When an open attempt is looked up next; NULL: not by the clock.
    check_at: Mapped[datetime | None]
    #: Look-ups done so far.
    checks: Mapped[int] = mapped_column(default=0)
    #: Fencing number of the worker that sent it (0: the shop itself).
    fence: Mapped[int] = mapped_column(default=0)


class Refund(Base):
    """Money back through the gateway; own row, own key."""

    __tablename__ = "refund"
    __table_args__ = (sa.CheckConstraint("amount_minor > 0", name="amount_positive"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    attempt_id: Mapped[int] = mapped_column(sa.ForeignKey("charge_attempt.id"), index=True)
    credit_note_id: Mapped[int | None] = mapped_column(sa.ForeignKey("credit_note.id"))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: surplus, refund …
    reason: Mapped[str] = mapped_column(sa.String(24))
    state: Mapped[AttemptState] = mapped_column(values_enum(AttemptState))
    gateway_reference: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    check_at: Mapped[datetime | None]


class GatewayEvent(Base):
    """A webhook as it came, stored before anything is done with it."""

    __tablename__ = "gateway_event"
    __table_args__ = (
        sa.UniqueConstraint("gateway", "event_id"),
        sa.CheckConstraint("state IN ('waiting','applied','orphan','failed')", name="state"),
        sa.Index("ix_gateway_event_state", "state", "received_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    event_id: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[str] = mapped_column(sa.String(80))
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(sa.String(8), default="waiting")
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
