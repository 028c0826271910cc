"""Count stock: receipts, losses and corrections by people."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.errors import DomainError
from storefront.models import ProductVariant
from storefront.models.base import table_of
from storefront.operations.stock import StockChange, change_stock
from storefront.runtime import Runtime

#: What a person may enter by hand; allocations and shipments are made by boxes.
KINDS = ("receipt", "loss", "correction")


class VariantNotFound(DomainError):
    """There is no such variant."""

    code = "variant_not_found"


def adjust_stock(
    rt: Runtime, variant_ref: str, kind: str, quantity: int, reason: str, actor: str
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
        change_stock(rt.session, [StockChange(variant, kind, quantity, reason)], rt.now(), actor)
    except DomainError:
        rt.session.rollback()
        raise
    rt.session.commit()
    return on_hand(rt, variant)


def on_hand(rt: Runtime, variant_id: int) -> int:
    """Return how many pieces there are."""
    table = table_of(ProductVariant)
    found = rt.session.execute(sa.select(table.c.on_hand).where(table.c.id == variant_id))
    count = int(found.scalar_one())
    rt.session.rollback()
    return count
