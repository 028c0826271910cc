"""Stripe's objects, as plain dictionaries, read into the answers of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from storefront.hooks import (
    AnswerStatus,
    ChargeAnswer,
    ChargeRecord,
    DeclineKind,
    DisputeRecord,
    DisputeState,
    RefundAnswer,
    SetupAnswer,
    VaultedMethod,
)
from storefront_stripe.amounts import from_stripe
from storefront_stripe.declines import read_decline

_S = AnswerStatus
Fields = Mapping[str, Any]
#: Our references in the metadata of Stripe's objects.
ATTEMPT, INVOICE, REFUND, SETUP = (
    "storefront_attempt",
    "storefront_invoice",
    "storefront_refund",
    "storefront_setup",
)
#: Codes of an authentication that was not passed; the card itself was not refused.
_NOT_PASSED = frozenset(
    {"payment_intent_authentication_failure", "setup_intent_authentication_failure"}
)
_NEEDED = "authentication_required"


def reference_of(found: Fields, name: str) -> str:
    """Return our reference that an object of Stripe's carries, or nothing."""
    return str((found.get("metadata") or {}).get(name) or "")


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# ------------------------------------------------------------------------------------ charges


def charge_answer(intent: Fields, page: Callable[[str, str], str]) -> ChargeAnswer:
    """Read a PaymentIntent; ``page`` gives the address where its customer confirms."""
    own, status = str(intent["id"]), intent["status"]
    if status == "succeeded":
        taken = from_stripe(intent["amount_received"], intent["currency"])
        return ChargeAnswer(_S.SUCCEEDED, own, amount=taken)
    if status == "processing":
        return ChargeAnswer(_S.PENDING, own)
    if status == "requires_action":
        action = intent.get("next_action") or {}
        url = page("confirm", own) if action.get("type") == "redirect_to_url" else None
        return ChargeAnswer(_S.ACTION_REQUIRED, own, reason=_NEEDED, action_url=url)
    if status == "canceled":
        return ChargeAnswer(_S.DECLINED, own, DeclineKind.SOFT, "cancelled")
    error = intent.get("last_payment_error")
    if status == "requires_payment_method" and error:
        return declined(error, own)
    # It waits for something we never ask for; nothing says that it will not take money.
    return ChargeAnswer(_S.UNKNOWN, own, reason=str(status))


def declined(error: Fields, gateway_reference: str = "") -> ChargeAnswer:
    """Read the error of a charge that took nothing."""
    kind, reason, network, code = read_decline(error)
    if _NEEDED in (error.get("code"), error.get("decline_code")):
        return ChargeAnswer(
            _S.ACTION_REQUIRED, gateway_reference, reason=_NEEDED, network=network, code=_NEEDED
        )
    if error.get("code") in _NOT_PASSED:
        kind, reason = DeclineKind.ASK, "authentication_failed"
    return ChargeAnswer(
        _S.DECLINED, gateway_reference, decline=kind, reason=reason, network=network, code=code
    )


def charge_record(charge: Fields) -> ChargeRecord:
    """Read a Charge that took money."""
    currency = charge["currency"]
    return ChargeRecord(
        reference=reference_of(charge, ATTEMPT),
        gateway_reference=str(charge.get("payment_intent") or charge["id"]),
        status=_S.SUCCEEDED,
        amount=from_stripe(charge["amount_captured"], currency),
        refunded=from_stripe(charge["amount_refunded"], currency),
        created_at=at(charge["created"]),
        is_disputed=bool(charge.get("disputed")),
    )


# ----------------------------------------------------------------------------- set-ups, methods


