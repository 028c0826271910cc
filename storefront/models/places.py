"""How many subscribers a plan takes, and what open orders hold of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class PlanPlaces(Base):
    """Limits of what is sold of a plan; a plan without a row has none."""

    __tablename__ = "plan_places"
    __table_args__ = (
        sa.CheckConstraint("places > 0", name="places_positive"),
        sa.CheckConstraint("invite_hours > 0", name="invite_hours"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"), unique=True)
    #: Boxes at a time, over all subscriptions; NULL: any number.
    places: Mapped[int | None]
    #: Nothing is sold for which the stock left over by running subscribers does not reach.
    sells_by_stock: Mapped[bool] = mapped_column(default=False)
    #: How long a place is kept for somebody invited from the waiting list.
    invite_hours: Mapped[int] = mapped_column(default=48, server_default="48")


class OrderHold(Base):
    """One box of an open order, held for it until ``until_at`` or until it is booked."""

    __tablename__ = "order_hold"
    __table_args__ = (
        sa.UniqueConstraint("checkout_id", "position"),
        sa.CheckConstraint("quantity > 0", name="quantity_positive"),
        sa.Index("ix_order_hold_plan", "plan_id", "until_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    checkout_id: Mapped[int] = mapped_column(sa.ForeignKey("checkout.id"))
    #: Which box of the order it is, from 0.
    position: Mapped[int]
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    quantity: Mapped[int]
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    until_at: Mapped[datetime]


class WaitingPlace(Base):
    """Somebody who waits for a place of a plan; gone once they ordered, left or came too late."""

    __tablename__ = "waiting_place"
    __table_args__ = (
        sa.UniqueConstraint("plan_id", "email"),
        sa.CheckConstraint("(invited_at IS NULL) = (until_at IS NULL)", name="invited_until"),
        sa.Index("ix_waiting_place_until", "until_at", "plan_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    email: Mapped[str] = mapped_column(sa.String(254))
    locale: Mapped[str] = mapped_column(sa.String(12), default="")
    created_at: Mapped[datetime]
    #: A place is kept for this e-mail from then on, and until when.
    invited_at: Mapped[datetime | None]
    until_at: Mapped[datetime | None]
