"""The chase after a decline: one case per invoice."""

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
