"""Codes of authenticator apps (RFC 6238): six digits, a new one every half minute."""

from __future__ import annotations

from datetime import datetime

import pyotp
from pyotp.utils import strings_equal

#: Half minutes before and after the present one whose code is taken too: clocks differ.
_DRIFT = 1
#: Characters of shop and e-mail in an address, tried in turn; letters of some scripts take nine.
_NAMES = (60, 40, 25, 12)
#: Bytes of an address that a QR code of a handy size holds.
_LONGEST = 412


def new_secret() -> str:
    """Return a random secret of 160 bits, in base 32."""
    return pyotp.random_base32()


def address_for_apps(secret: str, email: str, shop: str) -> str:
    """Return what a QR code says to an authenticator."""
    # An app shows both beside the code; a colon would end the name of the shop.
    issuer = shop.replace(":", " ").strip() or "Shop"
    made = [
        pyotp.TOTP(secret).provisioning_uri(name=email[:length], issuer_name=issuer[:length])
        for length in _NAMES
    ]
    return next((one for one in made if len(one) <= _LONGEST), made[-1])


def matching_step(secret: str, digits: str, at: datetime) -> int | None:
    """Return the half minute whose code ``digits`` is, counted since 1970; None for a wrong one."""
    codes = pyotp.TOTP(secret)
    now = codes.timecode(at)
    steps = range(now - _DRIFT, now + _DRIFT + 1)
    # All are compared: how long it takes does not tell which one it was.
    found = [step for step in steps if strings_equal(codes.generate_otp(step), digits)]
    return found[-1] if found else None


def code_at(secret: str, at: datetime) -> str:
    """Return the code that an authenticator shows."""
    return pyotp.TOTP(secret).at(at)
