"""What the merchant says to everybody in the account, and who has put it away."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Announcement(Base):
    """A banner of the account from one day to another."""

    __tablename__ = "announcement"
    __table_args__ = (
        sa.CheckConstraint("until_on >= from_on", name="days"),
        sa.Index("ix_announcement_until_on", "until_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Language to ``{"title": …, "text": …}``; the shop's own is always there.
    texts: Mapped[dict[str, Any]]
    #: First and last day, in the shop's zone.
    from_on: Mapped[date]
    until_on: Mapped[date]
    #: Whose subscribers see it; None: everybody who signs in.
    plan_id: Mapped[int | None] = mapped_column(sa.ForeignKey("plan.id"))
    created_at: Mapped[datetime]


class AnnouncementDismissal(Base):
    """Somebody has put an announcement away; goes when it is over."""

    __tablename__ = "announcement_dismissal"
    __table_args__ = (sa.UniqueConstraint("customer_id", "announcement_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    announcement_id: Mapped[int] = mapped_column(sa.ForeignKey("announcement.id"), index=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    at: Mapped[datetime]
