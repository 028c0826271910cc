"""Products that cross a border, what customs still have to be told, and boxes that wait for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.customs import CustomsData, is_declared, missing_in
from storefront.models import Addon, Box, BoxCycle, BoxItem, Product, ProductVariant, RecipeItem
from storefront.models.base import table_of
from storefront.operations.customs import customs_columns, customs_of
from storefront.operations.erasure_rows import LEAVING
from storefront.operations.keys import AnySession

#: Boxes looked at, and boxes listed.
_LOOKED_AT, LISTED = 5000, 50


@dataclass(frozen=True, slots=True)
class CustomsRow:
    """A product that boxes hold."""

    variant: str
    sku: str
    name: str
    data: CustomsData


@dataclass(frozen=True, slots=True)
class WaitingBox:
    """A locked box that is not exported, with what is missing by SKU."""

    box: str
    cycle: str
    cycle_ref: str
    country: str
    missing: dict[str, tuple[str, ...]]


def crosses_border(seller_country: str, countries: Sequence[str]) -> bool:
    """Return whether a whole country delivered to lies behind a border."""
    return any(is_declared(seller_country, country) for country in countries)


def customs_rows(session: AnySession) -> list[CustomsRow]:
    """Return what lies in recipes and add-ons, what is not complete first.

    An add-on that is not sold any more counts while it lies in a box that has not left.
    """
    table, product = table_of(ProductVariant), table_of(Product)
    item, addon = table_of(RecipeItem), table_of(Addon)
    inside, box = table_of(BoxItem), table_of(Box)
    lies = sa.exists().where(
        inside.c.variant_id == addon.c.variant_id,
        box.c.id == inside.c.box_id,
        box.c.state.in_(LEAVING),
    )
    sold = sa.or_(addon.c.archived_at.is_(None), lies)
    used = sa.or_(
        table.c.id.in_(sa.select(item.c.variant_id)),
        table.c.id.in_(sa.select(addon.c.variant_id).where(sold)),
    )
    rows = session.execute(_named(table, product).where(used, table.c.archived_at.is_(None)))
    found = [_row(row) for row in rows]
    return sorted(found, key=lambda one: (not one.data.missing, one.name, one.sku))


def customs_row(session: AnySession, variant: str) -> CustomsRow | None:
    """Return one product by its public id."""
    table, product = table_of(ProductVariant), table_of(Product)
    statement = _named(table, product).where(table.c.public_id == variant)
    row = session.execute(statement).one_or_none()
    return None if row is None else _row(row)


def waiting_boxes(session: AnySession) -> list[WaitingBox]:
    """Return locked boxes that are in no batch and lack what customs ask, oldest cycle first."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = session.execute(
        sa.select(
            box.c.public_id, box.c.packing, box.c.ship_to, cycle.c.key,
            cycle.c.public_id.label("cycle_ref"),
        )
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.state == BoxState.LOCKED, box.c.batch_id.is_(None))
        .order_by(cycle.c.lock_on, box.c.id)
        .limit(_LOOKED_AT)
    )  # fmt: skip
    found = []
    for row in rows:
        missing = missing_in(row.packing.get("customs", ()))
        if missing:
            country = str(row.ship_to.get("country") or "")
            found.append(WaitingBox(row.public_id, row.key, row.cycle_ref, country, missing))
    return found


def _named(table: sa.Table, product: sa.Table) -> sa.Select[tuple[str, ...]]:
    return sa.select(
        table.c.public_id,
        table.c.sku,
        sa.func.trim(product.c.name + " " + table.c.name).label("full_name"),
        *customs_columns(),
    ).join(product, product.c.id == table.c.product_id)


def _row(row: sa.Row[tuple[str, ...]]) -> CustomsRow:
    return CustomsRow(row.public_id, row.sku, row.full_name, customs_of(row))
