"""Write imported products: what is new, what changed, what is as it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from storefront.domain.product_rows import ProductData, RowIssue, VariantData
from storefront.models import Product, ProductVariant
from storefront.models.base import public_ids, table_of
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment
from storefront.operations.stock import StockChange, change_stock, note_changes

#: Columns of a product that an import keeps up to date; a person's own ones are left alone.
_PRODUCT_COLUMNS = ("name", "description", "vendor", "category", "tags")
_CUSTOMS_COLUMNS = ("hs_code", "origin_country")
_VARIANT_COLUMNS = ("sku", "name", "weight_grams", "cost_minor", "price_minor", "currency")


@dataclass(slots=True)
class Plan:
    """What writing a slice of products will do; made without writing anything."""

    new: list[ProductData] = field(default_factory=list)
    changed: list[tuple[int, ProductData, dict[str, Any]]] = field(default_factory=list)
    unchanged: int = 0
    new_variants: list[tuple[int, VariantData]] = field(default_factory=list)
    changed_variants: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    stock: list[StockChange] = field(default_factory=list)
    #: Variants whose stock here is another than the file's, and is left alone.
    stock_differs: int = 0
    issues: list[RowIssue] = field(default_factory=list)


def plan_import(
    session: AnySession,
    source: str,
    products: Sequence[ProductData],
    currency: str,
    *,
    set_stock: bool,
) -> Plan:
    """Compare ``products`` (descriptions made safe) with those of ``source`` here.

    A product is known by its reference, a variant by its SKU, else by its name within the
    product. Stock of variants that are here already is left alone unless ``set_stock``: from
    the first import on it is counted here. A SKU of another product leaves its product out.
    """
    plan = Plan()
    known, variants = _known(session, source, [product.ref for product in products])
    owners = _sku_owners(session, [v.sku for product in products for v in product.variants])
    for product in products:
        row = known.get(product.ref)
        clashes = [
            RowIssue(variant.row, "SKU", "sku_taken", variant.sku)
            for variant in product.variants
            if owners.get(variant.sku, row.id if row else None) != (row.id if row else None)
        ]
        if clashes:
            plan.issues += clashes
        elif row is None:
            plan.new.append(product)
        else:
            _compare(plan, row, product, variants[row.id], currency, set_stock=set_stock)
    return plan


def _known(
    session: AnySession, source: str, refs: Sequence[str]
) -> tuple[dict[str, AnyRow], dict[int, list[AnyRow]]]:
    product, variant = table_of(Product), table_of(ProductVariant)
    rows = session.execute(
        sa.select(product).where(product.c.source == source, product.c.source_ref.in_(refs))
    ).all()
    children: dict[int, list[AnyRow]] = defaultdict(list)
    for row in session.execute(
        sa.select(variant)
        .where(variant.c.product_id.in_([row.id for row in rows]))
        .order_by(variant.c.id)
    ):
        children[row.product_id].append(row)
    return {row.source_ref: row for row in rows}, children


def _sku_owners(session: AnySession, skus: Sequence[str]) -> dict[str, int]:
    table = table_of(ProductVariant)
    rows = session.execute(sa.select(table.c.sku, table.c.product_id).where(table.c.sku.in_(skus)))
    return {row.sku: row.product_id for row in rows}


def _compare(
    plan: Plan,
    row: AnyRow,
    product: ProductData,
    variants: Sequence[AnyRow],
    currency: str,
    *,
    set_stock: bool,
) -> None:
    fresh = _product_values(product)
    values = {name: fresh[name] for name in _PRODUCT_COLUMNS if getattr(row, name) != fresh[name]}
    size = len(plan.new_variants) + len(plan.changed_variants) + len(plan.stock)
    for data in product.variants:
        own = _match(variants, data)
        if own is None:
            plan.new_variants.append((row.id, data))
        else:
            _compare_variant(plan, own, data, currency, set_stock=set_stock)
    touched = len(plan.new_variants) + len(plan.changed_variants) + len(plan.stock) > size
    if values or touched:
        plan.changed.append((row.id, product, values))
    else:
        plan.unchanged += 1


def _match(variants: Sequence[AnyRow], data: VariantData) -> AnyRow | None:
    by_sku = next((one for one in variants if one.sku == data.sku), None)
    return by_sku or next((one for one in variants if one.name == data.name), None)


def _compare_variant(
    plan: Plan, own: AnyRow, data: VariantData, currency: str, *, set_stock: bool
) -> None:
    fresh = _variant_values(data, currency)
    values = {name: fresh[name] for name in _VARIANT_COLUMNS if getattr(own, name) != fresh[name]}
    # What customs ask is rarely in a file: where it is not, what a person typed stays.
    told = {name: fresh[name] for name in _CUSTOMS_COLUMNS if fresh[name]}
    values |= {name: one for name, one in told.items() if getattr(own, name) != one}
    if set_stock and own.is_counted != data.is_counted:
        values["is_counted"] = data.is_counted
    if set_stock and own.may_oversell != data.may_oversell:
        values["may_oversell"] = data.may_oversell
    if values:
        plan.changed_variants.append((own.id, values))
    if data.stock is None or data.stock == own.on_hand:
        return
    if set_stock:
        change = StockChange(own.id, "correction", data.stock - own.on_hand, "import")
        plan.stock.append(change)
    else:
        plan.stock_differs += 1


def write_import(
    session: AnySession, plan: Plan, source: str, currency: str, moment: Moment, actor: str
) -> None:
    """Write what ``plan`` says, in the caller's transaction.

    Raises ``IntegrityError`` when somebody wrote the same products meanwhile.
    """
    product, variant = table_of(Product), table_of(ProductVariant)
    for key, _data, values in plan.changed:
        if values:
            session.execute(sa.update(product).where(product.c.id == key).values(**values))
    for key, values in plan.changed_variants:
        session.execute(sa.update(variant).where(variant.c.id == key).values(**values))
    keys = reserve(session, Product, len(plan.new))
    if plan.new:
        session.execute(
            sa.insert(product),
            [
                _product_values(data)
                | {
                    "id": key,
                    "public_id": public,
                    "source": source,
                    "source_ref": data.ref,
                    "allergens": [],
                    "picture": "",
                    "created_at": moment.now,
                }
                for key, public, data in zip(
                    keys, public_ids("prod", len(plan.new)), plan.new, strict=True
                )
            ],
        )
    fresh = [(key, one) for key, data in zip(keys, plan.new, strict=True) for one in data.variants]
    opening = _insert_variants(session, [*fresh, *plan.new_variants], currency)
    note_changes(session, opening, moment.now, actor)
    change_stock(session, plan.stock, moment.now, actor)


def _insert_variants(
    session: AnySession, variants: Sequence[tuple[int, VariantData]], currency: str
) -> list[StockChange]:
    if not variants:
        return []
    keys = reserve(session, ProductVariant, len(variants))
    session.execute(
        sa.insert(table_of(ProductVariant)),
        [
            _variant_values(data, currency)
            | {
                "id": key,
                "public_id": public,
                "product_id": product_id,
                "is_counted": data.is_counted,
                "may_oversell": data.may_oversell,
                "on_hand": data.stock or 0,
                "committed": 0,
            }
            for key, public, (product_id, data) in zip(
                keys, public_ids("var", len(variants)), variants, strict=True
            )
        ],
    )
    return [
        StockChange(key, "receipt" if data.stock > 0 else "correction", data.stock, "import")
        for key, (_product, data) in zip(keys, variants, strict=True)
        if data.stock
    ]


def _product_values(data: ProductData) -> dict[str, Any]:
    values: Mapping[str, Any] = {
        "name": data.name,
        "description": data.description,
        "vendor": data.vendor,
        "category": data.category,
        "tags": list(data.tags),
    }
    return dict(values)


def _variant_values(data: VariantData, currency: str) -> dict[str, Any]:
    return {
        "sku": data.sku,
        "name": data.name,
        "weight_grams": data.weight_grams,
        "cost_minor": data.cost_minor,
        "price_minor": data.price_minor,
        "currency": currency,
        "hs_code": data.hs_code,
        "origin_country": data.origin,
    }
