"""Where the first box of an order goes, when that is not the cycle it would join by itself."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class FirstBoxPlace(Base):
    """What an order promised for the first box of its first period, as it was shown."""

    __tablename__ = "first_box"
    __table_args__ = (sa.CheckConstraint("rule IN ('now','later')", name="rule"),)

    period_id: Mapped[int] = mapped_column(
        sa.ForeignKey("subscription_period.id"), primary_key=True, autoincrement=False
    )
    #: now: the box goes there however late it is paid; later: as long as it is not locked.
    rule: Mapped[str] = mapped_column(sa.String(5))
    cycle_id: Mapped[int] = mapped_column(sa.ForeignKey("box_cycle.id"), index=True)
    #: The day the box leaves.
    ships_on: Mapped[date]
    #: The places of the boxes behind it are reckoned from this day.
    places_from: Mapped[date]
