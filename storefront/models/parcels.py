"""Boxes that a shipping provider has or follows, and the messages it sends."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ProviderParcel(Base):
    """What a shipping provider is to do about one box, and how far that is."""

    __tablename__ = "provider_parcel"
    __table_args__ = (
        sa.CheckConstraint("way IN ('box','number')", name="way"),
        sa.CheckConstraint("state IN ('planned','asked','taken','refused','over')", name="state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("box.id"), unique=True)
    provider: Mapped[str] = mapped_column(sa.String(24))
    #: ``box``: handed over to be sent. ``number``: it left already and is only followed.
    way: Mapped[str] = mapped_column(sa.String(6))
    #: ``asked``: sent, and no answer is known yet. ``refused`` waits for a person.
    state: Mapped[str] = mapped_column(sa.String(8), default="planned")
    #: The provider's own name of it.
    provider_reference: Mapped[str] = mapped_column(sa.String(80), default="")
    tries: Mapped[int] = mapped_column(default=0)
    #: When it is worked next; NULL: not any more, or by a person.
    try_at: Mapped[datetime | None]
    #: When the provider was first asked to take it.
    asked_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(sa.String(255), default="")
    created_at: Mapped[datetime]


class ParcelEvent(Base):
    """A genuine message of a shipping provider, stored before anything is done with it."""

    __tablename__ = "parcel_event"
    __table_args__ = (
        sa.UniqueConstraint("provider", "event_id"),
        sa.CheckConstraint("state IN ('waiting','applied','orphan','failed')", name="state"),
        sa.CheckConstraint("says IN ('','shipped','delivered','returned')", name="says"),
        sa.Index("ix_parcel_event_state", "state", "received_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(sa.String(24))
    event_id: Mapped[str] = mapped_column(sa.String(120))
    kind: Mapped[str] = mapped_column(sa.String(80))
    #: The public id of our box, where the message names it.
    reference: Mapped[str] = mapped_column(sa.String(80), default="")
    #: The provider's own name of what it has of ours.
    provider_reference: Mapped[str] = mapped_column(sa.String(80), default="")
    number: Mapped[str] = mapped_column(sa.String(80), default="")
    carrier: Mapped[str] = mapped_column(sa.String(40), default="")
    #: Where the parcel is; empty: nothing that moves a box.
    says: Mapped[str] = mapped_column(sa.String(9), default="")
    occurred_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(sa.String(8), default="waiting")
    tries: Mapped[int] = mapped_column(default=0)
    #: When it is worked next, while ``waiting``.
    try_at: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(sa.String(255), default="")
