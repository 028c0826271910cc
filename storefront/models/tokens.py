"""Keys by which the merchant's own programs call us."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ApiToken(Base):
    """A key for one kind of call; only its hash is kept, so it is shown once."""

    __tablename__ = "api_token"
    __table_args__ = (sa.CheckConstraint("scope IN ('tracking')", name="scope"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: What the merchant calls it, such as the program that holds it.
    name: Mapped[str] = mapped_column(sa.String(60))
    #: What it opens: ``tracking`` says where parcels are, and nothing else.
    scope: Mapped[str] = mapped_column(sa.String(16))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    staff_id: Mapped[int] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    created_at: Mapped[datetime]
    #: To the minute.
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
