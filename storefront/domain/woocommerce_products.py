"""WooCommerce's product CSV: simple products, and variable ones with rows for their variations.

Grouped, external, virtual and downloadable products cannot be packed and are named as such.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from storefront.domain.product_rows import (
    NAME_LIMIT,
    SKU_LIMIT,
    ProductData,
    Row,
    RowIssue,
    VariantData,
    split_list,
)

HEADINGS: dict[str, tuple[str, ...]] = {
    "id": ("id",),
    "type": ("type",),
    "sku": ("sku",),
    "name": ("name",),
    "short": ("short description",),
    "body": ("description",),
    "price": ("regular price",),
    "cost": ("cost of goods", "cost of goods sold", "cost"),
    "categories": ("categories",),
    "tags": ("tags",),
    "vendor": ("brands", "brand", "vendor"),
    "stock": ("stock",),
    "backorders": ("backorders allowed?",),
    "weight_kg": ("weight (kg)",),
    "weight_g": ("weight (g)",),
    "weight_lbs": ("weight (lbs)",),
    "weight_oz": ("weight (oz)",),
    "parent": ("parent",),
    "hs_code": ("hs code", "variant hs code", "hs tariff code", "harmonized system code"),
    "origin": ("coo", "country of origin", "country code of origin"),
    **{f"attribute{n}": (f"attribute {n} value(s)",) for n in range(1, 10)},
}
NEEDED = ("type", "name", "price", "sku")

_WEIGHTS = ("kg", "g", "lbs", "oz")
_PACKED = ("simple", "variable", "variation")
_NOT_PACKED = ("virtual", "downloadable", "external", "grouped")


def read(rows: Iterable[Row], currency: str) -> tuple[list[ProductData], list[RowIssue]]:
    """Return the products of ``rows`` and what is wrong; a product with an issue is left out."""
    heads: list[Row] = []
    variations: list[Row] = []
    everything: list[Row] = []
    for row in rows:
        if not any(cell.strip() for cell in row.cells.values()):
            continue
        everything.append(row)
        if _is_packable(row):
            (variations if _kind(row) == "variation" else heads).append(row)
    by_name = _names(heads)
    children: dict[int, list[Row]] = {}
    for row in variations:
        head = by_name.get(row.text("parent").lower())
        if head is None:
            row.complain("parent", "missing")
        else:
            children.setdefault(head.number, []).append(row)
    products = []
    for head in heads:
        family = [head, *children.get(head.number, ())]
        product = _product(family, currency)
        if product is not None and not any(row.issues for row in family):
            products.append(product)
    return products, [issue for row in everything for issue in row.issues]


def _kind(row: Row) -> str:
    return next((part for part in split_list(row.text("type").lower()) if part in _PACKED), "")


def _is_packable(row: Row) -> bool:
    parts = split_list(row.text("type").lower())
    if not parts:
        row.complain("type", "missing")
    elif not _kind(row) or any(part in _NOT_PACKED for part in parts):
        row.complain("type", "not_packable")
    return not row.issues


def _names(heads: Sequence[Row]) -> Mapping[str, Row]:
    """Return the products by what the column Parent may call them: ``id:12`` or their SKU."""
    named: dict[str, Row] = {}
    for row in heads:
        if row.text("sku"):
            named.setdefault(row.text("sku").lower(), row)
        if row.text("id"):
            named.setdefault(f"id:{row.text('id')}".lower(), row)
    return named


def _product(family: Sequence[Row], currency: str) -> ProductData | None:
    head, *children = family
    ref = f"id:{head.text('id')}" if head.text("id") else f"sku:{head.text('sku')}"
    if ref == "sku:":
        head.complain("sku", "missing")
        return None
    name = head.line("name")
    if not name:
        head.complain("name", "missing")
        return None
    is_variable = _kind(head) == "variable"
    if is_variable and not children:
        head.complain("type", "no_variants")
        return None
    rows = children if is_variable else [head]
    variants = [_variant(row, head, currency, is_variable) for row in rows]
    _refuse_repeats(rows, variants)
    texts = (_lines(head.text(column)) for column in ("short", "body"))
    return ProductData(
        row=head.number,
        ref=ref,
        name=name,
        description="\n\n".join(dict.fromkeys(text for text in texts if text)),
        vendor=head.line("vendor"),
        category=head.line("categories"),
        tags=split_list(head.text("tags")),
        variants=tuple(variants),
    )


def _variant(row: Row, head: Row, currency: str, is_variation: bool) -> VariantData:
    values = [row.line(f"attribute{n}") for n in range(1, 10)] if is_variation else []
    name = " / ".join(value for value in values if value)
    if len(name) > NAME_LIMIT:
        row.complain("attribute1", "too_long", name)
    may_oversell = row.flag("backorders")
    # "parent": the variations share one stock, which we cannot count by variant.
    stock = None if row.text("stock").lower() == "parent" else row.pieces("stock")
    if stock is not None and stock < 0 and not may_oversell:
        row.complain("stock", "negative")
    return VariantData(
        row=row.number,
        sku=row.line("sku", SKU_LIMIT).lstrip("'"),
        name=name,
        price_minor=row.amount("price", currency),
        cost_minor=row.amount("cost", currency),
        weight_grams=_weight(row) or (_weight(head) if row is not head else 0),
        is_counted=stock is not None,
        may_oversell=may_oversell,
        stock=stock,
        hs_code=row.hs_code("hs_code") or (head.hs_code("hs_code") if row is not head else ""),
        origin=row.country("origin") or (head.country("origin") if row is not head else ""),
    )


def _weight(row: Row) -> int:
    return next(
        (row.grams(f"weight_{unit}", unit) for unit in _WEIGHTS if row.text(f"weight_{unit}")), 0
    )


def _lines(text: str) -> str:
    """Turn the line breaks that WooCommerce writes as two characters back into breaks."""
    return re.sub(r"\\n", "\n", text).strip()


def _refuse_repeats(rows: Sequence[Row], variants: Sequence[VariantData]) -> None:
    seen: set[str] = set()
    for row, variant in zip(rows, variants, strict=True):
        if variant.name in seen:
            row.complain("attribute1", "variant_twice", variant.name)
        seen.add(variant.name)
