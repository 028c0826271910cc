"""The chase after a decline: one case per invoice, and schedules for groups of subscribers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class DunningCase(Base):
    """Step, next time and the policy as it was when the case was opened."""

    __tablename__ = "dunning_case"
    __table_args__ = (
        sa.CheckConstraint("kind IN ('decline','authentication')", name="kind"),
        sa.CheckConstraint("state IN ('open','recovered','lost','closed')", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    invoice_id: Mapped[int] = mapped_column(sa.ForeignKey("invoice.id"), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    state: Mapped[str] = mapped_column(sa.String(12), default="open")
    #: Tries by the clock so far; what the customer tries is no step.
    step: Mapped[int] = mapped_column(default=0)
    #: When the clock acts next; NULL while its try is on its way.
    next_at: Mapped[datetime | None]
    #: Set while a card just saved is to be tried at ``next_at``: when the schedule goes on.
    resume_at: Mapped[datetime | None]
    #: ``retry`` or ``last_action``: what happens at ``next_at``.
    next_action: Mapped[str] = mapped_column(sa.String(12), default="retry")
    #: When the last warning goes out; NULL: sent, or there is none.
    warn_at: Mapped[datetime | None]
    policy: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class RetrySchedule(Base):
    """Tries and last step for a group of subscribers, before those of their plan.

    Of those that a subscriber belongs to, the one with the lowest position counts.
    """

    __tablename__ = "retry_schedule"
    __table_args__ = (
        sa.CheckConstraint("began IN ('any','within','before')", name="began"),
        sa.CheckConstraint("began_days > 0", name="began_days"),
        sa.CheckConstraint("retry_minute BETWEEN 0 AND 1439", name="retry_minute"),
        sa.CheckConstraint("last_action IN ('cancel','pause','leave')", name="last_action"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: What the merchant calls the group.
    name: Mapped[str] = mapped_column(sa.String(80))
    position: Mapped[int]
    #: Subscribers of this plan; NULL: of any.
    plan_id: Mapped[int | None] = mapped_column(sa.ForeignKey("plan.id"))
    #: ISO countries the boxes go to; empty: any.
    countries: Mapped[list[Any]] = mapped_column(default=list)
    #: any; within: for at most ``began_days`` before the decline; before: for longer.
    began: Mapped[str] = mapped_column(sa.String(6), default="any")
    began_days: Mapped[int] = mapped_column(default=90)
    #: Days after the first decline on which the charge is tried again.
    retry_days: Mapped[list[Any]] = mapped_column(default=list)
    #: Shop-local time of these tries, in minutes after midnight.
    retry_minute: Mapped[int] = mapped_column(default=540)
    #: What happens after the last retry: cancel, pause or leave.
    last_action: Mapped[str] = mapped_column(sa.String(8), default="cancel")
    created_at: Mapped[datetime]
