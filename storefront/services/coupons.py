"""Put a promotion code on an order, or take it off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from storefront.database import retrying
from storefront.domain.coupons import Refusal, normalise_code
from storefront.operations.checkout import (
    Market,
    change_checkout,
    expires_at,
    find_checkout,
    read_order,
    why_refused,
)
from storefront.operations.coupons import TypedCode, find_code
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
    if order.price is None:
        session.rollback()
        return CodeTried(Refusal.UNKNOWN)
    refused = why_refused(session, row, found, order.plan, order.price, order.country, rt.today())
    if refused is None and found is not None and row.state == "open":
        values = {
            "promotion_code_id": found.promotion_code_id,
            "expires_at": expires_at(rt.now()),
        }
        change_checkout(session, row, values)
    session.commit()
    return CodeTried(refused, found)
