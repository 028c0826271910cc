"""What can be in a box, and how many of it there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from storefront.models.base import Base


class Product(Base):
    """A thing that can be in a box. Imported ones keep where they came from."""

    __tablename__ = "product"
    __table_args__ = (sa.UniqueConstraint("source", "source_ref"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str]
    #: Sanitised HTML; never stored as it came.
    description: Mapped[str] = mapped_column(sa.Text, default="")
    vendor: Mapped[str] = mapped_column(default="")
    category: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    #: Words for allergens it contains, such as ``nuts``.
    allergens: Mapped[list[Any]] = mapped_column(default=list)
    #: Silhouette of its still-life picture.
    picture: Mapped[str] = mapped_column(sa.String(24), default="tall_tin")
    #: ``own`` or the name of the import; with ``source_ref`` unique.
    source: Mapped[str] = mapped_column(sa.String(24), default="own")
    source_ref: Mapped[str]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    #: By language: its name as it is said in it. No import touches it.
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    #: Why there is no right to withdraw from it (``domain.declarations.Exclusion``); empty: there
    #: is. No import touches it.
    no_withdrawal: Mapped[str] = mapped_column(
        sa.String(12), default="", server_default="", index=True
    )


class ProductVariant(Base):
    """One SKU with its weight, cost and stock counters."""

    __tablename__ = "product_variant"
    __table_args__ = (
        sa.CheckConstraint("on_hand >= 0 OR may_oversell", name="stock_not_negative"),
        sa.CheckConstraint("committed >= 0", name="committed_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(sa.String(40), unique=True)
    product_id: Mapped[int] = mapped_column(sa.ForeignKey("product.id"), index=True)
    sku: Mapped[str] = mapped_column(sa.String(80), unique=True)
    #: Empty for a product with one variant.
    name: Mapped[str] = mapped_column(default="")
    weight_grams: Mapped[int] = mapped_column(default=0)
    #: What the merchant pays for one; NULL when unknown.
    cost_minor: Mapped[int | None]
    #: Retail price where one was imported or entered; NULL when unknown.
    price_minor: Mapped[int | None]
    currency: Mapped[str] = mapped_column(sa.String(3))
    #: Tariff number of 6, 8 or 10 digits, ISO country of origin, and what it is, for customs;
    #: empty when unknown. The value declared is the retail price.
    hs_code: Mapped[str] = mapped_column(sa.String(10), default="", server_default="")
    origin_country: Mapped[str] = mapped_column(sa.String(2), default="", server_default="")
    customs_text: Mapped[str] = mapped_column(sa.String(60), default="", server_default="")
    #: False: stock is not counted for this variant and never runs out.
    is_counted: Mapped[bool] = mapped_column(default=True)
    may_oversell: Mapped[bool] = mapped_column(default=False)
    #: Pieces in the warehouse, those allocated to locked boxes already taken off.
    on_hand: Mapped[int] = mapped_column(default=0)
    #: Pieces in locked boxes that have not left yet.
    committed: Mapped[int] = mapped_column(default=0)
    archived_at: Mapped[datetime | None]


class StockMove(Base):
    """Append-only record of every change of a stock counter (trigger)."""

    __tablename__ = "stock_move"
    __table_args__ = (
        sa.CheckConstraint(
            "kind IN ('receipt','allocation','release','shipment','loss','correction')",
            name="kind",
        ),
        sa.CheckConstraint("quantity <> 0", name="moves_something"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    variant_id: Mapped[int] = mapped_column(sa.ForeignKey("product_variant.id"), index=True)
    kind: Mapped[str] = mapped_column(sa.String(16))
    #: Signed change of ``on_hand`` (a shipment changes ``committed`` and is signed so).
    quantity: Mapped[int]
    box_item_id: Mapped[int | None] = mapped_column(sa.ForeignKey("box_item.id"))
    reason: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]
    #: Public id of the staff user, or ``worker``.
    actor: Mapped[str] = mapped_column(sa.String(40))
