"""What is subscribed to: plans, versions of their prices, options."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.domain.periods import Interval
from storefront.models.base import Base


class Plan(Base):
    """A box template with its shipping interval. Archived, never deleted."""

    __tablename__ = "plan"
    __table_args__ = (
        sa.CheckConstraint("shipping_count > 0", name="shipping_count_positive"),
        sa.CheckConstraint(
            "shipping_unit IN ('day','week','month','year')", name="shipping_unit_known"
        ),
        sa.CheckConstraint(
            "NOT ships OR cycle_group_id IS NOT NULL", name="shipping_plan_has_cycles"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Short name in URLs, such as ``pot``.
    code: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    tagline: Mapped[str] = mapped_column(default="")
    description: Mapped[str] = mapped_column(sa.Text, default="")
    benefits: Mapped[list[Any]] = mapped_column(default=list)
    is_recommended: Mapped[bool] = mapped_column(default=False)
    #: False: only reachable by its own link, not listed.
    is_public: Mapped[bool] = mapped_column(default=True)
    position: Mapped[int] = mapped_column(default=0)
    ships: Mapped[bool] = mapped_column(default=True)
    shipping_unit: Mapped[str] = mapped_column(sa.String(5), default="month")
    shipping_count: Mapped[int] = mapped_column(default=1)
    cycle_group_id: Mapped[int | None] = mapped_column(sa.ForeignKey("cycle_group.id"), index=True)
    #: ``standard``, ``reduced`` or ``zero``; the rate follows from country and tax point.
    tax_class: Mapped[str] = mapped_column(sa.String(12), default="standard")
    #: Days after the first decline on which the charge is tried again.
    retry_days: Mapped[list[Any]] = mapped_column(default=lambda: [3, 5, 7])
    #: What happens after the last retry: cancel, pause or leave.
    last_action: Mapped[str] = mapped_column(sa.String(8), default="cancel")
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    @property
    def shipping_interval(self) -> Interval:
        return Interval(self.shipping_unit, self.shipping_count)  # type: ignore[arg-type]


class Price(Base):
    """One version of a plan's price; immutable once a subscription uses it (trigger)."""

    __tablename__ = "price"
    __table_args__ = (
        sa.UniqueConstraint("plan_id", "currency", "country", "unit", "count", "version"),
        sa.CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        sa.CheckConstraint("sign_up_fee_minor >= 0", name="fee_not_negative"),
        sa.CheckConstraint('"count" > 0', name="count_positive"),
        sa.CheckConstraint("unit IN ('day','week','month','year')", name="unit_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: ISO country the price is for; empty = all.
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    unit: Mapped[str] = mapped_column(sa.String(5))
    count: Mapped[int]
    version: Mapped[int]
    #: For one billing interval, tax inside when ``tax_inclusive``.
    amount_minor: Mapped[int]
    tax_inclusive: Mapped[bool] = mapped_column(default=True)
    sign_up_fee_minor: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    #: New sales stop here; running subscriptions keep their pinned version.
    retired_at: Mapped[datetime | None]

    @property
    def interval(self) -> Interval:
        return Interval(self.unit, self.count)  # type: ignore[arg-type]


class OptionGroup(Base):
    """A question asked when a plan is chosen, such as size or taste."""

    __tablename__ = "option_group"
    __table_args__ = (sa.UniqueConstraint("plan_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(40))
    name: Mapped[str] = mapped_column(sa.String(80))
    hint: Mapped[str] = mapped_column(default="")
    position: Mapped[int] = mapped_column(default=0)


class Option(Base):
    """One answer to an option group."""

    __tablename__ = "option"
    __table_args__ = (sa.UniqueConstraint("group_id", "code"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    group_id: Mapped[int] = mapped_column(sa.ForeignKey("option_group.id"), index=True)
    code: Mapped[str] = mapped_column(sa.String(40))
    name: Mapped[str] = mapped_column(sa.String(80))
    hint: Mapped[str] = mapped_column(default="")
    position: Mapped[int] = mapped_column(default=0)
    #: Surcharge per box by currency code, minor units: ``{"EUR": 300}``.
    surcharges: Mapped[dict[str, Any]] = mapped_column(default=dict)
    archived_at: Mapped[datetime | None]
