"""Where one box of a subscription goes, if not where the others go."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class BoxAddress(Base):
    """The address of the box of a cycle, whether that box is made yet or not."""

    __tablename__ = "box_address"
    __table_args__ = (sa.UniqueConstraint("subscription_id", "cycle_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription_id: Mapped[int] = mapped_column(sa.ForeignKey("subscription.id"))
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"), index=True)
    address_id: Mapped[int] = mapped_column(sa.ForeignKey("address.id"))
    given_at: Mapped[datetime]
