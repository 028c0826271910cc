"""Storing wallets: a set-up token that the customer approves at PayPal, then a payment token."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from storefront.hooks import (
    AnswerStatus,
    SetupAnswer,
    SetupOrder,
    SetupStart,
    VaultedMethod,
    decline_kind,
)
from storefront_paypal.api import Api, Refused, Silent
from storefront_paypal.codes import DECLINE_MEANINGS, reason_of
from storefront_paypal.known import Known

_S = AnswerStatus
_SETUPS, _TOKENS = "/v3/vault/setup-tokens", "/v3/vault/payment-tokens"
#: PayPal's name of the set-up token in the address of the return visit.
_VISIT = "approval_token_id"
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Vault:
    """Each set-up makes a customer of its own at PayPal, named by our reference of the set-up."""

    def __init__(self, api: Api) -> None:
        self._api, self._known = api, Known()

    def open(self, order: SetupOrder) -> SetupStart:
        """Open a set-up under its reference. Raises ``Silent`` or ``Refused``."""
        context = {
            "return_url": order.return_url,
            "cancel_url": order.cancel_url,
            "shipping_preference": "NO_SHIPPING",
            "vault_instruction": "ON_PAYER_APPROVAL",
            "brand_name": order.merchant[:127],
            "locale": order.locale.replace("_", "-"),
        }
        wallet = {
            "description": order.description[:128] or order.merchant[:128],
            "usage_type": "MERCHANT",
            "usage_pattern": "SUBSCRIPTION_PREPAID",
            "customer_type": "CONSUMER",
            # Several subscriptions or accounts of one person are several agreements.
            "permit_multiple_payment_tokens": True,
            "experience_context": {name: value for name, value in context.items() if value},
        }
        body = {
            "customer": {"merchant_customer_id": order.reference},
            "payment_source": {"paypal": wallet},
        }
        found = self._api.post(_SETUPS, body, order.reference)
        number = str(found["id"])
        self._known.keep(order.reference, number)
        return SetupStart(redirect_url=link_of(found, "approve"), gateway_reference=number)

    def finish(
        self, reference: str, params: Mapping[str, str], gateway_reference: str
    ) -> SetupAnswer:
        """Say what became of a set-up, and exchange it once approved. Raises ``Silent``."""
        number = gateway_reference or self._known.get(reference) or params.get(_VISIT, "")
        found = self._api.get(f"{_SETUPS}/{number}") if _ID.fullmatch(number) else None
        customer = (found or {}).get("customer") or {}
        # The address of a visit can be written by anybody: it has to be the set-up we opened.
        if found is None or customer.get("merchant_customer_id") != reference:
            return SetupAnswer(_S.UNKNOWN, reason="no_such_setup")
        status = str(found.get("status", ""))
        if status not in {"APPROVED", "TOKENIZED", "VAULTED"}:
            return SetupAnswer(_S.ACTION_REQUIRED)
        return self._exchange(reference, number, str(customer.get("id", "")))

    def _exchange(self, reference: str, number: str, customer: str) -> SetupAnswer:
        body = {"payment_source": {"token": {"id": number, "type": "SETUP_TOKEN"}}}
        try:
            stored = self._api.post(_TOKENS, body, f"{reference}-token")
        except Refused as error:
            # Exchanged before, and PayPal has forgotten the key: the customer has one wallet.
            listed = self._api.get(_TOKENS, customer_id=customer) or {}
            tokens = listed.get("payment_tokens") or []
            if not tokens:
                kind = decline_kind(DECLINE_MEANINGS, "", error.issue)
                return SetupAnswer(_S.DECLINED, decline=kind, reason=reason_of(error.issue))
            stored = tokens[-1]
        return SetupAnswer(_S.SUCCEEDED, method=_method(stored))

    def read(self, token: str) -> VaultedMethod | None:
        """Return a stored wallet as it is now; None if it is gone. Raises ``Silent``."""
        found = self._api.get(f"{_TOKENS}/{token}") if _ID.fullmatch(token) else None
        return _method(found) if found else None

    def forget(self, token: str) -> bool:
        """Delete a stored wallet; True if it is gone, also if it was gone before."""
        try:
            self._api.delete(f"{_TOKENS}/{token}")
        except Refused as error:
            return error.status == 404
        except Silent:
            return False
        return True


def link_of(found: Mapping[str, Any], rel: str) -> str | None:
    """Return the address of a link by its relation, such as ``approve``."""
    for each in found.get("links") or []:
        if each.get("rel") == rel:
            return str(each["href"])
    return None


def masked(email: str) -> str:
    """Return an address as its owner knows it and nobody else can use it.

    >>> masked("mia@example.org"), masked("")
    ('m…@example.org', 'PayPal')
    """
    name, at, host = email.partition("@")
    return f"{name[:1]}…@{host}" if at and name else "PayPal"


def _method(stored: Mapping[str, Any]) -> VaultedMethod:
    wallet = (stored.get("payment_source") or {}).get("paypal") or {}
    payer = str(wallet.get("payer_id") or stored["id"])
    return VaultedMethod(
        token=str(stored["id"]),
        brand="paypal",
        last4="",
        fingerprint="paypal_" + hashlib.sha256(payer.encode()).hexdigest()[:24],
        kind="paypal",
        label=masked(str(wallet.get("email_address", ""))),
        gateway_customer=str((stored.get("customer") or {}).get("id", "")),
    )
