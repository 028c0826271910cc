"""What PayPal's issues and the networks' codes mean, as data.

Sources: Orders v2 and Payments v2 error lists, processor response codes and payment advice codes
(``processor_response``) in PayPal's API reference (developer.paypal.com/api), read 2026-11. A
code that is not listed means *ask*: nobody guesses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storefront.hooks import DeclineKind

_D = DeclineKind

#: Issue or processor response code: (our reason, what it means).
REASONS: dict[str, tuple[str, DeclineKind]] = {
    # Issues of a refused order.
    "INSTRUMENT_DECLINED": ("card_declined", _D.SOFT),
    "TRANSACTION_LIMIT_EXCEEDED": ("limit_exceeded", _D.SOFT),
    "TRANSACTION_REFUSED": ("card_declined", _D.ASK),
    "TRANSACTION_BLOCKED_BY_PAYEE": ("blocked_by_merchant", _D.ASK),
    "PAYER_CANNOT_PAY": ("card_declined", _D.ASK),
    "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING": ("card_declined", _D.ASK),
    "PAYER_ACCOUNT_RESTRICTED": ("account_restricted", _D.HARD),
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": ("account_closed", _D.HARD),
    "CARD_EXPIRED": ("expired_card", _D.HARD),
    "CARD_CLOSED": ("account_closed", _D.HARD),
    "COMPLIANCE_VIOLATION": ("not_allowed", _D.HARD),
    "AGREEMENT_ALREADY_CANCELLED": ("agreement_ended", _D.HARD),
    "BILLING_AGREEMENT_NOT_FOUND": ("agreement_ended", _D.HARD),
    # Response codes of the processor.
    "0500": ("do_not_honor", _D.SOFT),
    "0960": ("processing_error", _D.SOFT),
    "5100": ("card_declined", _D.SOFT),
    "5120": ("insufficient_funds", _D.SOFT),
    "5920": ("processing_error", _D.SOFT),
    "8110": ("processing_error", _D.SOFT),
    "8220": ("processing_error", _D.SOFT),
    "9100": ("card_declined", _D.SOFT),
    "0580": ("card_declined", _D.ASK),
    "5110": ("card_code_mismatch", _D.ASK),
    "5170": ("address_mismatch", _D.ASK),
    "5650": ("authentication_required", _D.ASK),
    "5710": ("limit_exceeded", _D.ASK),
    "0390": ("invalid_account", _D.HARD),
    "1330": ("invalid_account", _D.HARD),
    "1335": ("invalid_account", _D.HARD),
    "1352": ("account_restricted", _D.HARD),
    "5140": ("account_closed", _D.HARD),
    "5150": ("pick_up_card", _D.HARD),
    "5160": ("card_declined", _D.HARD),
    "5180": ("invalid_number", _D.HARD),
    "5400": ("expired_card", _D.HARD),
    "5950": ("card_replaced", _D.HARD),
    "6300": ("invalid_account", _D.HARD),
    "9500": ("suspected_fraud", _D.HARD),
    "9520": ("lost_or_stolen_card", _D.HARD),
    "PP06": ("account_closed", _D.HARD),
    "PPAB": ("account_restricted", _D.HARD),
    "PPEF": ("expired_card", _D.HARD),
    "PPRN": ("card_declined", _D.HARD),
}
#: Advice of the network: the same number means another thing at another network.
ADVICE: dict[tuple[str, str], DeclineKind] = {
    # New account data is needed before the next charge.
    ("mastercard", "advice_01"): _D.HARD,
    # Mastercard: over the limit, again after 72 hours. Visa: this payment must not be tried again.
    ("mastercard", "advice_02"): _D.SOFT,
    ("visa", "advice_02"): _D.ASK,
    # Mastercard: closed as fraudulent. Visa: the holder stopped all payments to this merchant.
    ("mastercard", "advice_03"): _D.HARD,
    ("visa", "advice_03"): _D.HARD,
    # "Retry after" an hour, 24 hours, and so on up to ten days.
    **{("mastercard", f"advice_{code}"): _D.SOFT for code in range(24, 31)},
    # The holder stopped recurring payments.
    ("mastercard", "advice_21"): _D.HARD,
    ("visa", "advice_21"): _D.HARD,
}
DECLINE_MEANINGS: Mapping[tuple[str, str], DeclineKind] = {
    **{("", code): kind for code, (_, kind) in REASONS.items()},
    **ADVICE,
}
#: Issues that say that there is no such stored wallet.
NO_SUCH_METHOD = frozenset({"TOKEN_ID_NOT_FOUND", "TOKEN_NOT_FOUND", "INVALID_RESOURCE_ID"})
#: There is a charge with our invoice id already: evidence, not a decline.
DUPLICATE_INVOICE = "DUPLICATE_INVOICE_ID"
#: What the customer chose to pay with was refused when an approved order was taken.
DECLINED = "INSTRUMENT_DECLINED"
#: Currencies PayPal takes whose decimals are those of ISO 4217. HUF and TWD are left out: there
#: PayPal takes whole units only.
_NAMES = "AUD BRL CAD CHF CZK DKK EUR GBP HKD ILS JPY MXN MYR NOK NZD PHP PLN SEK SGD THB USD"
CURRENCIES = frozenset(_NAMES.split())


def reason_of(code: str) -> str:
    """Return our word for an issue or a processor's code.

    >>> reason_of("5400"), reason_of("NEVER_HEARD")
    ('expired_card', 'never_heard')
    """
    return REASONS[code][0] if code in REASONS else code.lower()[:60] or "declined"


def code_of(capture: Mapping[str, Any]) -> tuple[str, str]:
    """Return network and code of a refused capture; the network's advice goes first."""
    told = capture.get("processor_response") or {}
    network = str((capture.get("network_transaction_reference") or {}).get("network", "")).lower()
    advice = str(told.get("payment_advice_code", ""))
    return network, f"advice_{advice}" if advice else str(told.get("response_code", ""))
