"""Movements of monthly recurring revenue. Append-only (trigger)."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Movement(Base):
    """One delta of MRR, written in the transaction of the state change."""

    __tablename__ = "movement"
    __table_args__ = (
        sa.CheckConstraint(
            "kind IN ('new','expansion','contraction','churn','reactivation')", name="kind"
        ),
        sa.Index("ix_movement_day", "on_day", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"), index=True)
    on_day: Mapped[date]
    kind: Mapped[str] = mapped_column(sa.String(12))
    #: Why: sign_up, renewal, discount_end, voluntary, unpaid …
    reason: Mapped[str] = mapped_column(sa.String(24), default="")
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    source: Mapped[str] = mapped_column(sa.String(80), default="")
    cohort: Mapped[str] = mapped_column(sa.String(7))
    currency: Mapped[str] = mapped_column(sa.String(3))
    delta_minor: Mapped[int]
