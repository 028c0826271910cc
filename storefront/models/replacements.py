"""Why a box was sent again, and what that cost the merchant."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class BoxReplacement(Base):
    """Reason and cost of a box that replaces another (``box.replaces_id``)."""

    __tablename__ = "box_replacement"
    __table_args__ = (
        sa.CheckConstraint(
            "reason IN ('lost','returned','damaged','incomplete','wrong')", name="reason"
        ),
        sa.CheckConstraint("goods_minor >= 0 AND shipping_minor >= 0", name="costs_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    #: The new box.
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("box.id"), unique=True)
    reason: Mapped[str] = mapped_column(sa.String(12))
    #: What staff wrote for one another; the customer never sees it.
    note: Mapped[str] = mapped_column(default="")
    #: Cost prices of its contents and what the parcel costs, as known on that day.
    goods_minor: Mapped[int]
    shipping_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: Something in it has no cost price (in this currency), so the goods cost more.
    has_unknown_cost: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(index=True)
    #: Public id of the staff user.
    actor: Mapped[str] = mapped_column(sa.String(40))
