"""Keys of the plugin's pages: each names one order of Razorpay's and cannot be guessed."""

from __future__ import annotations

import hashlib
import hmac


class PageKeys:
    """Sealed with a key made from the account's secret one, so every process opens them."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"storefront pages:" + secret.encode()).digest()

    def seal(self, order: str) -> str:
        """Return the key for the page of an order; the same every time."""
        return f"{order}.{self._mark(order)}"

    def open(self, key: str) -> str | None:
        """Return the order's id, None if we never gave out this key."""
        order, _, mark = key.rpartition(".")
        return order if hmac.compare_digest(mark.encode(), self._mark(order).encode()) else None

    def _mark(self, order: str) -> str:
        return hmac.new(self._secret, order.encode(), hashlib.sha256).hexdigest()[:40]
