"""What subscribers take instead of a product of their recipe."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class SwapOffer(Base):
    """Something that subscribers of a plan may take instead of a product of the recipe."""

    __tablename__ = "swap_offer"
    __table_args__ = (sa.UniqueConstraint("plan_id", "variant_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    position: Mapped[int] = mapped_column(default=0)


class BoxSwap(Base):
    """What a subscriber takes instead of a product: in one box, or from one box on.

    Rows for boxes that may not change any more stay as they were. See ``domain.swaps``.
    """

    __tablename__ = "box_swap"
    __table_args__ = (
        sa.UniqueConstraint("subscription_id", "variant_id", "from_id", "is_standing"),
        sa.CheckConstraint("instead_id <> variant_id", name="something_else"),
        sa.CheckConstraint("NOT is_standing OR instead_id IS NOT NULL", name="standing_names_it"),
        sa.CheckConstraint("is_standing OR until_id IS NULL", name="once_has_no_end"),
        sa.CheckConstraint("pieces > 0", name="pieces_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    #: What the recipe says.
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"))
    #: NULL: the recipe's own in this one box, whatever is taken instead from now on.
    instead_id: Mapped[int | None] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    #: From the box of ``from_id`` on; otherwise in that box alone.
    is_standing: Mapped[bool]
    from_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"), index=True)
    #: The first cycle for which it does not hold any more; NULL: it goes on.
    until_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box_cycle.id"))
    #: Pieces for one box when it was said; what is set aside against other swaps.
    pieces: Mapped[int]
    swapped_at: Mapped[datetime]
