"""Giving money back: what the order of the charge already lists is never sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from storefront.hooks import AnswerStatus, RefundAnswer, RefundOrder
from storefront_paypal.amounts import amount_of
from storefront_paypal.answers import CAPTURES, refund_answer
from storefront_paypal.api import Api, Refused
from storefront_paypal.codes import reason_of

_S = AnswerStatus
_CAPTURES, _REFUNDS = "/v2/payments/captures", "/v2/payments/refunds"


def give_back(api: Api, order: RefundOrder, capture: str) -> RefundAnswer:
    """Give ``order`` back once. Raises ``Silent``."""
    charge = api.get(f"{_CAPTURES}/{capture}")
    if charge is None:
        return RefundAnswer(_S.DECLINED, reason="no_such_charge")
    if CAPTURES.get(str(charge.get("status"))) is not _S.SUCCEEDED:
        return RefundAnswer(_S.DECLINED, reason="not_taken")
    known = _listed(api, charge, order.reference)
    if known is not None:
        return refund_answer(known)
    body = {
        "amount": amount_of(order.amount),
        "invoice_id": order.reference,
        "custom_id": order.reference,
    }
    try:
        found = api.post(f"{_CAPTURES}/{capture}/refund", body, order.reference)
    except Refused as error:
        return RefundAnswer(_S.DECLINED, reason=reason_of(error.issue))
    return refund_answer(found)


def find(api: Api, reference: str, number: str, charge: str) -> dict[str, Any] | None:
    """Return a refund by PayPal's id, or by ours among those of its charge. Raises ``Silent``."""
    found = api.get(f"{_REFUNDS}/{number}") if number else None
    if found is None and charge:
        capture = api.get(f"{_CAPTURES}/{charge}")
        found = _listed(api, capture, reference) if capture is not None else None
    return found


def _listed(api: Api, capture: dict[str, Any], reference: str) -> dict[str, Any] | None:
    for each in _of_order(api, capture):
        if reference in {each.get("invoice_id"), each.get("custom_id")}:
            return each
    return None


def _of_order(api: Api, capture: dict[str, Any]) -> Iterator[dict[str, Any]]:
    related = (capture.get("supplementary_data") or {}).get("related_ids") or {}
    order = api.get(f"/v2/checkout/orders/{related['order_id']}") if related else None
    for unit in (order or {}).get("purchase_units") or []:
        yield from (unit.get("payments") or {}).get("refunds") or []
