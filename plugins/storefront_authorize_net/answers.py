"""Transactions of Authorize.net, read as answers of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storefront.hooks import AnswerStatus, ChargeAnswer, RefundAnswer, decline_kind
from storefront_authorize_net.codes import (
    DECLINE_MEANINGS,
    REFUND_STATUSES,
    STATUSES,
    reason_of,
)
from storefront_authorize_net.references import money_of

_S = AnswerStatus


def charge_answer(details: Mapping[str, Any], currency: str) -> ChargeAnswer:
    """Return what a transaction's details say of a charge."""
    state = str(details.get("transactionStatus", ""))
    status = STATUSES.get(state, _S.UNKNOWN)
    number = str(details.get("transId", ""))
    if status is _S.SUCCEEDED:
        taken = money_of(details["authAmount"], currency)
        return ChargeAnswer(_S.SUCCEEDED, number, amount=taken)
    if status is _S.DECLINED:
        return declined(details, number, state)
    return ChargeAnswer(status, number, reason=state)


def declined(details: Mapping[str, Any], number: str, state: str) -> ChargeAnswer:
    """Return the decline that ``details`` tell of; a void or a lapse has no code of a bank."""
    code = str(details.get("responseReasonCode", ""))
    if state in {"voided", "expired", "failedReview"}:
        code = state
    return ChargeAnswer(
        _S.DECLINED,
        number,
        decline=decline_kind(DECLINE_MEANINGS, "", code),
        reason=state if code == state else reason_of(code),
        network=_network(details),
        code=code,
    )


def sent_answer(response: Mapping[str, Any], asked: str, currency: str) -> ChargeAnswer:
    """Return the answer to a charge just sent, the same as its details say later.

    ``asked`` is the amount as it was sent. The answer names none: it is taken in whole or not.
    """
    number = str(response.get("transId", ""))
    number = "" if number == "0" else number
    told = (response.get("errors") or response.get("messages") or [{}])[0]
    code = str(told.get("errorCode") or told.get("code") or "")
    said = str(response.get("responseCode", ""))
    if said == "1":
        return ChargeAnswer(_S.SUCCEEDED, number, amount=money_of(asked, currency))
    if said == "4":
        return ChargeAnswer(_S.PENDING, number, reason="FDSPendingReview")
    if said in {"2", "3"}:
        told_of = {"responseReasonCode": code, "accountType": response.get("accountType", "")}
        return declined(told_of, number, "declined")
    return ChargeAnswer(_S.UNKNOWN, number, reason="unreadable")


def refund_answer(details: Mapping[str, Any]) -> RefundAnswer:
    """Return what a refund's details say."""
    state = str(details.get("transactionStatus", ""))
    status = REFUND_STATUSES.get(state, _S.UNKNOWN)
    reason = "" if status is _S.SUCCEEDED else state
    return RefundAnswer(status, str(details.get("transId", "")), reason)


def order_of(details: Mapping[str, Any]) -> tuple[str, str]:
    """Return invoice number and description of a transaction."""
    order = details.get("order") or {}
    return str(order.get("invoiceNumber", "")), str(order.get("description", ""))


def _network(details: Mapping[str, Any]) -> str:
    card = (details.get("payment") or {}).get("creditCard") or {}
    return str(card.get("cardType") or details.get("accountType") or "").lower()
