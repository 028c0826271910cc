"""Products and their stock, for the admin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.domain.shortages import Policy
from storefront.models import Product, ProductVariant, Staff, StockMove
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.queries.shortages import RuleView, rules_by_sku

PAGE = 50
MOVES = 30
#: Counted pieces at or below which stock is called low.
LOW = 10


@dataclass(frozen=True, slots=True)
class ProductRow:
    """One product of the list; stock is summed over its counted variants, None if none is."""

    public_id: str
    name: str
    vendor: str
    category: str
    picture: str
    source: str
    variants: int
    sku: str
    on_hand: int | None
    committed: int
    is_low: bool


@dataclass(frozen=True, slots=True)
class ProductPage:
    """A page of products; ``older`` is the cursor of the next page, empty on the last."""

    rows: tuple[ProductRow, ...]
    older: str


@dataclass(frozen=True, slots=True)
class MoveRow:
    """One stock move."""

    kind: str
    quantity: int
    reason: str
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One SKU with its counters and latest moves."""

    public_id: str
    sku: str
    name: str
    price: Money | None
    cost: Money | None
    weight_grams: int
    is_counted: bool
    #: What is done with boxes when it runs out, a ``domain.shortages.Policy``, and the SKU that
    #: goes in instead.
    policy: str
    substitute: str
    on_hand: int
    committed: int
    moves: tuple[MoveRow, ...]


@dataclass(frozen=True, slots=True)
class ProductDetail:
    """Everything about one product; ``description`` is HTML that was made safe on its way in."""

    public_id: str
    name: str
    description: str
    vendor: str
    category: str
    tags: tuple[str, ...]
    allergens: tuple[str, ...]
    picture: str
    source: str
    source_ref: str
    variants: tuple[VariantRow, ...]
    #: By language: its name.
    translations: Mapping[str, Any]
    #: Why nobody may withdraw from it; empty: they may.
    no_withdrawal: str = ""


def product_page(
    session: AnySession, search: str = "", stock: str = "", after: str = ""
) -> ProductPage:
    """Return up to 50 products by name behind the product ``after``.

    ``search`` looks into names and SKUs; ``stock`` is ``low``, ``out`` or empty.
    """
    product = table_of(Product)
    name = sa.func.lower(product.c.name)
    statement = sa.select(product).where(product.c.archived_at.is_(None))
    if search:
        statement = statement.where(_matches(search))
    if stock:
        statement = statement.where(_has_stock(0 if stock == "out" else LOW))
    if after:
        last = session.execute(
            sa.select(name.label("name"), product.c.id).where(product.c.public_id == after)
        ).one_or_none()
        if last is not None:
            statement = statement.where(
                sa.tuple_(name, product.c.id) > sa.tuple_(last.name, last.id)
            )
    found = session.execute(statement.order_by(name, product.c.id).limit(PAGE + 1)).all()
    rows = found[:PAGE]
    variants = _variants(session, [row.id for row in rows])
    return ProductPage(
        rows=tuple(_product_row(row, variants.get(row.id, [])) for row in rows),
        older=rows[-1].public_id if len(found) > PAGE else "",
    )


def _matches(search: str) -> sa.ColumnElement[bool]:
    product, variant = table_of(Product), table_of(ProductVariant)
    wanted = search.lower()
    in_name = sa.func.lower(product.c.name).contains(wanted, autoescape=True)
    in_sku = sa.exists().where(
        variant.c.product_id == product.c.id,
        sa.func.lower(variant.c.sku).startswith(wanted, autoescape=True),
    )
    return sa.or_(in_name, in_sku)


def _has_stock(most: int) -> sa.ColumnElement[bool]:
    product, variant = table_of(Product), table_of(ProductVariant)
    return sa.exists().where(
        variant.c.product_id == product.c.id,
        variant.c.is_counted.is_(True),
        variant.c.archived_at.is_(None),
        variant.c.on_hand <= most,
    )


def _variants(session: AnySession, product_ids: Sequence[int]) -> dict[int, list[AnyRow]]:
    variant = table_of(ProductVariant)
    found: dict[int, list[AnyRow]] = {}
    for row in session.execute(
        sa.select(variant)
        .where(variant.c.product_id.in_(product_ids), variant.c.archived_at.is_(None))
        .order_by(variant.c.id)
    ):
        found.setdefault(row.product_id, []).append(row)
    return found


def _product_row(row: AnyRow, variants: Sequence[AnyRow]) -> ProductRow:
    counted = [one for one in variants if one.is_counted]
    return ProductRow(
        public_id=row.public_id,
        name=row.name,
        vendor=row.vendor,
        category=row.category,
        picture=row.picture,
        source=row.source,
        variants=len(variants),
        sku=variants[0].sku if variants else "",
        on_hand=sum(one.on_hand for one in counted) if counted else None,
        committed=sum(one.committed for one in counted),
        is_low=any(one.on_hand <= LOW for one in counted),
    )


def product_detail(session: AnySession, product_ref: str) -> ProductDetail | None:
    """Return one product with its variants and their latest moves, None if there is none."""
    product = table_of(Product)
    row = session.execute(
        sa.select(product).where(product.c.public_id == product_ref)
    ).one_or_none()
    if row is None:
        return None
    variants = _variants(session, [row.id]).get(row.id, [])
    rules = rules_by_sku(session, [one.sku for one in variants])
    return ProductDetail(
        public_id=row.public_id,
        name=row.name,
        description=row.description,
        vendor=row.vendor,
        category=row.category,
        tags=tuple(row.tags),
        allergens=tuple(row.allergens),
        picture=row.picture,
        source=row.source,
        source_ref=row.source_ref,
        variants=tuple(
            _variant_row(one, rules.get(one.sku), _moves(session, one.id)) for one in variants
        ),
        translations=row.translations,
        no_withdrawal=row.no_withdrawal,
    )


def product_of_variant(session: AnySession, variant_ref: str) -> str | None:
    """Return the product a variant belongs to, None if there is no such variant."""
    product, variant = table_of(Product), table_of(ProductVariant)
    found: str | None = session.scalar(
        sa.select(product.c.public_id)
        .join(variant, variant.c.product_id == product.c.id)
        .where(variant.c.public_id == variant_ref)
    )
    return found


def _moves(session: AnySession, variant_id: int) -> tuple[MoveRow, ...]:
    move, staff = table_of(StockMove), table_of(Staff)
    rows = session.execute(
        sa.select(
            move.c.kind,
            move.c.quantity,
            move.c.reason,
            move.c.at,
            sa.func.coalesce(staff.c.name, move.c.actor).label("actor"),
        )
        .outerjoin(staff, staff.c.public_id == move.c.actor)
        .where(move.c.variant_id == variant_id, move.c.kind.not_in(("allocation", "shipment")))
        .order_by(move.c.id.desc())
        .limit(MOVES)
    )
    return tuple(MoveRow(**row._mapping) for row in rows)


def _variant_row(row: AnyRow, rule: RuleView | None, moves: tuple[MoveRow, ...]) -> VariantRow:
    policy = rule.policy if rule else Policy.HOLD.value

    def money(minor: Any) -> Money | None:
        return None if minor is None else Money(int(minor), row.currency)

    return VariantRow(
        public_id=row.public_id,
        sku=row.sku,
        name=row.name,
        price=money(row.price_minor),
        cost=money(row.cost_minor),
        weight_grams=row.weight_grams,
        is_counted=row.is_counted,
        policy=Policy.MAKE.value if row.may_oversell else policy,
        substitute=rule.sku if rule else "",
        on_hand=row.on_hand,
        committed=row.committed,
        moves=moves,
    )
