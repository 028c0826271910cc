"""What the shop offers to somebody who is about to leave."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class LeavingOffer(Base):
    """One offer; the oldest that fits is shown, those for one plan before those for any."""

    __tablename__ = "leaving_offer"
    __table_args__ = (
        sa.CheckConstraint("kind IN ('pause','skip','discount','plan')", name="kind"),
        sa.CheckConstraint("(kind = 'plan') = (to_plan_id IS NOT NULL)", name="to_plan"),
        sa.CheckConstraint("boxes >= 0", name="boxes_not_negative"),
        sa.CheckConstraint("rest_days > 0", name="rest_days_positive"),
        sa.CheckConstraint("taken >= 0 AND declined >= 0", name="counts_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(8))
    #: Subscribers of this plan; NULL: of any.
    plan_id: Mapped[int | None] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    #: Of a pause: how many boxes it leaves out; else 0.
    boxes: Mapped[int] = mapped_column(default=0)
    #: Of a discount: the code, as it is kept.
    code: Mapped[str] = mapped_column(sa.String(40), default="")
    #: Of another plan: which.
    to_plan_id: Mapped[int | None] = mapped_column(sa.ForeignKey("plan.id"))
    #: So many days after an offer was answered a subscription may be made this one.
    rest_days: Mapped[int]
    #: How often it was taken, and how often somebody left although it was shown.
    taken: Mapped[int] = mapped_column(default=0)
    declined: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
