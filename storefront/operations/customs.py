"""What customs ask of products, and what of it is frozen with a box that crosses a border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from storefront.domain.customs import CustomsData, customs_line, is_declared, missing_in
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


def filled_in(
    session: AnySession, packings: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the packings of packed boxes with what customs ask and nobody knew at their lock.

    It is taken from the products as they are now; what was frozen stays, and nothing is written:
    the file of their batch is the same when it is made again.
    """
    missing = {sku for one in packings for sku in missing_in(one.get("customs", ()))}
    if not missing:
        return list(packings)
    table = table_of(ProductVariant)
    rows = session.execute(
        sa.select(table.c.sku, *customs_columns()).where(table.c.sku.in_(missing))
    )
    known = {row.sku: customs_of(row) for row in rows}
    return [
        {**one, "customs": [_filled(line, known) for line in one["customs"]]}
        if one.get("customs")
        else one
        for one in packings
    ]


def _filled(line: Mapping[str, Any], known: Mapping[str, CustomsData]) -> dict[str, Any]:
    data = known.get(line["sku"])
    if data is None:
        return dict(line)
    now = customs_line(line["sku"], line["pieces"], line["grams"], data)
    found = dict(line) | {part: line[part] or now[part] for part in ("hs_code", "origin", "text")}
    if not line["value_minor"]:
        found |= {"value_minor": now["value_minor"], "currency": now["currency"]}
    return found
