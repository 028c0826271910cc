"""What Razorpay's reasons of a failed payment mean for the next try.

Source: "Error reasons" of the payment error documentation and the recurring payments guides of
Razorpay, read 2026-11. A reason that is not listed is ``ask``: nothing is tried by the clock.
"""

from __future__ import annotations

from storefront.hooks import DeclineKind

_SOFT = (
    "insufficient_funds",
    "payment_timed_out",
    "gateway_technical_error",
    "bank_technical_error",
    "issuer_technical_error",
    "server_error",
    "bank_not_available",
    "transaction_daily_limit_exceeded",
    "transaction_limit_exceeded",
    "debit_attempt_failed",
    "pre_debit_notification_failed",
)
_HARD = (
    "card_expired",
    "card_lost_or_stolen",
    "card_number_invalid",
    "card_not_enrolled",
    "card_disabled_for_online_payments",
    "debit_instrument_blocked",
    "debit_instrument_inactive",
    "bank_account_invalid",
    "account_closed",
    "mandate_cancelled",
    "mandate_revoked",
    "mandate_expired",
    "mandate_rejected",
    "invalid_vpa",
    "no_such_method",
)
DECLINE_MEANINGS = {
    **{("", code): DeclineKind.SOFT for code in _SOFT},
    **{("", code): DeclineKind.HARD for code in _HARD},
}
#: States of a mandate with which no debit goes through, with the reason we give it.
DEAD_MANDATES = {
    "cancelled": "mandate_cancelled",
    "rejected": "mandate_rejected",
    "expired": "mandate_expired",
    "deactivated": "mandate_revoked",
    # Its owner can take it up again, so it may be tried when they say so.
    "paused": "mandate_paused",
    "cancellation_initiated": "mandate_cancelled",
}
#: The most a debit may take without its customer, in paise: Rs 15,000. Source: Reserve Bank of
#: India, "Processing of e-mandates for recurring transactions", 16 June 2022. Some kinds of
#: merchants (mutual funds, insurance, credit card bills) may take more, a box shop may not.
MOST_WITHOUT_CUSTOMER = 1_500_000
#: How long before a debit its customer must have been told, in seconds. Same source.
NOTICE_SECONDS = 24 * 3600
#: The smallest order, in paise.
LEAST = 100
