"""Parcels that came back, until somebody decided what becomes of each."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class BoxReturn(Base):
    """That a box came back; one for each, renewed when it comes back once more."""

    __tablename__ = "box_return"
    __table_args__ = (
        sa.CheckConstraint("(settled_at IS NULL) = (settled_ref = '')", name="settled_by_staff"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("box.id"), unique=True)
    #: When it was said, which may be later than it happened.
    came_back_at: Mapped[datetime]
    #: When it was put aside, sent again or refunded; NULL: it is on the list.
    settled_at: Mapped[datetime | None]
    #: Public id of the staff user, the box that replaces it, or the credit note.
    settled_ref: Mapped[str] = mapped_column(sa.String(40), default="")
