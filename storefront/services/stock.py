"""Count stock: receipts, losses and corrections by people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.domain.shortages import Policy
from storefront.models import ProductVariant, ShortageRule
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.stock import StockChange, StockTooLow, change_stock
from storefront.runtime import Runtime

#: What a person may enter by hand; allocations and shipments are made by boxes.
KINDS = ("receipt", "loss", "correction")


class VariantNotFound(DomainError):
    """There is no such variant."""

    code = "variant_not_found"


class UnknownSubstitute(DomainError):
    """No other variant has this SKU."""

    code = "unknown_substitute"


class NoValue(DomainError):
    """Nobody said what a piece is worth, so nothing could be credited for it."""

    code = "no_value"


def adjust_stock(
    rt: Runtime, variant_ref: str, kind: str, quantity: int, reason: str, who: Who | None = None
) -> int:
    """Move ``on_hand`` of a variant by ``quantity`` pieces (signed) and return what it is now.

    Raises ``VariantNotFound``, ``StockTooLow``, and ``ValueError`` for another ``kind`` than
    ``KINDS`` or a quantity of zero.
    """
    if kind not in KINDS or not quantity:
        raise ValueError(f"{kind} of {quantity} is nothing to enter by hand")
    table = table_of(ProductVariant)
    variant = rt.session.scalar(sa.select(table.c.id).where(table.c.public_id == variant_ref))
    if variant is None:
        rt.session.rollback()
        raise VariantNotFound(variant=variant_ref)
    try:
        _write(rt, variant_ref, StockChange(variant, kind, quantity, reason), who)
    except DomainError:
        rt.session.rollback()
        raise
    rt.session.commit()
    return on_hand(rt, variant)


def count_stock(
    rt: Runtime, variant_ref: str, counted: int, reason: str, who: Who | None = None
) -> int:
    """Set ``on_hand`` of a variant to what was counted; returns it.

    Read and written in one transaction, so that a box locked meanwhile is not lost. Raises
    ``VariantNotFound``.
    """
    table = table_of(ProductVariant)
    row = rt.session.execute(
        sa.select(table.c.id, table.c.on_hand)
        .where(table.c.public_id == variant_ref)
        .with_for_update()
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        raise VariantNotFound(variant=variant_ref)
    if counted != row.on_hand:
        change = StockChange(row.id, "correction", counted - row.on_hand, reason)
        _write(rt, variant_ref, change, who)
    rt.session.commit()
    return counted


def set_rule(
    rt: Runtime,
    variant_ref: str,
    *,
    is_counted: bool,
    policy: Policy,
    substitute: str = "",
    who: Who | None = None,
) -> None:
    """Say whether a variant's stock is counted, and what is done with boxes when it runs out.

    ``substitute`` is a SKU. Raises ``VariantNotFound``; ``StockTooLow`` when overselling ends
    while pieces are owed; ``UnknownSubstitute``; ``NoValue``.
    """
    row = _locked(rt, variant_ref)
    after = {
        "is_counted": is_counted,
        "may_oversell": policy is Policy.MAKE,
        "policy": policy.value,
        "substitute": substitute if policy is Policy.SUBSTITUTE else "",
    }
    try:
        other = _substitute(rt, row.id, substitute) if policy is Policy.SUBSTITUTE else None
        if policy is Policy.DROP and row.price_minor is None:
            raise NoValue(variant=variant_ref)
        if row.on_hand < 0 and policy is not Policy.MAKE:
            raise StockTooLow(variant=row.id, wanted=-row.on_hand)
    except DomainError:
        rt.session.rollback()
        raise
    before = _rule_before(rt, row)
    table, rule = table_of(ProductVariant), table_of(ShortageRule)
    rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id)
        .values(is_counted=is_counted, may_oversell=policy is Policy.MAKE)
    )
    rt.session.execute(sa.delete(rule).where(rule.c.variant_id == row.id))
    if policy in (Policy.SUBSTITUTE, Policy.DROP):
        values = {"variant_id": row.id, "policy": policy.value, "substitute_id": other}
        rt.session.execute(sa.insert(rule).values(**values))
    if who is not None and before != after:
        audit.write(
            rt.session, who.id, "stock.rule", variant_ref, before, after, rt.moment(), who.ip
        )
    rt.session.commit()


def _locked(rt: Runtime, variant_ref: str) -> AnyRow:
    table = table_of(ProductVariant)
    row = rt.session.execute(
        sa.select(table).where(table.c.public_id == variant_ref).with_for_update()
    ).one_or_none()
    if row is None:
        rt.session.rollback()
        raise VariantNotFound(variant=variant_ref)
    return row


def _substitute(rt: Runtime, variant_id: int, sku: str) -> int:
    table = table_of(ProductVariant)
    found: int | None = rt.session.scalar(
        sa.select(table.c.id).where(table.c.sku == sku, table.c.archived_at.is_(None))
    )
    if found is None or found == variant_id:
        raise UnknownSubstitute(sku=sku)
    return found


def _rule_before(rt: Runtime, row: AnyRow) -> dict[str, Any]:
    rule, other = table_of(ShortageRule), table_of(ProductVariant)
    known = rt.session.execute(
        sa.select(rule.c.policy, other.c.sku)
        .outerjoin(other, other.c.id == rule.c.substitute_id)
        .where(rule.c.variant_id == row.id)
    ).one_or_none()
    policy = known.policy if known else Policy.HOLD.value
    return {
        "is_counted": row.is_counted,
        "may_oversell": row.may_oversell,
        "policy": Policy.MAKE.value if row.may_oversell else policy,
        "substitute": known.sku or "" if known else "",
    }


def _write(rt: Runtime, variant_ref: str, change: StockChange, who: Who | None) -> None:
    actor = who.public_id if who else "worker"
    change_stock(rt.session, [change], rt.now(), actor)
    if who is not None:
        after = {"kind": change.kind, "quantity": change.quantity, "reason": change.reason}
        audit.write(
            rt.session, who.id, "stock.adjusted", variant_ref, {}, after, rt.moment(), who.ip
        )


def on_hand(rt: Runtime, variant_id: int) -> int:
    """Return how many pieces there are."""
    table = table_of(ProductVariant)
    found = rt.session.execute(sa.select(table.c.on_hand).where(table.c.id == variant_id))
    count = int(found.scalar_one())
    rt.session.rollback()
    return count
