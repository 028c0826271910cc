"""What a merchant edits, and which installation this database belongs to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class ShopSettings(Base):
    """One row (id 1). Process settings (addresses, secrets) live in the environment."""

    __tablename__ = "shop_settings"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80))
    #: One sentence under the name.
    line: Mapped[str] = mapped_column(default="")
    support_email: Mapped[str]
    #: Seller's name, address lines and VAT number for documents.
    seller_name: Mapped[str]
    seller_address: Mapped[str] = mapped_column(sa.Text)
    seller_tax_id: Mapped[str] = mapped_column(sa.String(40), default="")
    seller_country: Mapped[str] = mapped_column(sa.String(2))
    #: IANA name; charge days and cut-offs are days in this zone.
    zone: Mapped[str] = mapped_column(sa.String(40))
    currency: Mapped[str] = mapped_column(sa.String(3))
    locale: Mapped[str] = mapped_column(sa.String(12))
    #: ISO codes of the countries delivered to.
    countries: Mapped[list[Any]] = mapped_column(default=list)
    #: Brand: hue and chroma (in thousandths) of action and accent colour.
    brand_hue: Mapped[int] = mapped_column(default=262)
    brand_chroma: Mapped[int] = mapped_column(default=125)
    accent_hue: Mapped[int] = mapped_column(default=52)
    accent_chroma: Mapped[int] = mapped_column(default=155)
    #: Set while the merchant holds all charging.
    charging_held_at: Mapped[datetime | None]
    #: Raised with each change of plans, prices or these settings; keys page caches.
    catalogue_version: Mapped[int] = mapped_column(default=1)


class Installation(Base):
    """Live-lock: a copied database neither charges nor mails until an owner confirms.

    Compares only where a live gateway is configured.
    """

    __tablename__ = "installation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    #: Site address and gateway accounts that were confirmed last.
    site_url: Mapped[str]
    accounts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Throttle(Base):
    """Counts of tries per bucket and key, shared by all processes."""

    __tablename__ = "throttle"
    __table_args__ = (sa.UniqueConstraint("bucket", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    bucket: Mapped[str] = mapped_column(sa.String(24))
    #: Hash of account or address; never the address itself.
    key: Mapped[str] = mapped_column(sa.String(64))
    window_start_at: Mapped[datetime]
    count: Mapped[int]
