"""Shopify's product CSV: one row per variant, the product's own cells on its first row.

Both generations of headings are known, that of ``Handle`` and that of ``URL handle``. Rows
that only carry a further picture are passed over: pictures are not imported.
"""

from collections.abc import Iterable, Sequence

from storefront.domain.product_rows import (
    NAME_LIMIT,
    SKU_LIMIT,
    ProductData,
    Row,
    RowIssue,
    VariantData,
    split_list,
)

#: Our name of a column and the headings it goes by, in lower case.
HEADINGS: dict[str, tuple[str, ...]] = {
    "handle": ("handle", "url handle"),
    "title": ("title",),
    "body": ("body (html)", "body html", "description"),
    "vendor": ("vendor",),
    "type": ("type",),
    "category": ("product category", "standardized product type"),
    "tags": ("tags",),
    "option1": ("option1 value",),
    "option2": ("option2 value",),
    "option3": ("option3 value",),
    "sku": ("variant sku", "sku"),
    "grams": ("variant grams", "weight value (grams)"),
    "tracker": ("variant inventory tracker", "inventory tracker"),
    "stock": ("variant inventory qty", "inventory quantity"),
    "policy": ("variant inventory policy", "continue selling when out of stock"),
    "price": ("variant price", "price"),
    "cost": ("cost per item",),
    "gift_card": ("gift card",),
    "hs_code": ("hs code", "variant hs code", "hs tariff code", "harmonized system code"),
    "origin": ("coo", "country of origin", "country code of origin"),
}
#: Columns without which a file is not of this kind.
NEEDED = ("handle", "title", "price")

_OPTIONS = ("option1", "option2", "option3")
#: Cells that make a row a variant; a row without any of them is a further picture.
_VARIANT_CELLS = (*_OPTIONS, "sku", "price")


def read(rows: Iterable[Row], currency: str) -> tuple[list[ProductData], list[RowIssue]]:
    """Return the products of ``rows`` and what is wrong; a product with an issue is left out."""
    groups: dict[str, list[Row]] = {}
    issues: list[RowIssue] = []
    for row in rows:
        handle = row.text("handle")
        if handle:
            groups.setdefault(handle, []).append(row)
        elif any(row.cells.values()):
            row.complain("handle", "missing")
            issues += row.issues
    products = []
    for handle, group in groups.items():
        product = _product(handle, group, currency)
        found = [issue for row in group for issue in row.issues]
        issues += found
        if product is not None and not found:
            products.append(product)
    return products, issues


def _product(handle: str, rows: Sequence[Row], currency: str) -> ProductData | None:
    first = next((row for row in rows if row.text("title")), None)
    if first is None:
        rows[0].complain("title", "missing")
        return None
    if first.flag("gift_card"):
        first.complain("gift_card", "not_packable")
        return None
    if len(handle) > NAME_LIMIT:
        first.complain("handle", "too_long")
    variants = [
        _variant(row, currency)
        for row in rows
        if row is first or any(row.text(cell) for cell in _VARIANT_CELLS)
    ]
    _refuse_repeats(rows, variants)
    return ProductData(
        row=first.number,
        ref=handle,
        name=first.line("title"),
        description=first.text("body"),
        vendor=first.line("vendor"),
        category=first.line("type") or first.line("category"),
        tags=split_list(first.text("tags")),
        variants=tuple(variants),
    )


def _variant(row: Row, currency: str) -> VariantData:
    values = [row.line(option) for option in _OPTIONS]
    name = " / ".join(value for value in values if value and value != "Default Title")
    if len(name) > NAME_LIMIT:
        row.complain("option1", "too_long", name)
    may_oversell = row.flag("policy")
    stock = row.pieces("stock")
    if stock is not None and stock < 0 and not may_oversell:
        row.complain("stock", "negative")
    return VariantData(
        row=row.number,
        sku=row.line("sku", SKU_LIMIT).lstrip("'"),
        name=name,
        price_minor=row.amount("price", currency),
        cost_minor=row.amount("cost", currency),
        weight_grams=row.grams("grams", "g"),
        is_counted=bool(row.text("tracker")),
        may_oversell=may_oversell,
        stock=stock,
        hs_code=row.hs_code("hs_code"),
        origin=row.country("origin"),
    )


def _refuse_repeats(rows: Sequence[Row], variants: Sequence[VariantData]) -> None:
    by_number = {row.number: row for row in rows}
    seen: set[str] = set()
    for variant in variants:
        if variant.name in seen:
            by_number[variant.row].complain("option1", "variant_twice", variant.name)
        seen.add(variant.name)