def setup_answer(intent: Fields) -> SetupAnswer:
    """Read a SetupIntent whose ``payment_method`` is expanded."""
    status = intent["status"]
    if status == "succeeded":
        return SetupAnswer(_S.SUCCEEDED, method=method_of(intent["payment_method"]))
    if status == "processing":
        return SetupAnswer(_S.PENDING)
    if status == "canceled":
        return SetupAnswer(_S.DECLINED, decline=DeclineKind.ASK, reason="left")
    error = intent.get("last_setup_error")
    if status == "requires_payment_method" and error:
        answer = declined(error)
        kind = answer.decline or DeclineKind.ASK
        return SetupAnswer(_S.DECLINED, decline=kind, reason=answer.reason)
    return SetupAnswer(_S.ACTION_REQUIRED)


def method_of(found: Fields) -> VaultedMethod:
    """Read a PaymentMethod that belongs to a Customer."""
    kind = str(found["type"])
    detail = found.get(kind) or {}
    customer = str(found.get("customer") or "")
    if kind == "card":
        return VaultedMethod(
            token=str(found["id"]),
            brand=str(detail.get("display_brand") or detail.get("brand") or "card"),
            last4=str(detail.get("last4") or ""),
            exp_month=detail.get("exp_month"),
            exp_year=detail.get("exp_year"),
            fingerprint=str(detail.get("fingerprint") or ""),
            gateway_customer=customer,
        )
    last4 = str(detail.get("last4") or "")
    label = str(detail.get("email") or detail.get("payer_email") or "")
    return VaultedMethod(
        token=str(found["id"]),
        brand=kind,
        last4=last4,
        fingerprint=str(detail.get("fingerprint") or found["id"]),
        kind=kind_of(kind),
        label=label or (f"•••• {last4}" if last4 else kind),
        gateway_customer=customer,
    )


def kind_of(name: str) -> str:
    """Return our word for a kind of method that Stripe calls ``name``.

    >>> [kind_of(name) for name in ("card", "sepa_debit", "us_bank_account", "link")]
    ['card', 'bank', 'bank', 'wallet']
    """
    if name in ("card", "paypal", "upi"):
        return name
    return "bank" if name.endswith(("_debit", "_bank_account")) else "wallet"


# --------------------------------------------------------------------------- refunds, disputes


_REFUNDS = {
    "succeeded": _S.SUCCEEDED,
    "pending": _S.PENDING,
    "requires_action": _S.PENDING,
    "failed": _S.DECLINED,
    "canceled": _S.DECLINED,
}


def refund_answer(found: Fields) -> RefundAnswer:
    status = _REFUNDS.get(str(found.get("status")), _S.UNKNOWN)
    reason = str(found.get("failure_reason") or "") if status is _S.DECLINED else ""
    if status is _S.DECLINED and not reason:
        reason = str(found["status"])
    return RefundAnswer(status, str(found["id"]), reason)


#: ``warning_`` is an inquiry: the bank asks and takes nothing yet.
_DISPUTES = {
    "warning_needs_response": DisputeState.OPEN,
    "warning_under_review": DisputeState.OPEN,
    "warning_closed": DisputeState.WON,
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "prevented": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def dispute_record(found: Fields, charge_reference: str) -> DisputeRecord:
    """Read a Dispute. Raises ``KeyError`` for a state we do not know."""
    status, currency = str(found["status"]), found["currency"]
    is_inquiry = status.startswith("warning_") or status == "prevented"
    moves = found.get("balance_transactions") or []
    # What the first booking cost stays the fee; a win may give it back as another booking.
    fees = [from_stripe(move["fee"], move["currency"]) for move in moves if move.get("fee")]
    due_by = (found.get("evidence_details") or {}).get("due_by")
    return DisputeRecord(
        gateway_reference=str(found["id"]),
        charge_reference=charge_reference,
        charge_gateway_reference=str(found.get("payment_intent") or found.get("charge") or ""),
        state=_DISPUTES[status],
        amount=from_stripe(0 if is_inquiry else found["amount"], currency),
        reason=str(found.get("reason") or ""),
        opened_at=at(found["created"]),
        fee=fees[0] if fees else None,
        answer_by=at(due_by) if due_by else None,
    )
