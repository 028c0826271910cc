"""Razorpay's orders. Our reference is their receipt, by which they are found again.

Nothing there forbids a second order with one receipt, and there are no idempotency keys. So the
oldest order of a receipt is *the* order, whoever made a later one lets it be, and an order takes
one payment only, which Razorpay does enforce.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from storefront.hooks import Money
from storefront_razorpay.api import Api, Refused, Silent, named

#: Notes of an order: our reference, what kind it is, and what its page needs.
REFERENCE, KIND, BACK, OUT, TEXT = (
    "storefront",
    "storefront_kind",
    "storefront_back",
    "storefront_out",
    "storefront_text",
)
#: The payment of a set-up that an order took up; set once a customer gave up.
PAYMENT, CANCELLED = "storefront_payment", "storefront_cancelled"
#: Note of a payment: our reference of the charge that takes it.
TAKER = "storefront_taker"
#: Kinds: a mandate, a debit by the clock, a payment with the customer there, one that waits for
#: them, and one that takes up the payment of a set-up.
SETUP, DEBIT, PRESENT, ASK, HELD = "setup", "debit", "present", "ask", "held"
#: A payment that is not captured goes back by itself after this many minutes (five days).
_HOLD_MINUTES = 7200


class Orders:
    """The orders of one account."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def find(self, reference: str) -> dict[str, Any] | None:
        """Return the order of a reference, or None. Raises ``Silent``."""
        try:
            found = self._api.get("/orders", receipt=reference, count="100").get("items") or []
        except Refused as error:
            raise Silent(error.reason or "refused") from error
        own = [each for each in found if each.get("receipt") == reference]
        return min(own, key=lambda each: (each["created_at"], each["id"]), default=None)

    def read(self, order: str) -> dict[str, Any] | None:
        """Raises ``Silent``."""
        return self._api.find(named("/orders/{}", order)) if order.startswith("order_") else None

    def open(
        self,
        reference: str,
        amount: Money,
        notes: Mapping[str, str],
        *,
        is_captured: bool,
        more: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Make an order and return the one that counts. Raises ``Silent`` or ``Refused``.

        ``is_captured``: its payment is taken at once; otherwise we say when.
        """
        options = {"manual_expiry_period": _HOLD_MINUTES, "refund_speed": "normal"}
        capture: dict[str, Any] = {"capture": "manual", "capture_options": options}
        made = self._api.post(
            "/orders",
            {
                "amount": amount.minor,
                "currency": amount.currency,
                "receipt": reference,
                "notes": {REFERENCE: reference, **notes},
                **({"payment_capture": True} if is_captured else {"payment": capture}),
                **(more or {}),
            },
        )
        return self.find(reference) or made

    def payments(self, order: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
        """Return what was tried on an order. Raises ``Silent``."""
        try:
            found = self._api.get(named("/orders/{}/payments", order["id"]))
        except Refused as error:
            raise Silent(error.reason or "refused") from error
        return found.get("items") or []

    def note(self, order: Mapping[str, Any], more: Mapping[str, str]) -> None:
        """Add notes to an order. Raises ``Silent`` or ``Refused``."""
        self._api.note(named("/orders/{}", order["id"]), {**notes_of(order), **more})


def notes_of(thing: Mapping[str, Any]) -> dict[str, str]:
    """Return the notes of anything; Razorpay gives an empty list where there are none."""
    notes = thing.get("notes")
    return dict(notes) if isinstance(notes, dict) else {}


#: The farther along, the more a payment says about its order.
_RANK = ("failed", "created", "authorized", "refunded", "captured")
#: What a payment counts as whose state we do not know: it is there, and may still take money.
_UNTOLD = _RANK.index("created")


def best_of(payments: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the payment that says where an order stands: the farthest, of those the latest."""
    return max(
        payments,
        key=lambda each: (_rank(each["status"]), each["created_at"], each["id"]),
        default=None,
    )


def _rank(status: str) -> int:
    return _RANK.index(status) if status in _RANK else _UNTOLD
