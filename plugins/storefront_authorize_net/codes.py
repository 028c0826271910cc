"""What Authorize.net's statuses and reason codes mean, as data.

Sources: "Response codes" and "Transaction statuses" of the Authorize.net API reference
(developer.authorize.net/api/reference), read 2026-11. The gateway's codes are its own and the
same for every network. A code that is not listed means *ask*: nobody guesses.
"""

from __future__ import annotations

from storefront.hooks import AnswerStatus, DeclineKind

_S, _D = AnswerStatus, DeclineKind

#: Reason code: (our reason, what it means).
REASONS: dict[str, tuple[str, DeclineKind]] = {
    "2": ("card_declined", _D.SOFT),
    "3": ("card_declined", _D.SOFT),
    "4": ("pick_up_card", _D.HARD),
    "6": ("invalid_number", _D.HARD),
    "7": ("invalid_expiry", _D.HARD),
    "8": ("expired_card", _D.HARD),
    "17": ("card_type_not_accepted", _D.HARD),
    "19": ("processing_error", _D.SOFT),
    "20": ("processing_error", _D.SOFT),
    "21": ("processing_error", _D.SOFT),
    "22": ("processing_error", _D.SOFT),
    "23": ("processing_error", _D.SOFT),
    "25": ("processing_error", _D.SOFT),
    "26": ("processing_error", _D.SOFT),
    "27": ("address_mismatch", _D.ASK),
    "28": ("card_type_not_accepted", _D.HARD),
    "37": ("invalid_number", _D.HARD),
    "41": ("suspected_fraud", _D.ASK),
    "44": ("card_code_mismatch", _D.ASK),
    "45": ("card_code_mismatch", _D.ASK),
    "57": ("processing_error", _D.SOFT),
    "58": ("processing_error", _D.SOFT),
    "59": ("processing_error", _D.SOFT),
    "60": ("processing_error", _D.SOFT),
    "61": ("processing_error", _D.SOFT),
    "62": ("processing_error", _D.SOFT),
    "63": ("processing_error", _D.SOFT),
    "65": ("card_code_mismatch", _D.ASK),
    "78": ("card_code_mismatch", _D.ASK),
    "120": ("processing_error", _D.SOFT),
    "121": ("processing_error", _D.SOFT),
    "122": ("processing_error", _D.SOFT),
    "127": ("address_mismatch", _D.ASK),
    "141": ("suspected_fraud", _D.ASK),
    "200": ("invalid_number", _D.HARD),
    "201": ("invalid_expiry", _D.HARD),
    "250": ("suspected_fraud", _D.ASK),
    "251": ("suspected_fraud", _D.ASK),
    "315": ("invalid_number", _D.HARD),
    "316": ("invalid_expiry", _D.HARD),
    "317": ("expired_card", _D.HARD),
}
DECLINE_MEANINGS = {("", code): kind for code, (_, kind) in REASONS.items()}

#: The same transaction again inside the duplicate window; nothing was taken by this one.
DUPLICATE = "11"
#: A credit for a charge that is not settled yet, or is older than 180 days.
NOT_REFUNDABLE = "54"

#: Message codes of the API itself.
NO_RECORD = "E00040"
DUPLICATE_RECORD = "E00039"
#: Our login, key or permission was refused.
UNAUTHORIZED = frozenset({"E00005", "E00006", "E00007", "E00008", "E00009", "E00010", "E00011"})
TOO_BUSY = "E00053"
#: Reason codes of a transaction that speak of our account, not of the card.
ACCOUNT_CODES = frozenset({"13", "103"})

#: Transaction status: what a charge with it is to us. One not listed is *unknown*.
STATUSES: dict[str, AnswerStatus] = {
    "capturedPendingSettlement": _S.SUCCEEDED,
    "settledSuccessfully": _S.SUCCEEDED,
    "approvedReview": _S.SUCCEEDED,
    "pendingFinalSettlement": _S.SUCCEEDED,
    "pendingSettlement": _S.SUCCEEDED,
    "updatingSettlement": _S.SUCCEEDED,
    "couldNotVoid": _S.SUCCEEDED,
    # Taken, and taken back by the bank later: a dispute, not a decline.
    "returnedItem": _S.SUCCEEDED,
    "chargeback": _S.SUCCEEDED,
    "chargebackReversal": _S.SUCCEEDED,
    "FDSPendingReview": _S.PENDING,
    "FDSAuthorizedPendingReview": _S.PENDING,
    "underReview": _S.PENDING,
    "authorizedPendingCapture": _S.PENDING,
    "authorizedPendingRelease": _S.PENDING,
    "declined": _S.DECLINED,
    "generalError": _S.DECLINED,
    "communicationError": _S.DECLINED,
    "failedReview": _S.DECLINED,
    "expired": _S.DECLINED,
    "settlementError": _S.DECLINED,
    "voided": _S.DECLINED,
}
#: Of a refund.
REFUND_STATUSES: dict[str, AnswerStatus] = {
    "refundPendingSettlement": _S.SUCCEEDED,
    "refundSettledSuccessfully": _S.SUCCEEDED,
    "declined": _S.DECLINED,
    "generalError": _S.DECLINED,
    "communicationError": _S.DECLINED,
    "settlementError": _S.DECLINED,
    "voided": _S.DECLINED,
    "FDSPendingReview": _S.PENDING,
    "underReview": _S.PENDING,
}
#: Still before the daily settlement: the whole can be voided, a part cannot be given back yet.
UNSETTLED = frozenset({"capturedPendingSettlement", "pendingSettlement", "approvedReview"})


def reason_of(code: str) -> str:
    """Return our word for a reason code.

    >>> reason_of("8"), reason_of("9999")
    ('expired_card', 'gateway_9999')
    """
    return REASONS[code][0] if code in REASONS else f"gateway_{code or 'none'}"
