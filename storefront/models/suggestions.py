"""What customers do not want to have suggested any more."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class SuggestionDismissal(Base):
    """Somebody has put a kind of suggestion away, for good."""

    __tablename__ = "suggestion_dismissal"
    __table_args__ = (sa.UniqueConstraint("customer_id", "kind"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customer.id"))
    #: ``domain.suggestions.SuggestionKind``.
    kind: Mapped[str] = mapped_column(sa.String(16))
    at: Mapped[datetime]
