"""Keys of the plugin's pages: each names one object of Stripe's and cannot be guessed."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode


class PageKeys:
    """Sealed with a key made from Stripe's secret one, so every process opens them."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"storefront pages:" + secret.encode()).digest()

    def seal(self, kind: str, name: str) -> str:
        """Return the key for the page ``kind`` of the object ``name``; the same every time."""
        return f"{name}.{self._mark(kind, name)}"

    def open(self, kind: str, key: str) -> str | None:
        """Return the name of the object, None if we never gave out this key for such a page."""
        name, _, mark = key.rpartition(".")
        good = hmac.compare_digest(mark.encode(), self._mark(kind, name).encode())
        return name if good else None

    def _mark(self, kind: str, name: str) -> str:
        digest = hmac.new(self._secret, f"{kind}:{name}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest[:21]).decode()
