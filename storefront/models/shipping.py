"""Zones of delivery: which places, what a box costs there by weight; what boxes count as."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ShippingZone(Base):
    """Places with the same delivery prices, or places nothing is sent to."""

    __tablename__ = "shipping_zone"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Empty: it is called by its places.
    name: Mapped[str] = mapped_column(sa.String(80), default="")
    is_blocked: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class ShippingArea(Base):
    """A country, or postcodes of it; no place is in two zones."""

    __tablename__ = "shipping_area"
    __table_args__ = (
        sa.UniqueConstraint("country", "prefix"),
        sa.CheckConstraint("country <> '' OR prefix = ''", name="prefix_has_country"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    zone_id: Mapped[int] = mapped_column(sa.ForeignKey("shipping_zone.id"), index=True)
    #: ISO country; empty = every other.
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    #: How its postcodes begin, in upper case, letters and digits only; empty = all of it.
    prefix: Mapped[str] = mapped_column(sa.String(16), default="")


class ShippingTariff(Base):
    """What boxes to a zone cost in one currency; its bands hold the prices."""

    __tablename__ = "shipping_tariff"
    __table_args__ = (
        sa.UniqueConstraint("zone_id", "currency"),
        sa.CheckConstraint("free_from_minor >= 0", name="free_from_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    zone_id: Mapped[int] = mapped_column(sa.ForeignKey("shipping_zone.id"))
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: Nothing from this amount of goods per box on; NULL: never free.
    free_from_minor: Mapped[int | None]


class ShippingBand(Base):
    """The price of a box from a weight on, until the next band begins."""

    __tablename__ = "shipping_band"
    __table_args__ = (
        sa.UniqueConstraint("tariff_id", "from_grams"),
        sa.CheckConstraint("from_grams >= 0", name="from_grams_not_negative"),
        sa.CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    tariff_id: Mapped[int] = mapped_column(sa.ForeignKey("shipping_tariff.id"))
    from_grams: Mapped[int] = mapped_column(default=0)
    #: Per box, in the terms of the plan's price (tax inside or not).
    amount_minor: Mapped[int]


class BoxWeight(Base):
    """What one box of a plan counts as for delivery, before anybody knows its contents."""

    __tablename__ = "box_weight"
    __table_args__ = (
        sa.UniqueConstraint("plan_id", "option_key"),
        sa.CheckConstraint("grams >= 0", name="grams_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    plan_id: Mapped[int] = mapped_column(sa.ForeignKey("plan.id"))
    #: ``group=option`` as recipes have it; empty = every box of the plan.
    option_key: Mapped[str] = mapped_column(sa.String(80), default="")
    grams: Mapped[int]
