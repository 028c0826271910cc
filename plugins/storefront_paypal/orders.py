"""Charges: one order per attempt, taken at once from the vault or after the customer's yes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from storefront.hooks import AnswerStatus, CancelAnswer, ChargeAnswer, ChargeOrder
from storefront_paypal import books
from storefront_paypal.amounts import amount_of
from storefront_paypal.answers import (
    CANCELLED,
    capture_answer,
    capture_in,
    ended,
    is_cancelled,
    order_answer,
    refused,
    unit_of,
)
from storefront_paypal.api import Api, Refused, Silent
from storefront_paypal.codes import DECLINED, DUPLICATE_INVOICE
from storefront_paypal.known import Known

_S = AnswerStatus
_ORDERS, _CAPTURES = "/v2/checkout/orders", "/v2/payments/captures"


class Orders:
    """Orders of one account. Our reference is request id, invoice id and custom id of each."""

    def __init__(self, api: Api, report: books.Report) -> None:
        self._api, self._report, self._known = api, report, Known()

    def charge(self, order: ChargeOrder) -> ChargeAnswer:
        """Make and take an order once. Raises ``Silent``."""
        try:
            found = self._api.post(_ORDERS, _body(order), order.reference)
        except Refused as error:
            if error.issue == DUPLICATE_INVOICE:
                return self._evidence(order)
            if error.issue.startswith("PAYEE_") or error.issue == "PERMISSION_DENIED":
                # It is our account that may not, whoever pays.
                raise Silent("unauthorized") from error
            return refused(error.status, error.issue)
        self._known.keep(order.reference, str(found.get("id", "")))
        answer = order_answer(found, is_present=order.on_session)
        if answer.amount is not None and answer.amount != order.amount:
            return ChargeAnswer(_S.UNKNOWN, answer.gateway_reference, reason="key_reused")
        return answer

    def _evidence(self, order: ChargeOrder) -> ChargeAnswer:
        """PayPal has taken this invoice id before: what it took is the answer, once it shows."""
        try:
            known = self.lookup(order.reference, "")
        except Silent:
            # Whatever keeps us from reading it: it was taken.
            known = None
        if known is None:
            return ChargeAnswer(_S.UNKNOWN, reason="duplicate_invoice")
        if known.amount is not None and known.amount != order.amount:
            return ChargeAnswer(_S.UNKNOWN, known.gateway_reference, reason="key_reused")
        return known

    def lookup(
        self, reference: str, gateway_reference: str, *, takes: bool = True
    ) -> ChargeAnswer | None:
        """Say what PayPal knows; take an order that its customer has approved. Raises ``Silent``.

        Only a call of ours takes money for an approved order, so this is that call, unless
        ``takes`` is False.
        """
        number = gateway_reference or self._known.get(reference)
        if number:
            found = self._by_id(reference, number, takes=takes)
            if found is not None:
                return found
        listed = self._report.find(reference)
        for each in listed:
            details = self._api.get(f"{_CAPTURES}/{each}")
            if details is not None:
                return capture_answer(details)
        if listed:
            # PayPal knows our invoice id, so there is a charge, or there was one.
            raise Silent("not_a_capture")
        # Orders that nobody approved are forgotten by PayPal after some hours.
        return ended(number, "left") if number else None

    def _by_id(self, reference: str, number: str, *, takes: bool) -> ChargeAnswer | None:
        order = self._api.get(f"{_ORDERS}/{number}")
        if order is None:
            capture = self._api.get(f"{_CAPTURES}/{number}")
            return capture_answer(capture) if capture is not None else None
        if unit_of(order).get("invoice_id") != reference:
            return None
        if takes and order.get("status") == "APPROVED" and not is_cancelled(order):
            return self._take(reference, number)
        return order_answer(order, is_present=True)

    def _take(self, reference: str, number: str) -> ChargeAnswer:
        try:
            found = self._api.post(f"{_ORDERS}/{number}/capture", {}, f"{reference}-capture")
        except Refused as error:
            again = self._api.get(f"{_ORDERS}/{number}")
            if again is not None and capture_in(again) is not None:
                return order_answer(again, is_present=True)
            if again is None or error.issue != DECLINED:
                raise Silent(error.issue.lower()) from error
            # The order could be taken another day, behind its customer's back: it never is.
            self._give_up(reference, number)
            return replace(refused(error.status, error.issue), gateway_reference=number)
        return order_answer(found, is_present=True)

    def _give_up(self, reference: str, number: str) -> None:
        """Mark an order as one never to be taken. Raises ``Silent``."""
        try:
            self._mark(reference, number)
        except Refused as error:
            raise Silent(error.issue.lower()) from error

    def _mark(self, reference: str, number: str) -> None:
        path = "/purchase_units/@reference_id=='default'/custom_id"
        change = {"op": "replace", "path": path, "value": f"{CANCELLED}{reference}"}
        self._api.patch(f"{_ORDERS}/{number}", [change])

    def cancel(self, reference: str, gateway_reference: str) -> CancelAnswer:
        """Mark an order as one never to be taken, for PayPal itself has no cancelling.

        Raises ``Silent``.
        """
        number = gateway_reference or self._known.get(reference)
        order = self._api.get(f"{_ORDERS}/{number}") if number else None
        if order is None or capture_in(order) is not None:
            return _cancel_answer(self.lookup(reference, number, takes=False))
        if not is_cancelled(order):
            try:
                self._mark(reference, number)
            except Refused:
                # Taken meanwhile, or forgotten.
                return _cancel_answer(self.lookup(reference, number, takes=False))
            # Whoever read the order before the mark may take it after: what is there now counts.
            marked = self._api.get(f"{_ORDERS}/{number}")
            if marked is None or capture_in(marked) is not None:
                return _cancel_answer(self.lookup(reference, number, takes=False))
        return CancelAnswer.CANCELLED


def _cancel_answer(answer: ChargeAnswer | None) -> CancelAnswer:
    known = {_S.SUCCEEDED: CancelAnswer.SUCCEEDED, _S.DECLINED: CancelAnswer.CANCELLED}
    return known.get(answer.status, CancelAnswer.UNKNOWN) if answer else CancelAnswer.UNKNOWN


def _body(order: ChargeOrder) -> dict[str, Any]:
    unit: dict[str, Any] = {
        "amount": amount_of(order.amount),
        "invoice_id": order.reference,
        "custom_id": f"{order.reference} {order.invoice}"[:127],
    }
    if order.description:
        unit["description"] = order.description[:127]
    if order.descriptor:
        unit["soft_descriptor"] = order.descriptor[:22]
    wallet: dict[str, Any] = {"vault_id": order.token}
    if order.on_session:
        wallet["experience_context"] = {
            "return_url": order.return_url,
            "cancel_url": order.return_url,
            "shipping_preference": "NO_SHIPPING",
            "user_action": "PAY_NOW",
        }
    else:
        wallet["stored_credential"] = {
            "payment_initiator": "MERCHANT",
            "usage": "SUBSEQUENT",
            "usage_pattern": "SUBSCRIPTION_PREPAID",
        }
    return {
        "intent": "CAPTURE",
        "purchase_units": [unit],
        "payment_source": {"paypal": wallet},
    }
