"""What customs ask of products, and what of it is frozen with a box that crosses a border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from storefront.domain.customs import CustomsData, customs_line, is_declared
from storefront.models import ProductVariant, ShopSettings
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession


class _Packed(Protocol):
    """A variant as a lock reads it."""

    @property
    def sku(self) -> str: ...
    @property
    def weight_grams(self) -> int: ...
    @property
    def customs(self) -> CustomsData: ...


def customs_columns() -> tuple[sa.ColumnElement[Any], ...]:
    """The columns of ``product_variant`` that ``customs_of`` reads."""
    table = table_of(ProductVariant)
    return (
        table.c.hs_code,
        table.c.origin_country,
        table.c.customs_text,
        table.c.price_minor,
        table.c.currency,
    )


def customs_of(row: AnyRow) -> CustomsData:
    """Return what is declared of one piece of a row with ``customs_columns``."""
    return CustomsData(
        row.hs_code, row.origin_country, row.customs_text, row.price_minor, row.currency
    )


def seller_country_of(session: AnySession) -> str:
    """Return the country parcels leave from."""
    found = session.scalar(sa.select(table_of(ShopSettings).c.seller_country))
    return str(found or "")


def weighed(
    contents: Sequence[tuple[int, int]], stock: Mapping[int, _Packed]
) -> dict[str, int | list[int]]:
    """Return grams of one piece of each product, in their order, and of everything together."""
    return {
        "grams": [stock[key].weight_grams for key, _pieces in contents],
        "weight_grams": sum(stock[key].weight_grams * pieces for key, pieces in contents),
    }


def declared(
    ship_to: Mapping[str, Any] | None,
    contents: Sequence[tuple[int, int]],
    stock: Mapping[int, _Packed],
    seller_country: str,
) -> dict[str, list[dict[str, Any]]]:
    """Return ``{"customs": lines}`` for a box that crosses a border, else nothing."""
    country = str((ship_to or {}).get("country") or "")
    postcode = str((ship_to or {}).get("postcode") or "")
    if not country or not is_declared(seller_country, country, postcode):
        return {}
    lines = [
        customs_line(stock[key].sku, pieces, stock[key].weight_grams, stock[key].customs)
        for key, pieces in contents
    ]
    return {"customs": lines}
