"""Stored payment methods, questions to gateways, and money sent back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.charging import AttemptState, DeclineKind
from storefront.domain.gateways import DisputeState, EventAbout
from storefront.models.base import Base, values_enum


class PaymentMethod(Base):
    """A card or account stored at a gateway. Never a card number."""

    __tablename__ = "payment_method"
    __table_args__ = (
        sa.UniqueConstraint("gateway", "account", "token"),
        sa.CheckConstraint("limit_minor IS NULL OR limit_minor > 0", name="limit_positive"),
        sa.CheckConstraint("NOT (is_backup AND is_default)", name="backup_is_another"),
        sa.Index("ix_payment_method_expires", "exp_year", "exp_month"),
    )

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
    #: card, paypal, upi, bank, wallet.
    kind: Mapped[str] = mapped_column(sa.String(16), default="card", server_default="card")
    #: What its owner knows it by where there is no number.
    label: Mapped[str] = mapped_column(sa.String(80), default="", server_default="")
    #: The gateway's own id of its owner, handed back with every charge.
    gateway_customer: Mapped[str] = mapped_column(sa.String(120), default="", server_default="")
    #: Reference of the agreement under which it is charged.
    agreement: Mapped[str] = mapped_column(sa.String(255), default="", server_default="")
    #: The most one charge may take, in ``limit_currency``; NULL: no cap.
    limit_minor: Mapped[int | None]
    limit_currency: Mapped[str] = mapped_column(sa.String(3), default="", server_default="")
    is_default: Mapped[bool] = mapped_column(default=False)
    #: Tried when the one that should pay is refused.
    is_backup: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    created_at: Mapped[datetime]
    #: A hard decline: never try this method again.
    refused_at: Mapped[datetime | None]
    detached_at: Mapped[datetime | None]
    #: When its gateway is asked next to forget it; NULL: not, or it has.
    forget_at: Mapped[datetime | None]


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
    #: The gateway's own name of the set-up; empty if its answer was lost.
    gateway_reference: Mapped[str] = mapped_column(sa.String(255), default="", server_default="")
    #: Set when the new method is for this subscription alone.
    subscription_id: Mapped[int | None] = mapped_column(sa.ForeignKey("subscription.id"))
    #: Set when this invoice is paid as soon as the method is stored.
    invoice_id: Mapped[int | None] = mapped_column(sa.ForeignKey("invoice.id"))
    payment_method_id: Mapped[int | None] = mapped_column(sa.ForeignKey("payment_method.id"))
    reason: Mapped[str] = mapped_column(sa.String(80), default="")
    created_at: Mapped[datetime]


class CardTry(Base):
    """Who set out to store a card with a set-up, as keyed hashes, and when it was declined.

    Deleted after a few days; see ``domain.card_testing``.
    """

    __tablename__ = "card_try"
    __table_args__ = (
        sa.Index("ix_card_try_person", "person", "declined_at"),
        sa.Index("ix_card_try_sender", "sender", "declined_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    setup_id: Mapped[int] = mapped_column(sa.ForeignKey("gateway_setup.id"), unique=True)
    #: Customer or order, and network address; empty where nobody knows it.
    person: Mapped[str] = mapped_column(sa.String(64))
    sender: Mapped[str] = mapped_column(sa.String(64), default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
    #: When card or charge was declined; NULL: it was not, or nobody knows yet.
    declined_at: Mapped[datetime | None] = mapped_column(index=True)


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
    #: Card network and code of a decline, as the gateway gave them.
    network: Mapped[str] = mapped_column(sa.String(24), default="", server_default="")
    code: Mapped[str] = mapped_column(sa.String(40), default="", server_default="")
    #: When the customer was told of it, where the gateway asks for a notice before.
    notified_at: Mapped[datetime | None]
    #: Not sent before; NULL: at once.
    not_before: Mapped[datetime | None]


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
    #: When the gateway was last asked to pay it; NULL: never, or it surely did nothing.
    sent_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    check_at: Mapped[datetime | None]


class GatewayEvent(Base):
    """A verified message of a gateway, stored before anything is done with it.

    Only what it speaks of is kept, never what it says: that is read at the gateway.
    """

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
    about: Mapped[EventAbout] = mapped_column(
        values_enum(EventAbout, 12), default=EventAbout.OTHER, server_default="other"
    )
    #: Our reference of what it speaks of; empty if the gateway does not say.
    reference: Mapped[str] = mapped_column(sa.String(80), default="", server_default="")
    #: The gateway's own name of it.
    gateway_reference: Mapped[str] = mapped_column(sa.String(255), default="", server_default="")
    #: When the gateway says it happened. Nothing is decided by it: messages overtake each other.
    occurred_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    #: When it is worked next, while ``waiting``.
    try_at: Mapped[datetime | None]
    #: Why it could not be applied yet.
    error: Mapped[str] = mapped_column(sa.String(255), default="", server_default="")


class Dispute(Base):
    """A customer's bank took a payment back, or asks about it."""

    __tablename__ = "dispute"
    __table_args__ = (
        sa.UniqueConstraint("gateway", "gateway_reference"),
        sa.CheckConstraint("amount_minor >= 0 AND fee_minor >= 0", name="not_negative"),
        sa.Index("ix_dispute_state", "state", "opened_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    attempt_id: Mapped[int] = mapped_column(sa.ForeignKey("charge_attempt.id"), index=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    gateway_reference: Mapped[str] = mapped_column(sa.String(255))
    state: Mapped[DisputeState] = mapped_column(values_enum(DisputeState, 8))
    #: Taken back from the merchant; 0 for a mere inquiry.
    amount_minor: Mapped[int]
    fee_minor: Mapped[int] = mapped_column(default=0)
    currency: Mapped[str] = mapped_column(sa.String(3))
    reason: Mapped[str] = mapped_column(sa.String(80), default="")
    opened_at: Mapped[datetime]
    #: Until when the gateway takes the merchant's answer.
    answer_by: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    #: When the customer or staff took up the offer to go on after a dispute that was won.
    resumed_at: Mapped[datetime | None]


class GatewayState(Base):
    """What this installation knows of each gateway account: messages, refusals, a stop."""

    __tablename__ = "gateway_state"
    __table_args__ = (sa.UniqueConstraint("gateway", "account"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    account: Mapped[str] = mapped_column(sa.String(80))
    #: When the last genuine message came.
    last_event_at: Mapped[datetime | None]
    #: Messages refused so far, the last one's time and reason.
    refused: Mapped[int] = mapped_column(default=0)
    refused_at: Mapped[datetime | None]
    refused_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    #: Set while nothing is sent to it: it refused our key, or is not who it should be.
    stopped_at: Mapped[datetime | None]
    stopped_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    #: Sending waits until then: it said that we were too fast.
    slow_until: Mapped[datetime | None]
    #: Up to when its list of charges was compared with ours.
    compared_until: Mapped[datetime | None]


class Reconciliation(Base):
    """One nightly comparison of our charges with a gateway's own list."""

    __tablename__ = "reconciliation"
    __table_args__ = (sa.Index("ix_reconciliation_gateway", "gateway", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    account: Mapped[str] = mapped_column(sa.String(80))
    at: Mapped[datetime]
    #: Charges made from then until then were compared.
    since: Mapped[datetime]
    until: Mapped[datetime]
    compared: Mapped[int] = mapped_column(default=0)
    differences: Mapped[int] = mapped_column(default=0)
    #: Why it could not be done; empty when it was.
    error: Mapped[str] = mapped_column(sa.String(255), default="")


class Difference(Base):
    """Where our books and the gateway's list differ, until somebody or a later look settles it."""

    __tablename__ = "difference"
    __table_args__ = (
        sa.UniqueConstraint("gateway", "kind", "gateway_reference", "reference"),
        sa.Index("ix_difference_open", "resolved_at", "found_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    gateway: Mapped[str] = mapped_column(sa.String(24))
    #: missing_here, missing_there, amount, refunded, state, foreign.
    kind: Mapped[str] = mapped_column(sa.String(16))
    reference: Mapped[str] = mapped_column(sa.String(80), default="")
    gateway_reference: Mapped[str] = mapped_column(sa.String(255), default="")
    ours_minor: Mapped[int | None]
    theirs_minor: Mapped[int | None]
    currency: Mapped[str] = mapped_column(sa.String(3))
    found_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    #: ``staff:<id>``, or ``comparison`` when a later look found it gone.
    resolved_by: Mapped[str] = mapped_column(sa.String(40), default="")
    note: Mapped[str] = mapped_column(sa.String(255), default="")
