"""One attempt of a shopper to subscribe; every way to submit twice ends at this row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Checkout(Base):
    """``public_id`` is the form's one-time id and the confirmation page's address."""

    __tablename__ = "checkout"
    __table_args__ = (
        sa.CheckConstraint("state IN ('open','paying','done','expired')", name="state"),
        sa.Index("ix_checkout_expires", "state", "expires_at"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    state: Mapped[str] = mapped_column(sa.String(8), default="open")
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    price_id: Mapped[int] = mapped_column(sa.ForeignKey("price.id"))
    quantity: Mapped[int] = mapped_column(default=1)
    #: Chosen options, group code to option code.
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    email: Mapped[str] = mapped_column(default="")
    #: Delivery address as typed, by column name of ``address``.
    address: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Whom the invoice is made out to where it is not who gets the box, by column name of
    #: ``address``; else empty.
    billing: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: ``[{"addon": public id, "quantity": 1, "cadence": "once"}]``.
    addons: Mapped[list[Any]] = mapped_column(default=list)
    #: Further boxes of the same order: ``[{"ref": "2", "plan_id": 1, "price_id": 1,
    #: "quantity": 1, "options": {}, "addons": []}]``.
    more: Mapped[list[Any]] = mapped_column(default=list)
    #: Of a gift: recipient's name, email, country, message and ``send_on``; else empty. The
    #: address then holds the giver's name and the country alone.
    gift: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: What the shopper does not tolerate, as long as the order is open: health data, which its
    #: subscriptions take over.
    avoids: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    #: VAT number as typed, for a firm.
    tax_id: Mapped[str] = mapped_column(sa.String(24), default="")
    #: As ``customer.tax_id_state``.
    tax_id_state: Mapped[str] = mapped_column(sa.String(8), default="")
    #: Who sent this shopper.
    referrer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"))
    promotion_code_id: Mapped[int | None] = mapped_column(sa.ForeignKey("promotion_code.id"))
    #: The signed-in customer who began it, or the one it made.
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    locale: Mapped[str] = mapped_column(sa.String(12), default="")
    #: Frozen when the shopper orders: lines, due today, next charge, first ship date.
    quote: Mapped[dict[str, Any]] = mapped_column(default=dict)
    quote_hash: Mapped[str] = mapped_column(sa.String(64), default="")
    #: Consent as given with the order: text, version, time, IP, agent.
    consent: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Acquisition: utm parameters and referrer, as they came.
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    #: Gateway chosen for payment.
    gateway: Mapped[str] = mapped_column(sa.String(24), default="")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}
