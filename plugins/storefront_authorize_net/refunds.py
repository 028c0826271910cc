"""Giving money back: a void of the whole before the daily settlement, a credit after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storefront.hooks import AnswerStatus, RefundAnswer, RefundOrder
from storefront_authorize_net.answers import refund_answer
from storefront_authorize_net.api import Api, Refused, Silent
from storefront_authorize_net.codes import (
    DUPLICATE,
    NOT_REFUNDABLE,
    STATUSES,
    UNSETTLED,
    reason_of,
)
from storefront_authorize_net.references import decimal_string, money_of, short

_S = AnswerStatus
#: Why a part cannot be given back yet; asked again until the settlement has run.
NOT_SETTLED = "not_settled"


def give_back(api: Api, order: RefundOrder, charge: Mapping[str, Any], window: int) -> RefundAnswer:
    """Give ``order`` back, which nobody has sent before. Raises ``Silent``.

    ``window`` is the duplicate window in seconds.
    """
    state = str(charge.get("transactionStatus", ""))
    whole = order.amount == money_of(charge.get("authAmount", 0), order.amount.currency)
    if state == "voided":
        if whole and str(charge.get("responseCode")) == "1":
            return answer_of(charge)
        return RefundAnswer(_S.DECLINED, reason="voided")
    if STATUSES.get(state) is not _S.SUCCEEDED:
        return RefundAnswer(_S.DECLINED, reason="not_taken")
    if state in UNSETTLED:
        return _before_settlement(api, charge, is_whole=whole)
    return _credit(api, order, charge, window)


def void(api: Api, transaction: str) -> bool:
    """Void a transaction; False if Authorize.net refused. Raises ``Silent``."""
    request = {"transactionType": "voidTransaction", "refTransId": transaction}
    try:
        answer = api.call("createTransactionRequest", transactionRequest=request)
    except Refused as error:
        answer = dict(error.answer)
    return str((answer.get("transactionResponse") or {}).get("responseCode")) == "1"


def decline_held(api: Api, transaction: str) -> bool:
    """Decline a transaction that waits for a review; False if refused. Raises ``Silent``."""
    request = {"action": "decline", "refTransId": transaction}
    try:
        answer = api.call("updateHeldTransactionRequest", heldTransactionRequest=request)
    except Refused as error:
        answer = dict(error.answer)
    return str((answer.get("transactionResponse") or {}).get("responseCode")) == "1"


def answer_of(details: Mapping[str, Any]) -> RefundAnswer:
    """Return the answer to a refund from the credit, or from the charge that was voided."""
    if str(details.get("transactionType", "")).startswith("authCapture"):
        return RefundAnswer(_S.SUCCEEDED, str(details["transId"]))
    return refund_answer(details)


def _before_settlement(api: Api, charge: Mapping[str, Any], *, is_whole: bool) -> RefundAnswer:
    number = str(charge["transId"])
    if is_whole and void(api, number):
        return RefundAnswer(_S.SUCCEEDED, number)
    return RefundAnswer(_S.UNKNOWN, reason=NOT_SETTLED)


def _credit(api: Api, order: RefundOrder, charge: Mapping[str, Any], window: int) -> RefundAnswer:
    card = (charge.get("payment") or {}).get("creditCard") or {}
    request = {
        "transactionType": "refundTransaction",
        "amount": decimal_string(order.amount),
        "currencyCode": order.amount.currency,
        # The last four digits and a masked expiry are enough together with the reference.
        "payment": {
            "creditCard": {
                "cardNumber": str(card.get("cardNumber", ""))[-4:],
                "expirationDate": "XXXX",
            }
        },
        "refTransId": str(charge["transId"]),
        "order": {
            "invoiceNumber": short(order.reference),
            "description": f"{order.reference} {order.charge_reference}"[:255],
        },
        "transactionSettings": {
            "setting": [{"settingName": "duplicateWindow", "settingValue": str(window)}]
        },
    }
    try:
        answer = api.call(
            "createTransactionRequest",
            refId=short(order.reference),
            transactionRequest=request,
        )
    except Refused as error:
        answer = dict(error.answer)
    response = answer.get("transactionResponse")
    if not isinstance(response, dict):
        raise Silent("not_understood")
    if str(response.get("responseCode")) == "1":
        return RefundAnswer(_S.SUCCEEDED, str(response["transId"]))
    codes = [str(each.get("errorCode")) for each in response.get("errors") or []]
    if DUPLICATE in codes:
        return RefundAnswer(_S.UNKNOWN, reason="duplicate")
    reason = "not_refundable" if NOT_REFUNDABLE in codes else reason_of(codes[0] if codes else "")
    return RefundAnswer(_S.DECLINED, reason=reason)
