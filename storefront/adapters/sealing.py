"""Keep what has to be read again from whoever only has the database: Fernet under the shop's key.

The key of the seal is derived from the secret key and what is sealed; what an old secret key
sealed opens as long as that key is among the settings.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


def seal(keys: Sequence[str], purpose: str, text: str) -> str:
    """Return ``text`` sealed under the first of ``keys``; ``purpose`` keeps uses apart."""
    return _box(keys, purpose).encrypt(text.encode()).decode()


def unseal(keys: Sequence[str], purpose: str, sealed: str) -> str | None:
    """Return what was sealed under one of ``keys``; None when none of them did."""
    try:
        return _box(keys, purpose).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _box(keys: Sequence[str], purpose: str) -> MultiFernet:
    made = [
        hmac.new(key.encode(), f"seal:{purpose}".encode(), hashlib.sha256).digest() for key in keys
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(one)) for one in made])
