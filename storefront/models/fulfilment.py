"""Sets of boxes exported together, and the parcels they became."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class FulfilmentBatch(Base):
    """Boxes exported together; the file is published whole or not at all."""

    __tablename__ = "fulfilment_batch"
    __table_args__ = (
        sa.UniqueConstraint("cycle_id", "number"),
        sa.CheckConstraint("row_count > 0", name="not_empty"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"))
    #: 1, 2 … within its cycle.
    number: Mapped[int]
    #: Format code of the export, such as ``generic_csv``; ``own`` for a merchant's.
    format: Mapped[str] = mapped_column(sa.String(24))
    #: The format as it was when the batch was made; NULL: the generic one. A file made again
    #: is made with it, whatever became of the format since.
    layout: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    row_count: Mapped[int]
    #: SHA-256 of the file; a re-export must equal it byte for byte.
    sha256: Mapped[str] = mapped_column(sa.String(64))
    file_name: Mapped[str]
    created_at: Mapped[datetime]
    #: Public id of the staff user, or ``worker``.
    actor: Mapped[str] = mapped_column(sa.String(40))


class ExportFormat(Base):
    """A format the merchant made: which columns a file of boxes has, and what stands in them."""

    __tablename__ = "export_format"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    #: ``domain.carriers.layout.Layout`` as plain data.
    layout: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class Shipment(Base):
    """A parcel with carrier and tracking number; one or several boxes."""

    __tablename__ = "shipment"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    carrier: Mapped[str] = mapped_column(sa.String(40), default="")
    tracking_number: Mapped[str] = mapped_column(sa.String(80), default="", index=True)
    shipped_at: Mapped[datetime]
