"""What happens to a box when a product in it has run out, and what happened."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ShortageRule(Base):
    """What is done when a variant is short at the lock; without a row the box waits.

    A variant that may be oversold never is short, and then no rule of it holds.
    """

    __tablename__ = "shortage_rule"
    __table_args__ = (
        sa.CheckConstraint("policy IN ('substitute','drop')", name="policy"),
        sa.CheckConstraint(
            "(policy = 'substitute') = (substitute_id IS NOT NULL)", name="substitute_named"
        ),
        sa.CheckConstraint("substitute_id <> variant_id", name="another_variant"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"), unique=True)
    policy: Mapped[str] = mapped_column(sa.String(12))
    substitute_id: Mapped[int | None] = mapped_column(sa.ForeignKey("product_variant.id"))


class BoxShortage(Base):
    """Pieces that a packed box should have held: another went in instead, or none."""

    __tablename__ = "box_shortage"
    __table_args__ = (
        sa.UniqueConstraint("box_id", "variant_id"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.CheckConstraint(
            "credit_minor >= 0 AND (substitute_id IS NULL OR credit_minor = 0)", name="credit"
        ),
        sa.CheckConstraint(
            "credit_minor = 0 OR credit_note_id IS NOT NULL", name="credited_by_a_note"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("box.id"))
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"))
    quantity: Mapped[int]
    #: What went in instead, piece for piece; NULL: left out.
    substitute_id: Mapped[int | None] = mapped_column(sa.ForeignKey("product_variant.id"))
    #: False: there was some, and who gets the box does not tolerate it.
    ran_out: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    #: What was given back for it, in the currency of the box.
    credit_minor: Mapped[int] = mapped_column(default=0)
    credit_note_id: Mapped[int | None] = mapped_column(sa.ForeignKey("credit_note.id"))
