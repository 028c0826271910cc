"""What subscribers ask of a box after its cut-off, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class LateChange(Base):
    """One wish about one box that is not exported; a box has one that is open at most."""

    __tablename__ = "late_change"
    __table_args__ = (
        sa.CheckConstraint("kind IN ('address','keep_back','contents')", name="kind"),
        sa.CheckConstraint("state IN ('open','accepted','refused','expired')", name="state"),
        sa.CheckConstraint("asked_by IN ('customer','staff')", name="asked_by"),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided_unless_open"),
        sa.CheckConstraint("state <> 'refused' OR reason <> ''", name="refused_with_reason"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    box_id: Mapped[int] = mapped_column(sa.ForeignKey("box.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(9))
    #: Where it is to go instead: the parts of an address, none for another kind.
    address: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    #: What it is to hold instead: ``picks`` or ``swaps`` as pairs of variants, and the pieces that
    #: lay there (``was``) and are to (``then``) as pairs of variant and number; {} otherwise.
    contents: Mapped[dict[str, Any]] = mapped_column(
        sa.JSON, default=dict, server_default=sa.text("'{}'")
    )
    #: What the asker wrote beside it.
    note: Mapped[str] = mapped_column(sa.String(400), default="")
    state: Mapped[str] = mapped_column(sa.String(8))
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(sa.String(8))
    #: Public id of the customer or the staff user.
    asked_ref: Mapped[str] = mapped_column(sa.String(40))
    decided_at: Mapped[datetime | None]
    #: Public id of who decided; empty when it expired.
    decided_ref: Mapped[str] = mapped_column(sa.String(40), default="")
    reason: Mapped[str] = mapped_column(sa.String(400), default="")
    #: What went back to the credit of who paid, for a box that was kept back.
    credit_minor: Mapped[int] = mapped_column(default=0)
