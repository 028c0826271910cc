"""What packed boxes lack, and what will be done where a product runs out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.money import Money
from storefront.models import (
    Box,
    BoxCycle,
    BoxShortage,
    Product,
    ProductVariant,
    ShortageRule,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, any_of


@dataclass(frozen=True, slots=True)
class Lack:
    """Pieces that are not in a packed box; ``instead`` is empty where nothing is."""

    name: str
    pieces: int
    instead: str
    #: What was given back; None for nothing.
    credit: Money | None
    #: False: who gets the box asked not to have it.
    ran_out: bool = True


@dataclass(frozen=True, slots=True)
class PackedByRule:
    """How many boxes of a cycle lack a product, and what is in them instead."""

    name: str
    product_ref: str
    instead: str
    boxes: int
    pieces: int
    credits: tuple[Money, ...]


@dataclass(frozen=True, slots=True)
class RuleView:
    """What is done where a variant runs out: ``substitute`` or ``drop``."""

    policy: str
    sku: str = ""
    name: str = ""


def _named(variant: Any, product: Any) -> sa.ColumnElement[str]:
    return sa.func.trim(product.c.name + " " + variant.c.name, type_=sa.String())


def _rows(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Select from what boxes lack, with the product that is missing and the one instead."""
    short, box, variant, product = _tables()
    other, other_product = variant.alias("other"), product.alias("other_product")
    return (
        sa.select(
            *columns,
            product.c.public_id.label("product_ref"),
            _named(variant, product).label("name"),
            sa.func.coalesce(_named(other, other_product), "").label("instead"),
            box.c.currency,
        )
        .select_from(short)
        .join(box, box.c.id == short.c.box_id)
        .join(variant, variant.c.id == short.c.variant_id)
        .join(product, product.c.id == variant.c.product_id)
        .outerjoin(other, other.c.id == short.c.substitute_id)
        .outerjoin(other_product, other_product.c.id == other.c.product_id)
    )


def _tables() -> tuple[sa.Table, sa.Table, sa.Table, sa.Table]:
    return table_of(BoxShortage), table_of(Box), table_of(ProductVariant), table_of(Product)


def lacks_of(session: AnySession, box_ids: Iterable[int]) -> dict[int, tuple[Lack, ...]]:
    """Return what each of these boxes lacks; boxes that lack nothing are left out."""
    short = table_of(BoxShortage)
    wanted = set(box_ids)
    if not wanted:
        return {}
    return lacks_from(session.execute(_lacks().where(short.c.box_id.in_(wanted))), wanted)


def lacks_from(rows: Iterable[AnyRow], box_ids: Collection[int]) -> dict[int, tuple[Lack, ...]]:
    """Return what ``rows`` say of these boxes."""
    found: dict[int, list[Lack]] = defaultdict(list)
    for row in rows:
        if row.box_id not in box_ids:
            continue
        credit = Money(row.credit_minor, row.currency) if row.credit_minor else None
        found[row.box_id].append(Lack(row.name, row.quantity, row.instead, credit, row.ran_out))
    return {key: tuple(own) for key, own in found.items()}


def has_lacks(customer: sa.BindParameter[int]) -> sa.ColumnElement[bool]:
    """Return the column that says whether any box of a customer lacks anything."""
    short, box, subscription = table_of(BoxShortage), table_of(Box), table_of(Subscription)
    return sa.exists().where(
        subscription.c.customer_id == customer,
        box.c.subscription_id == subscription.c.id,
        short.c.box_id == box.c.id,
    )


@cache
def lacks_statement() -> AnySelect:
    """What the boxes of the subscriptions ``ids`` lack; built once."""
    return _lacks().where(any_of(table_of(Box).c.subscription_id))


def _lacks() -> AnySelect:
    short = table_of(BoxShortage)
    rows = _rows(short.c.box_id, short.c.quantity, short.c.credit_minor, short.c.ran_out)
    return rows.order_by(short.c.id)


def lacks_of_box(session: AnySession, box_ref: str) -> tuple[Lack, ...]:
    """Return what one box lacks."""
    box = table_of(Box)
    key = session.scalar(sa.select(box.c.id).where(box.c.public_id == box_ref))
    return lacks_of(session, [key]).get(key, ()) if key is not None else ()


def packed_by_rule(session: AnySession, cycle_ref: str) -> tuple[PackedByRule, ...]:
    """Return what boxes of a cycle lack that ran out, by product and what is in them instead."""
    short, box, cycle = table_of(BoxShortage), table_of(Box), table_of(BoxCycle)
    each = _rows(short.c.quantity, short.c.credit_minor).join(cycle, cycle.c.id == box.c.cycle_id)
    part = each.where(cycle.c.public_id == cycle_ref, short.c.ran_out).subquery()
    counts = (
        sa.func.count().label("boxes"),
        sa.func.sum(part.c.quantity).label("pieces"),
        sa.func.sum(part.c.credit_minor).label("credit"),
    )
    kinds = (part.c.name, part.c.product_ref, part.c.instead)
    rows = session.execute(
        sa.select(*kinds, part.c.currency, *counts)
        .group_by(*kinds, part.c.currency)
        .order_by(*kinds, part.c.currency)
    )
    found: dict[tuple[str, str, str], PackedByRule] = {}
    for row in rows:
        key = (row.name, row.product_ref, row.instead)
        own = (Money(int(row.credit), row.currency),) if row.credit else ()
        old = found.get(key, PackedByRule(*key, 0, 0, ()))
        found[key] = PackedByRule(
            *key, old.boxes + row.boxes, old.pieces + int(row.pieces), old.credits + own
        )
    return tuple(found.values())


def rules_by_sku(session: AnySession, skus: Iterable[str]) -> dict[str, RuleView]:
    """Return the rules of these SKUs; one without a rule has its boxes wait."""
    rule, variant, product = table_of(ShortageRule), table_of(ProductVariant), table_of(Product)
    other = variant.alias("other")
    wanted = set(skus)
    if not wanted:
        return {}
    rows = session.execute(
        sa.select(
            variant.c.sku,
            rule.c.policy,
            sa.func.coalesce(other.c.sku, "").label("other"),
            sa.func.coalesce(_named(other, product), "").label("name"),
        )
        .join(rule, rule.c.variant_id == variant.c.id)
        .outerjoin(other, other.c.id == rule.c.substitute_id)
        .outerjoin(product, product.c.id == other.c.product_id)
        .where(variant.c.sku.in_(wanted))
    )
    return {row.sku: RuleView(row.policy, row.other, row.name) for row in rows}
