"""Coupons (the rule), promotion codes (what is typed), and what they took off."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Coupon(Base):
    """A discount rule. ``used`` is raised by a guarded update; the CHECK is the last word."""

    __tablename__ = "coupon"
    __table_args__ = (
        sa.CheckConstraint(
            "kind IN ('percent','fixed','free_shipping','free_first_box','first_box_price')",
            name="kind",
        ),
        sa.CheckConstraint("applies_to IN ('box','fee')", name="applies_to"),
        sa.CheckConstraint("from_billed > 0", name="from_billed_positive"),
        sa.CheckConstraint("duration IN ('once','cycles','forever')", name="duration"),
        sa.CheckConstraint("percent_bp BETWEEN 0 AND 10000", name="percent_range"),
        sa.CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        sa.CheckConstraint("max_uses IS NULL OR used <= max_uses", name="within_limit"),
        sa.CheckConstraint("used >= 0", name="used_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    kind: Mapped[str] = mapped_column(sa.String(16))
    #: What percent and fixed lower: the box with its options and add-ons, or the sign-up fee.
    applies_to: Mapped[str] = mapped_column(sa.String(4), default="box")
    #: Given without a code to everybody it fits.
    is_automatic: Mapped[bool] = mapped_column(default=False)
    #: Order of application, lowest first; equal ones by id.
    priority: Mapped[int] = mapped_column(default=100)
    #: False: works alone; the better of the two is taken.
    combines: Mapped[bool] = mapped_column(default=True)
    #: Lowers from this billed period on (loyalty: from the sixth on).
    from_billed: Mapped[int] = mapped_column(default=1)
    #: Hundredths of a percent: 1000 = 10 %; 0 for a fixed amount.
    percent_bp: Mapped[int] = mapped_column(default=0)
    amount_minor: Mapped[int] = mapped_column(default=0)
    #: Of a fixed amount; empty for percent.
    currency: Mapped[str] = mapped_column(sa.String(3), default="")
    duration: Mapped[str] = mapped_column(sa.String(8))
    #: For ``cycles``: number of billed periods it lowers.
    duration_cycles: Mapped[int] = mapped_column(default=1)
    #: Limits: ``{"plans": [codes], "intervals": ["1 month"], "countries": ["DE"]}``.
    limits: Mapped[dict[str, Any]] = mapped_column(default=dict)
    first_time_only: Mapped[bool] = mapped_column(default=False)
    starts_on: Mapped[date | None]
    #: Last day it is accepted.
    ends_on: Mapped[date | None]
    max_uses: Mapped[int | None]
    max_per_customer: Mapped[int | None]
    used: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    #: By language: its name as it is said in it, of one that is given without a code.
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")


class PromotionCode(Base):
    """The string a shopper types; stored normalised."""

    __tablename__ = "promotion_code"
    __table_args__ = (
        sa.CheckConstraint("max_uses IS NULL OR used <= max_uses", name="within_limit"),
        sa.CheckConstraint("used >= 0", name="used_not_negative"),
        sa.Index("ix_promotion_code_batch", "coupon_id", "batch", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    coupon_id: Mapped[int] = mapped_column(sa.ForeignKey("coupon.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Name of the batch it was made in; empty for one made by hand.
    batch: Mapped[str] = mapped_column(sa.String(40), default="")
    #: 1 for a unique code; NULL: as often as the coupon allows.
    max_uses: Mapped[int | None]
    used: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class SubscriptionDiscount(Base):
    """A coupon at work on a subscription."""

    __tablename__ = "subscription_discount"
    __table_args__ = (
        sa.UniqueConstraint("subscription_id", "coupon_id"),
        sa.CheckConstraint("cycles_left IS NULL OR cycles_left >= 0", name="cycles_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    coupon_id: Mapped[int] = mapped_column(sa.ForeignKey("coupon.id"), index=True)
    #: What the customer typed, for the line on the invoice.
    code: Mapped[str] = mapped_column(sa.String(40))
    promotion_code_id: Mapped[int | None] = mapped_column(sa.ForeignKey("promotion_code.id"))
    #: Order of application, lowest first.
    position: Mapped[int] = mapped_column(default=0)
    #: Billed periods it still lowers; NULL = for ever.
    cycles_left: Mapped[int | None]
    #: True while it keeps the use that its order took, until it first lowers an invoice.
    holds_use: Mapped[bool] = mapped_column(server_default=sa.text("false"))


class Redemption(Base):
    """One use: a discount that lowered an amount above zero on one invoice."""

    __tablename__ = "redemption"
    __table_args__ = (
        sa.UniqueConstraint("subscription_discount_id", "invoice_id"),
        sa.CheckConstraint("amount_minor > 0", name="lowers_something"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_discount_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription_discount.id"))
    coupon_id: Mapped[int] = mapped_column(sa.ForeignKey("coupon.id"), index=True)
    #: The code that was typed; NULL for an automatic discount.
    promotion_code_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("promotion_code.id"), index=True
    )
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), index=True)
    amount_minor: Mapped[int]
    #: True for the use that raised ``coupon.used`` (the first of a subscription).
    counts: Mapped[bool] = mapped_column(default=False)
    given_back_at: Mapped[datetime | None]
    at: Mapped[datetime]


class Referral(Base):
    """A friend who came by a subscriber's code; both are credited after the first paid box."""

    __tablename__ = "referral"
    __table_args__ = (
        sa.CheckConstraint("state IN ('waiting','granted','refused')", name="state"),
        sa.CheckConstraint("giver_id <> friend_id", name="two_people"),
        sa.CheckConstraint("giver_minor >= 0 AND friend_minor >= 0", name="amounts_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    giver_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    #: Somebody is referred once.
    friend_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"), unique=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), index=True)
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: What each gets, as promised on the day of the order.
    giver_minor: Mapped[int]
    friend_minor: Mapped[int]
    state: Mapped[str] = mapped_column(sa.String(8), default="waiting")
    #: Why it was refused.
    reason: Mapped[str] = mapped_column(sa.String(24), default="")
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
