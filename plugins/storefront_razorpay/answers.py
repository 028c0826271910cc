"""Razorpay's payments, mandates and refunds as answers of the contract."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from storefront.hooks import (
    AnswerStatus,
    ChargeAnswer,
    DeclineKind,
    Money,
    RefundAnswer,
    SetupAnswer,
    VaultedMethod,
    decline_kind,
)
from storefront_razorpay.api import Silent
from storefront_razorpay.codes import DECLINE_MEANINGS, MOST_WITHOUT_CUSTOMER

_S = AnswerStatus
_REFUNDS = {"processed": _S.SUCCEEDED, "pending": _S.PENDING, "failed": _S.DECLINED}


def charge_answer(payment: Mapping[str, Any]) -> ChargeAnswer:
    """Return what a payment says of its charge; *authorized* has taken nothing yet."""
    status, name = payment["status"], str(payment["id"])
    if status == "refunded" and not payment.get("captured"):
        # It was only held, for too long, and went back by itself.
        return declined("hold_expired", name)
    if status in {"captured", "refunded"}:
        return ChargeAnswer(
            _S.SUCCEEDED, name, amount=Money(payment["amount"], payment["currency"])
        )
    if status == "failed":
        reason = str(payment.get("error_reason") or payment.get("error_code") or "payment_failed")
        return declined(reason, name, network=_network(payment))
    # A debit under a mandate is made a day or more after it was asked for.
    return ChargeAnswer(_S.PENDING, name)


def declined(reason: str, name: str = "", network: str = "") -> ChargeAnswer:
    kind = decline_kind(DECLINE_MEANINGS, network, reason)
    return ChargeAnswer(
        _S.DECLINED, name, decline=kind, reason=reason, network=network, code=reason
    )


def unknown(error: Silent) -> ChargeAnswer:
    return ChargeAnswer(_S.UNKNOWN, reason=str(error), retry_after=error.retry_after)


def setup_declined(reason: str) -> SetupAnswer:
    kind = decline_kind(DECLINE_MEANINGS, "", reason)
    return SetupAnswer(_S.DECLINED, decline=kind, reason=reason)


def no_such_method() -> ChargeAnswer:
    return ChargeAnswer(_S.DECLINED, decline=DeclineKind.HARD, reason="no_such_method")


def refund_answer(refund: Mapping[str, Any]) -> RefundAnswer:
    status = _REFUNDS.get(str(refund.get("status")), _S.UNKNOWN)
    reason = "" if status in {_S.SUCCEEDED, _S.PENDING} else "refund_failed"
    return RefundAnswer(status, str(refund["id"]), reason)


def _network(payment: Mapping[str, Any]) -> str:
    card = payment.get("card")
    return str(card.get("network", "")).lower() if isinstance(card, dict) else ""


def limit_of(token: Mapping[str, Any]) -> Money:
    """Return the most a debit may take without its customer: the mandate's cap, or the law's."""
    return Money(
        min(int(token.get("max_amount") or MOST_WITHOUT_CUSTOMER), MOST_WITHOUT_CUSTOMER), "INR"
    )


def state_of(token: Mapping[str, Any]) -> str:
    """Return the state of a mandate: initiated, confirmed, rejected, cancelled, paused …"""
    details = token.get("recurring_details") or {}
    return str(details.get("status") or token.get("status") or "")


def method_of(token: Mapping[str, Any], customer: str, payment: str) -> VaultedMethod:
    """Return a mandate as a method. ``payment`` is the one with which it was agreed to."""
    kind = str(token.get("method") or "card")
    common: dict[str, Any] = {
        "token": f"{customer}/{token['id']}/{payment}",
        "gateway_customer": customer,
        "agreement": payment,
        "limit": limit_of(token),
    }
    if kind == "card":
        card = token.get("card") or {}
        month, year = (int(card.get(name) or 0) for name in ("expiry_month", "expiry_year"))
        seen = (customer, card.get("network"), card.get("last4"), month, year)
        return VaultedMethod(
            brand=str(card.get("network") or "card").lower(),
            last4=str(card.get("last4") or "")[-4:],
            exp_month=month or None,
            exp_year=year or None,
            fingerprint=_print(*seen),
            **common,
        )
    if kind == "upi":
        address = _address(token.get("vpa"))
        return VaultedMethod(
            brand="upi",
            last4="",
            kind="upi",
            label=_hidden(address),
            fingerprint=_print(address),
            **common,
        )
    bank = str(token.get("bank") or "bank")
    account = str((token.get("bank_details") or {}).get("account_number") or "")[-4:]
    return VaultedMethod(
        brand=bank.lower(),
        last4="",
        kind="bank",
        label=f"{bank} ••{account}",
        fingerprint=_print(customer, bank, account),
        **common,
    )


def _address(vpa: Any) -> str:
    return f"{vpa.get('username')}@{vpa.get('handle')}" if isinstance(vpa, dict) else str(vpa or "")


def _hidden(address: str) -> str:
    name, _, handle = address.partition("@")
    return f"{name[:1]}…@{handle}"


def _print(*seen: object) -> str:
    """Razorpay names no card the same under two tokens, so this is as near as can be told."""
    return "rzp_" + hashlib.sha256("|".join(map(str, seen)).encode()).hexdigest()[:24]
