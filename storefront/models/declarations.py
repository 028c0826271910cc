"""What people declared about contracts without signing in, and what became of it; append-only."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Declaration(Base):
    """One declaration as it was typed, with the instant it came; never changed (trigger).

    An erasure takes out what says who it was, and notes it in ``blanked_at``.
    """

    __tablename__ = "declaration"
    __table_args__ = (sa.CheckConstraint("kind IN ('end','withdraw')", name="kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Hash of what was typed with what was drawn for the page: a second click is the same
    #: declaration, one that was corrected is another.
    once: Mapped[str] = mapped_column(sa.String(64), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(8))
    is_for_cause: Mapped[bool]
    name: Mapped[str] = mapped_column(sa.String(120))
    email: Mapped[str] = mapped_column(sa.String(254), index=True)
    #: How they named the contract.
    contract: Mapped[str] = mapped_column(sa.String(200))
    reason: Mapped[str] = mapped_column(sa.Text)
    #: The day it is to end; None: as soon as possible.
    wished_on: Mapped[date | None]
    locale: Mapped[str] = mapped_column(sa.String(12))
    received_at: Mapped[datetime]
    #: Whose e-mail it is, and the contract that was found; nobody outside is told.
    customer_id: Mapped[int | None] = mapped_column(sa.ForeignKey("customer.id"), index=True)
    subscription_id: Mapped[int | None] = mapped_column(
        sa.ForeignKey("subscription.id"), index=True
    )
    #: E-mail and a number that cannot be guessed name the same contract.
    is_sure: Mapped[bool]
    #: Of a withdrawal: nothing is billed or packed from then on.
    has_stopped: Mapped[bool]
    blanked_at: Mapped[datetime | None]


class DeclarationOutcome(Base):
    """What became of a declaration: one row once it is done; append-only (trigger)."""

    __tablename__ = "declaration_outcome"
    __table_args__ = (sa.CheckConstraint("outcome IN ('ended','settled')", name="outcome"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    declaration_id: Mapped[int] = mapped_column(sa.ForeignKey("declaration.id"), unique=True)
    #: ``ended`` by itself, or ``settled`` by staff.
    outcome: Mapped[str] = mapped_column(sa.String(8))
    #: First day not served, where it ended by itself.
    ends_on: Mapped[date | None]
    #: Public id of the staff user; empty: by itself.
    by_ref: Mapped[str] = mapped_column(sa.String(40))
    note: Mapped[str] = mapped_column(sa.String(400))
    at: Mapped[datetime]
