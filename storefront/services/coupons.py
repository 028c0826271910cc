"""Put a promotion code on an order, or take it off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from storefront.database import retrying
from storefront.domain.coupons import Refusal, normalise_code
from storefront.operations.checkout import (
    Market,
    Order,
    change_checkout,
    expires_at,
    find_checkout,
    read_order,
)
from storefront.operations.coupons import TypedCode, find_code
from storefront.operations.order_codes import why_refused
from storefront.runtime import Runtime


@dataclass(frozen=True, slots=True)
class CodeTried:
    """``refused`` is None when the code now lowers the order; ``found`` is what it means."""

    refused: Refusal | None
    found: TypedCode | None = None


def use_code(rt: Runtime, key: str, typed: str) -> CodeTried:
    """Try what was typed on an open order; a refused code changes nothing.

    Nothing is reserved yet: that happens with the order. Raises ``LookupError`` for an
    unknown order.
    """
    return retrying(rt.session, partial(_use, rt, key, normalise_code(typed)))


def drop_code(rt: Runtime, key: str) -> None:
    """Take the code off an open order. Raises ``LookupError`` for an unknown order."""

    def write() -> None:
        row = find_checkout(rt.session, key, lock=True)
        if row is None:
            rt.session.rollback()
            raise LookupError(key)
        if row.state == "open":
            change_checkout(rt.session, row, {"promotion_code_id": None})
        rt.session.commit()

    retrying(rt.session, write)


def _use(rt: Runtime, key: str, normalised: str) -> CodeTried:
    session = rt.session
    row = find_checkout(session, key, lock=True)
    if row is None:
        session.rollback()
        raise LookupError(key)
    order = read_order(session, row, Market.of(rt.shop), rt.moment())
    found = find_code(session, normalised) if normalised else None
    refused = _why_refused(rt, order, found)
    if refused is None and found is not None and row.state == "open":
        values = {
            "promotion_code_id": found.promotion_code_id,
            "expires_at": expires_at(rt.now()),
        }
        change_checkout(session, row, values)
    session.commit()
    return CodeTried(refused, found)


def _why_refused(rt: Runtime, order: Order, code: TypedCode | None) -> Refusal | None:
    """Return None when the code fits a box of the order, else what the first box has against it."""
    reasons = [
        why_refused(
            rt.session, order.checkout, code, item.plan, item.price, order.country, rt.today()
        )
        for item in order.items
        if item.price is not None
    ]
    return None if None in reasons else next(iter(reasons), Refusal.UNKNOWN)
