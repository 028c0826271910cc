"""What is put into boxes that are paid for already: bought alone, by an invoice of its own."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class BoxAddition(Base):
    """Pieces of an add-on for the next paid box, or each of them; in there once it is paid."""

    __tablename__ = "box_addition"
    __table_args__ = (
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint("reach IN ('next','rest')", name="reach"),
        sa.CheckConstraint("state IN ('waiting','applied','withdrawn')", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), index=True)
    addon_id: Mapped[int] = mapped_column(sa.ForeignKey("addon.id"), index=True)
    #: What lies in the boxes; NULL for a service.
    variant_id: Mapped[int | None] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    #: Pieces in each box.
    quantity: Mapped[int]
    #: Price of one as it was shown, which later payments keep.
    unit_minor: Mapped[int]
    #: ``next``: one box; ``rest``: every box that is paid for.
    reach: Mapped[str] = mapped_column(sa.String(8))
    #: Where the first period begins that brings it with each of its boxes; NULL: none does.
    goes_on_from: Mapped[date | None]
    #: Offered until its success; the money of what could not be put in goes back.
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), unique=True)
    state: Mapped[str] = mapped_column(sa.String(12), default="waiting")
    #: Names the form it was sent with, so that a second click is the same purchase.
    once: Mapped[str] = mapped_column(sa.String(40), unique=True)
    created_at: Mapped[datetime]


class BoxAdditionBox(Base):
    """A box that an addition is for, with its share of what the invoice says."""

    __tablename__ = "box_addition_box"
    __table_args__ = (sa.CheckConstraint("gross_minor >= 0", name="gross_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    addition_id: Mapped[int] = mapped_column(sa.ForeignKey("box_addition.id"), index=True)
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("box.id"), index=True)
    gross_minor: Mapped[int]
    #: When its share went back, because the box is not sent.
    returned_at: Mapped[datetime | None]
