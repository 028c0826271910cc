"""Mandates: agreed to in Razorpay's window with a payment that is not taken at first.

Its sum is what is due today, so that the first charge only has to take it: a debit under the
mandate would need a notice of a day. Where nothing is due it is one rupee, never taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from storefront.hooks import AnswerStatus, Money, SetupAnswer, SetupOrder, VaultedMethod
from storefront_razorpay.answers import method_of, setup_declined, state_of
from storefront_razorpay.api import Api, Refused, Silent, named
from storefront_razorpay.codes import DEAD_MANDATES, LEAST, MOST_WITHOUT_CUSTOMER
from storefront_razorpay.orders import (
    BACK,
    KIND,
    OUT,
    REFERENCE,
    SETUP,
    TEXT,
    Orders,
    best_of,
    notes_of,
)

_S = AnswerStatus
#: Years until a mandate ends by itself.
_YEARS = 10


def split_token(token: str) -> tuple[str, str, str] | None:
    """Return customer, mandate and first payment of one of our tokens; None if it is none."""
    parts = token.split("/")
    kinds = ("cust_", "token_", "pay_")
    if len(parts) != len(kinds) or not all(map(str.startswith, parts, kinds)):
        return None
    return parts[0], parts[1], parts[2]


class Vault:
    """Set-ups and mandates of one account."""

    def __init__(self, api: Api, orders: Orders) -> None:
        self._api, self._orders = api, orders

    def begin(self, order: SetupOrder, now: datetime) -> dict[str, Any]:
        """Return the order of a set-up, made if there is none. Raises ``Silent``, ``Refused``."""
        known = self._orders.find(order.reference)
        if known is not None:
            return known
        due = order.amount or Money(LEAST, "INR")
        most = max(due.minor, MOST_WITHOUT_CUSTOMER)
        if order.limit is not None and order.limit.currency == due.currency:
            most = max(most, order.limit.minor)
        notes = {
            KIND: SETUP,
            BACK: order.return_url,
            OUT: order.cancel_url,
            TEXT: order.description,
        }
        mandate = {
            "max_amount": most,
            "expire_at": int(now.replace(year=now.year + _YEARS, day=1).timestamp()),
            "frequency": "as_presented",
        }
        more = {"customer_id": self._customer(order), "token": mandate}
        return self._orders.open(
            order.reference,
            Money(max(due.minor, LEAST), due.currency),
            notes,
            is_captured=False,
            more=more,
        )

    def _customer(self, order: SetupOrder) -> str:
        """Return the customer that the account has had, or a new one.

        Never one found by the e-mail: anybody may type any address, and the window shows what
        its customer has stored. Raises ``Silent``, ``Refused``.
        """
        if order.gateway_customer:
            return order.gateway_customer
        body = {"name": order.name, "fail_existing": "1", "notes": {REFERENCE: order.reference}}
        try:
            made = self._api.post("/customers", {**body, "email": order.email})
        except Refused:
            # Somebody has that address: a new customer without it, who types it in the window.
            made = self._api.post("/customers", body)
        if notes_of(made).get(REFERENCE) != order.reference:
            raise Silent("other_customer")
        return str(made["id"])

    def finish(self, reference: str, name: str) -> SetupAnswer:
        """Raises ``Silent``."""
        order = (self._orders.read(name) if name else None) or self._orders.find(reference)
        if order is None or notes_of(order).get(KIND) != SETUP:
            return SetupAnswer(_S.UNKNOWN, reason="no_such_setup")
        best = best_of(self._orders.payments(order))
        if best is None or best["status"] == "created":
            return SetupAnswer(_S.ACTION_REQUIRED)
        if best["status"] == "failed":
            return setup_declined(str(best.get("error_reason") or "payment_failed"))
        customer, token = str(best.get("customer_id") or ""), str(best.get("token_id") or "")
        found = self._token(customer, token)
        if found is None:
            return setup_declined("no_mandate")
        state = state_of(found)
        if state == "confirmed":
            return SetupAnswer(_S.SUCCEEDED, method_of(found, customer, str(best["id"])))
        if state in DEAD_MANDATES:
            return setup_declined(DEAD_MANDATES[state])
        # A bank may take days to confirm an e-mandate.
        return SetupAnswer(_S.PENDING, reason="mandate_initiated")

    def read(self, token: str) -> VaultedMethod | None:
        """Raises ``Silent``."""
        ids = split_token(token)
        found = self._token(*ids[:2]) if ids else None
        return method_of(found, ids[0], ids[2]) if ids and found else None

    def mandate(self, token: str) -> Mapping[str, Any] | None:
        """Return a mandate as Razorpay has it. Raises ``Silent``."""
        ids = split_token(token)
        return self._token(*ids[:2]) if ids else None

    def forget(self, token: str) -> bool:
        """Raises ``Silent``."""
        ids = split_token(token)
        if ids is None:
            return True
        try:
            self._api.delete(named("/customers/{}/tokens/{}", *ids[:2]))
        except Refused:
            return self._token(*ids[:2]) is None
        return True

    def _token(self, customer: str, token: str) -> dict[str, Any] | None:
        if not customer or not token:
            return None
        found = self._api.find(named("/customers/{}/tokens/{}", customer, token))
        return found or None
