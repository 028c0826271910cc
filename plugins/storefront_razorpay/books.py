"""Refunds, disputes and the list of charges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from storefront.hooks import (
    AnswerStatus,
    ChargeRecord,
    DisputeRecord,
    DisputeState,
    Money,
    RefundAnswer,
    RefundOrder,
)
from storefront_razorpay.answers import refund_answer
from storefront_razorpay.api import Api, Refused, Silent, named
from storefront_razorpay.orders import REFERENCE, notes_of

_S = AnswerStatus
#: How far back a refund is looked for by its reference alone.
_REFUND_DAYS = timedelta(days=30)
_STATES = {"won": DisputeState.WON, "lost": DisputeState.LOST}
#: Phases in which a bank only asks, and takes nothing.
_INQUIRIES = frozenset({"fraud", "retrieval"})


def refund(api: Api, order: RefundOrder, payment_name: Callable[[str, str], str]) -> RefundAnswer:
    """Give back under our reference as key; Razorpay keeps the sum below the payment."""
    try:
        payment = payment_name(order.charge_reference, order.gateway_reference)
        if not payment:
            return RefundAnswer(_S.DECLINED, reason="no_such_charge")
        body = {
            "amount": order.amount.minor,
            "receipt": order.reference,
            "notes": {REFERENCE: order.reference},
        }
        made = api.post(named("/payments/{}/refund", payment), body, order.reference)
        return refund_answer(made)
    except Refused as error:
        return RefundAnswer(_S.DECLINED, reason=(error.reason or "refused")[:80])
    except Silent as error:
        return RefundAnswer(_S.UNKNOWN, reason=str(error))


def find_refund(
    api: Api, reference: str, name: str, payment: str, now: datetime
) -> RefundAnswer | None:
    """Return a refund by Razorpay's name, else by our reference among those of its payment."""
    try:
        if name:
            found = api.find(named("/refunds/{}", name))
            return refund_answer(found) if found else None
        if payment.startswith("pay_"):
            own: Iterable[dict[str, Any]] = api.pages(named("/payments/{}/refunds", payment))
        else:
            own = api.pages("/refunds", **{"from": _stamp(now - _REFUND_DAYS)})
        for each in own:
            if each.get("receipt") == reference:
                return refund_answer(each)
    except Silent as error:
        return RefundAnswer(_S.UNKNOWN, reason=str(error))
    return None


def disputes_of(api: Api, payment: str, reference: str) -> Sequence[DisputeRecord]:
    """Raises ``Silent``."""
    return [
        _dispute(each, reference)
        for each in api.pages("/disputes")
        if each.get("payment_id") == payment
    ]


def _dispute(found: Mapping[str, Any], reference: str) -> DisputeRecord:
    state = _STATES.get(str(found["status"]), DisputeState.OPEN)
    if found["status"] == "closed":
        # Closed on the merchant's word: lost only if something was kept.
        state = DisputeState.LOST if found.get("amount_deducted") else DisputeState.WON
    asks = found.get("phase") in _INQUIRIES
    return DisputeRecord(
        gateway_reference=str(found["id"]),
        charge_reference=reference,
        charge_gateway_reference=str(found["payment_id"]),
        state=state,
        amount=Money(0 if asks else int(found["amount"]), str(found["currency"])),
        reason=str(found.get("reason_code") or ""),
        opened_at=_at(found["created_at"]),
        answer_by=_at(found["respond_by"]) if found.get("respond_by") else None,
    )


def charges_since(api: Api, since: datetime, now: datetime) -> list[ChargeRecord]:
    """Return what took money, oldest first. Raises ``Silent``."""
    span = {"from": _stamp(since), "to": _stamp(max(now, since))}
    found = [
        ChargeRecord(
            reference=notes_of(each).get(REFERENCE, ""),
            gateway_reference=str(each["id"]),
            status=_S.SUCCEEDED,
            amount=Money(each["amount"], each["currency"]),
            refunded=Money(int(each.get("amount_refunded") or 0), each["currency"]),
            created_at=_at(each["created_at"]),
        )
        for each in api.pages("/payments", **span)
        if each.get("captured") and each["status"] in {"captured", "refunded"}
    ]
    return sorted(found, key=lambda record: record.created_at)


def _stamp(at: datetime) -> str:
    return str(int(at.timestamp()))


def _at(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
