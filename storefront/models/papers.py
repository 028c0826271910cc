"""Packing slips and address labels of batches, made by the worker and picked up by staff."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class BatchPaper(Base):
    """A paper somebody asked for; its files are there once ``made_at`` is set."""

    __tablename__ = "batch_paper"
    __table_args__ = (
        sa.UniqueConstraint("batch_id", "kind", "layout"),
        sa.CheckConstraint("kind IN ('slips','labels')", name="kind"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    batch_id: Mapped[int] = mapped_column(sa.ForeignKey("fulfilment_batch.id"))
    #: slips or labels.
    kind: Mapped[str] = mapped_column(sa.String(12))
    #: Code of a layout in ``domain.papers.LAYOUTS``.
    layout: Mapped[str] = mapped_column(sa.String(16))
    #: What it says of the shop, as on the day it was asked for: made again it says the same.
    shop: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    #: ``{"file": …, "sha256": …, "boxes": …}`` per file; empty until made.
    parts: Mapped[list[Any]] = mapped_column(sa.JSON, default=list)
    asked_at: Mapped[datetime]
    made_at: Mapped[datetime | None]
    #: Public id of the staff user.
    actor: Mapped[str] = mapped_column(sa.String(40))
