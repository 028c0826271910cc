"""Count stock: receipts, losses and corrections by people."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.models import ProductVariant
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.stock import StockChange, StockTooLow, change_stock
from storefront.runtime import Runtime

#: What a person may enter by hand; allocations and shipments are made by boxes.
KINDS = ("receipt", "loss", "correction")


class VariantNotFound(DomainError):
    """There is no such variant."""

    code = "variant_not_found"


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


def set_counting(
    rt: Runtime, variant_ref: str, *, is_counted: bool, may_oversell: bool, who: Who | None = None
) -> None:
    """Say whether a variant's stock is counted, and whether boxes may take more than there is.

    Raises ``VariantNotFound``; ``StockTooLow`` when overselling ends while pieces are owed.
    """
    table = table_of(ProductVariant)
    row = rt.session.execute(
        sa.select(table.c.id, table.c.on_hand, table.c.is_counted, table.c.may_oversell)
        .where(table.c.public_id == variant_ref)
        .with_for_update()
    ).one_or_none()
    if row is None or (row.on_hand < 0 and not may_oversell):
        rt.session.rollback()
        raise (
            VariantNotFound(variant=variant_ref)
            if row is None
            else StockTooLow(variant=row.id, wanted=-row.on_hand)
        )
    after = {"is_counted": is_counted, "may_oversell": may_oversell}
    before = {"is_counted": row.is_counted, "may_oversell": row.may_oversell}
    rt.session.execute(sa.update(table).where(table.c.id == row.id).values(**after))
    if who is not None and before != after:
        audit.write(
            rt.session, who.id, "stock.rule", variant_ref, before, after, rt.moment(), who.ip
        )
    rt.session.commit()


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
