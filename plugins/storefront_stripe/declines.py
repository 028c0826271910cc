"""What a decline means, as a table: try again later, ask the customer, or never again.

Sources, read November 2026:

- Stripe's decline codes and its advice codes: https://docs.stripe.com/declines/codes
- the networks' own codes, passed on as ``network_decline_code`` and ``network_advice_code``:
  https://docs.stripe.com/changelog/acacia/2024-12-18/network-advice-code-network-decline-code
- Visa: an issuer's answers of category 1 are never tried again (Visa Core Rules, 18 April 2026)
- Mastercard: merchant advice codes 03 and 21 are never tried again, 02 and 24 to 30 name a time

One number means different things on different networks, and a decline code is not an advice
code, so a key says which it is: ``network:14``, ``network_advice:03``, ``advice:...``; Stripe's
own decline codes stand plain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from storefront.hooks import DeclineKind

_SOFT, _ASK, _HARD = DeclineKind.SOFT, DeclineKind.ASK, DeclineKind.HARD

_STRIPE: dict[DeclineKind, str] = {
    # The bank may well say yes another day.
    _SOFT: "approve_with_id card_velocity_exceeded do_not_honor duplicate_transaction "
    "generic_decline insufficient_funds issuer_not_available no_action_taken processing_error "
    "reenter_transaction try_again_later withdrawal_count_limit_exceeded card_declined",
    # Somebody has to do something first: correct the card, call the bank, take another.
    _ASK: "authentication_not_handled authentication_failed authentication_required call_issuer "
    "card_not_supported currency_not_supported expired_card incorrect_address incorrect_cvc "
    "incorrect_number incorrect_pin incorrect_zip invalid_amount invalid_cvc "
    "invalid_expiry_month invalid_expiry_year invalid_number invalid_pin merchant_blacklist "
    "mobile_device_authentication_required new_account_information_available not_permitted "
    "offline_pin_required online_or_offline_pin_required pin_try_exceeded security_violation "
    "service_not_allowed testmode_decline transaction_not_allowed",
    # Lost, stolen, closed, or the customer took the permission back.
    _HARD: "fraudulent invalid_account lost_card pickup_card restricted_card "
    "revocation_of_all_authorizations revocation_of_authorization stolen_card "
    "stop_payment_order no_such_method",
}
_ADVICE = {"try_again_later": _SOFT, "confirm_card_data": _ASK, "do_not_try_again": _HARD}
_VISA_NEVER = "04 07 12 14 15 41 43 46 57 R0 R1 R3"
_MASTERCARD_ADVICE = {
    _SOFT: "02 24 25 26 27 28 29 30",
    _ASK: "01",
    _HARD: "03 21",
}


def _meanings() -> Iterator[tuple[tuple[str, str], DeclineKind]]:
    for kind, codes in _STRIPE.items():
        yield from ((("", code), kind) for code in codes.split())
    yield from ((("", f"advice:{code}"), kind) for code, kind in _ADVICE.items())
    yield from ((("visa", f"network:{code}"), _HARD) for code in _VISA_NEVER.split())
    for kind, codes in _MASTERCARD_ADVICE.items():
        yield from ((("mastercard", f"network_advice:{code}"), kind) for code in codes.split())


MEANINGS: Mapping[tuple[str, str], DeclineKind] = dict(_meanings())


def read_decline(error: Mapping[str, Any]) -> tuple[DeclineKind, str, str, str]:
    """Return (meaning, reason, network, code that decided) of an error of Stripe's.

    Of several codes the strictest meaning holds. Codes nobody listed say nothing; if none of
    them is listed the customer is asked.
    """
    network = _network(error)
    reason = str(error.get("decline_code") or error.get("code") or "card_declined")
    codes = [
        f"network_advice:{error.get('network_advice_code')}",
        f"network:{error.get('network_decline_code')}",
        f"advice:{error.get('advice_code')}",
        reason,
    ]
    known = [(code, kind) for code in codes if (kind := _meaning(network, code)) is not None]
    for wanted in (_HARD, _ASK, _SOFT):
        for code, kind in known:
            if kind is wanted:
                return kind, reason, network, code
    return _ASK, reason, network, reason


def _meaning(network: str, code: str) -> DeclineKind | None:
    return MEANINGS.get((network, code)) or MEANINGS.get(("", code))


def _network(error: Mapping[str, Any]) -> str:
    method = error.get("payment_method") or {}
    return str((method.get("card") or {}).get("brand") or "")
