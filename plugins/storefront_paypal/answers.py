"""Orders, captures and refunds of PayPal, read as answers of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storefront.hooks import (
    AnswerStatus,
    ChargeAnswer,
    DeclineKind,
    RefundAnswer,
    decline_kind,
)
from storefront_paypal.amounts import money_of
from storefront_paypal.codes import DECLINE_MEANINGS, NO_SUCH_METHOD, code_of, reason_of
from storefront_paypal.vault import link_of

_S = AnswerStatus
#: What a cancelled order's custom id begins with; such an order is never captured.
CANCELLED = "cancelled:"

CAPTURES = {
    "COMPLETED": _S.SUCCEEDED,
    "PARTIALLY_REFUNDED": _S.SUCCEEDED,
    "REFUNDED": _S.SUCCEEDED,
    "PENDING": _S.PENDING,
    "DECLINED": _S.DECLINED,
    "FAILED": _S.DECLINED,
}
_REFUNDS = {
    "COMPLETED": _S.SUCCEEDED,
    "PENDING": _S.PENDING,
    "FAILED": _S.DECLINED,
    "CANCELLED": _S.DECLINED,
}


def capture_answer(capture: Mapping[str, Any]) -> ChargeAnswer:
    """Return what a capture says of a charge."""
    number, said = str(capture.get("id", "")), str(capture.get("status", ""))
    status = CAPTURES.get(said, _S.UNKNOWN)
    if status is _S.SUCCEEDED:
        return ChargeAnswer(status, number, amount=money_of(capture["amount"]))
    if status is _S.DECLINED:
        network, code = code_of(capture)
        kind = decline_kind(DECLINE_MEANINGS, network, code)
        told = str((capture.get("processor_response") or {}).get("response_code", code))
        return ChargeAnswer(
            status, number, decline=kind, reason=reason_of(told), network=network, code=code
        )
    why = str((capture.get("status_details") or {}).get("reason", said))
    return ChargeAnswer(status, number, reason=why.lower())


def capture_in(order: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the capture of an order; None while nobody has captured it.

    Of several the last one that was not refused: another may have been tried before or beside it.
    """
    found: list[dict[str, Any]] = []
    for unit in order.get("purchase_units") or []:
        found += (unit.get("payments") or {}).get("captures") or []
    kept = [each for each in found if CAPTURES.get(str(each.get("status"))) is not _S.DECLINED]
    counts = kept or found
    return counts[-1] if counts else None


def unit_of(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return the one purchase unit that our orders have."""
    found: dict[str, Any] = (order.get("purchase_units") or [{}])[0]
    return found


def is_cancelled(order: Mapping[str, Any]) -> bool:
    """Say whether we marked an order as one never to be captured."""
    return str(unit_of(order).get("custom_id", "")).startswith(CANCELLED)


def order_answer(order: Mapping[str, Any], *, is_present: bool) -> ChargeAnswer:
    """Return what an order says of a charge; ``is_present`` if the customer can go there."""
    capture = capture_in(order)
    if capture is not None:
        return capture_answer(capture)
    number, said = str(order.get("id", "")), str(order.get("status", ""))
    if is_cancelled(order):
        return ended(number, "canceled")
    if said == "VOIDED":
        return ended(number, "left")
    if said in {"PAYER_ACTION_REQUIRED", "CREATED", "SAVED", "APPROVED"}:
        url = link_of(order, "payer-action") if is_present else None
        return ChargeAnswer(_S.ACTION_REQUIRED, number, action_url=url)
    return ChargeAnswer(_S.UNKNOWN, number, reason=said.lower() or "unreadable")


def ended(number: str, reason: str) -> ChargeAnswer:
    """Return the answer for an order that can take nothing any more and never did."""
    return ChargeAnswer(_S.DECLINED, number, decline=DeclineKind.ASK, reason=reason)


def refused(status: int, issue: str) -> ChargeAnswer:
    """Return the answer for an order that PayPal refused to make."""
    if status == 404 or issue in NO_SUCH_METHOD:
        return ChargeAnswer(_S.DECLINED, decline=DeclineKind.HARD, reason="no_such_method")
    kind = decline_kind(DECLINE_MEANINGS, "", issue)
    return ChargeAnswer(_S.DECLINED, decline=kind, reason=reason_of(issue), code=issue)


def refund_answer(refund: Mapping[str, Any]) -> RefundAnswer:
    """Return what a refund says."""
    status = _REFUNDS.get(str(refund.get("status", "")), _S.UNKNOWN)
    reason = "" if status is _S.SUCCEEDED else str(refund.get("status", "")).lower()
    return RefundAnswer(status, str(refund.get("id", "")), reason)
