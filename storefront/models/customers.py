"""Customers, how they sign in, where their boxes go, and what they agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Customer(Base):
    """A person or firm that pays. Never deleted; erasure replaces the personal columns."""

    __tablename__ = "customer"
    __table_args__ = (
        sa.Index("ix_customer_created", "created_at", "id"),
        sa.CheckConstraint("tax_id_state IN ('','pending','valid','invalid')", name="tax_id_state"),
        sa.CheckConstraint("pays_by IN ('gateway','bank')", name="pays_by"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Normalised by ``domain.privacy.normalise_email``.
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    #: Language tag for mails and documents; empty means the shop's default.
    locale: Mapped[str] = mapped_column(sa.String(12), default="")
    #: When the person proved to read this mailbox (link, code or a verified host identity).
    email_verified_at: Mapped[datetime | None]
    #: VAT number with its country prefix, such as ``ATU12345675``; empty for a consumer.
    tax_id: Mapped[str] = mapped_column(sa.String(24), default="")
    #: pending until a register confirmed or refused it.
    tax_id_state: Mapped[str] = mapped_column(sa.String(8), default="")
    tax_id_checked_at: Mapped[datetime | None]
    #: Whom invoices are made out to where it is not who gets the box, by column name of
    #: ``address``; else empty.
    billing: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: Charged no tax, on proof a merchant keeps.
    is_tax_exempt: Mapped[bool] = mapped_column(default=False)
    #: gateway, or bank: gets invoices with a due day instead of charges.
    pays_by: Mapped[str] = mapped_column(sa.String(8), default="gateway")
    #: Days to pay by bank; NULL: the shop's.
    payment_days: Mapped[int | None]
    #: What friends type; NULL until it is asked for.
    referral_code: Mapped[str | None] = mapped_column(sa.String(16), unique=True)
    #: Where the customer came from first (utm source or referrer), empty when unknown.
    source: Mapped[str] = mapped_column(sa.String(80), default="")
    #: The account that has everything of this one now. Nothing new is written to it (trigger).
    merged_into_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    #: Since when nothing here says who it was; see ``operations.erasure``.
    erased_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class ErasureRequest(Base):
    """Somebody wants their data to go; done once nothing is under way for them any more."""

    __tablename__ = "erasure_request"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting','done','withdrawn')", name="state"),
        sa.CheckConstraint("(state = 'done') = (done_at IS NOT NULL)", name="done_once"),
        sa.Index("ix_erasure_request_state", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), unique=True)
    state: Mapped[str] = mapped_column(sa.String(12), default="waiting")
    #: ``customer``, or the public id of the staff user.
    asked_by: Mapped[str] = mapped_column(sa.String(40))
    asked_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class HostIdentity(Base):
    """Who a customer is in the shop that the storefront is mounted into."""

    __tablename__ = "host_identity"
    __table_args__ = (sa.UniqueConstraint("host", "host_ref"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    host: Mapped[str] = mapped_column(sa.String(80))
    host_ref: Mapped[str]
    created_at: Mapped[datetime]


class LoginSession(Base):
    """One signed-in browser of a customer; can be listed and revoked."""

    __tablename__ = "login_session"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    #: SHA-256 of the secret in the cookie; the secret itself is stored nowhere.
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    #: How it began: password, link, code, host, checkout, demo.
    method: Mapped[str] = mapped_column(sa.String(16))
    ip: Mapped[str] = mapped_column(sa.String(45), default="")
    user_agent: Mapped[str] = mapped_column(default="")
    #: Last used, noted once a day; NULL until it was noted.
    seen_at: Mapped[datetime | None]


class LoginLink(Base):
    """A one-time link with a six-digit code, mailed to sign in or to act once."""

    __tablename__ = "login_link"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    purpose: Mapped[str] = mapped_column(sa.String(24))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    code_hash: Mapped[str] = mapped_column(sa.String(64), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    #: Wrong codes entered so far; the link dies at the limit.
    tries: Mapped[int] = mapped_column(default=0)


class Address(Base):
    """An address as typed. A change makes a new row, so old documents keep theirs."""

    __tablename__ = "address"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    company: Mapped[str] = mapped_column(sa.String(80), default="")
    street: Mapped[str] = mapped_column(sa.String(120))
    extra: Mapped[str] = mapped_column(sa.String(120), default="")
    postcode: Mapped[str] = mapped_column(sa.String(16))
    city: Mapped[str] = mapped_column(sa.String(80))
    region: Mapped[str] = mapped_column(sa.String(80), default="")
    #: ISO 3166-1 alpha-2.
    country: Mapped[str] = mapped_column(sa.String(2))
    phone: Mapped[str] = mapped_column(sa.String(32), default="")
    created_at: Mapped[datetime]


class Consent(Base):
    """Evidence of what a person agreed to; append-only (trigger)."""

    __tablename__ = "consent"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    subscription_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("subscription.id"), index=True
    )
    #: renewal, terms, marketing, marketing_off (no mails about offers any more), marketing_wish,
    #: health, health_off …
    kind: Mapped[str] = mapped_column(sa.String(24))
    text: Mapped[str] = mapped_column(sa.Text)
    text_hash: Mapped[str] = mapped_column(sa.String(64))
    text_version: Mapped[str] = mapped_column(sa.String(24))
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: Interval in words of the code, such as ``1 month``.
    interval: Mapped[str] = mapped_column(sa.String(16))
    given_at: Mapped[datetime]
    ip: Mapped[str] = mapped_column(sa.String(45))
    user_agent: Mapped[str]
    #: The label of the button that was pressed, and the words that stood between the terms'
    #: heading and it, as the page said them; the hash of both is the rendering's id. Empty where
    #: nothing was kept.
    button: Mapped[str] = mapped_column(sa.String(120), default="", server_default="")
    page: Mapped[str] = mapped_column(sa.Text, default="", server_default="")
    page_hash: Mapped[str] = mapped_column(sa.String(64), default="", server_default="")
