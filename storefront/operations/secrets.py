"""Secrets that open something: random ones of sessions, derived ones of mails.

Only hashes are stored. The secret of a mailed link is derived from the shop's own key and a
nonce, so that neither the outbox nor a copy of the database can sign anybody in.
Source: docs/decisions/0025-secrets-of-mails.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

#: Characters of a stored hash that name a session on a page.
REFERENCE = 24
#: What a way back leads to: what became of a charge, or of a card that was being stored.
ATTEMPT, SETUP = "attempt", "setup"
#: What a mailed link does; part of what is signed, so that none opens another's page.
PAY, SKIP_BOX, ADDRESS, RECEIPT = "pay link", "skip link", "address link", "receipt link"
ORDER = "order link"
#: Numbers a mailed code is drawn from: six digits.
_CODES = 1_000_000


def new_secret() -> str:
    """Return a random secret of 256 bits, for a cookie."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return what is stored of a session or link secret: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_nonce() -> str:
    """Return the public half of a one-time link: unique, and worth nothing alone."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class OneTime:
    """What a sign-in mail carries: the secret of its link and a code to type."""

    token: str
    code: str


def one_time(key: str, nonce: str) -> OneTime:
    """Return the link secret (192 bits) and six-digit code that belong to ``nonce``."""
    link = _keyed(key, f"sign-in link:{nonce}")
    digits = int.from_bytes(_keyed(key, f"sign-in code:{nonce}")[:8], "big") % _CODES
    return OneTime(base64.urlsafe_b64encode(link[:24]).decode(), f"{digits:06d}")


def staff_state(key: str, staff: str, password_hash: str) -> str:
    """Return what a staff link is bound to: it changes with the password, and so the link dies."""
    return _keyed(key, f"staff state:{staff}:{password_hash}").hex()


def staff_token(key: str, staff: str, until: int, state: str) -> str:
    """Return the secret of a link by which a staff user chooses a password.

    ``until`` is in seconds since 1970; ``state`` comes from ``staff_state``.
    """
    mac = _keyed(key, f"staff link:{staff}:{until}:{state}")[:24]
    return f"{staff}.{until}.{base64.urlsafe_b64encode(mac).decode()}"


def action_token(key: str, purpose: str, subject: str, until: int) -> str:
    """Return the secret (192 bits) of a mailed link by which one thing is done without signing in.

    ``purpose`` names what, ``subject`` by public ids to what, ``until`` is in seconds since 1970.
    Source: docs/decisions/0210-links-that-do-one-thing.md.
    """
    mac = _keyed(key, f"{purpose}:{subject}:{until}")[:24]
    return f"{subject}.{until}.{base64.urlsafe_b64encode(mac).decode()}"


def read_action_token(keys: Sequence[str], purpose: str, token: str) -> tuple[str, int] | None:
    """Return subject and end in seconds of a link; None for one that no key of ours made.

    An end that has passed is the caller's to judge: what stands there then leads on.
    """
    subject, _, rest = token.partition(".")
    until = rest.partition(".")[0]
    if not (until.isascii() and until.isdigit() and len(until) < 15):
        return None
    made = [action_token(key, purpose, subject, int(until)) for key in keys]
    # All are compared: how long it takes does not tell which key made it.
    same = [hmac.compare_digest(one.encode(), token.encode("utf-8", "replace")) for one in made]
    return (subject, int(until)) if any(same) else None


def gift_code(key: str, gift: str) -> str:
    """Return the code (120 bits) by which a recipient claims a gift; only its hash is stored.

    Letters and digits in groups, so that it can be read off a card and typed.
    Source: docs/decisions/0160-gift-subscriptions.md.
    """
    text = base64.b32encode(_keyed(key, f"gift code:{gift}")[:15]).decode()
    return "-".join(text[start : start + 6] for start in range(0, 24, 6))


def typed_gift_code(typed: str) -> str:
    """Return a gift code as ``gift_code`` writes it, however its groups were typed.

    >>> typed_gift_code(" abcdef ghijkl-mnopqrstuvwx ")
    'ABCDEF-GHIJKL-MNOPQR-STUVWX'
    """
    text = "".join(typed.split()).replace("-", "").upper()
    return "-".join(text[start : start + 6] for start in range(0, len(text), 6))


def return_token(key: str, purpose: str, subject: str) -> str:
    """Return ``subject`` signed for the way back from a bank's or gateway's page.

    The same each time, because a question repeated to a gateway must not differ.
    """
    mac = _keyed(key, f"way back:{purpose}:{subject}")[:24]
    return f"{subject}.{base64.urlsafe_b64encode(mac).decode()}"


def read_return_token(key: str, purpose: str, token: str) -> str | None:
    """Return the subject of ``return_token``; None for one we never made."""
    subject = token.partition(".")[0]
    made = return_token(key, purpose, subject)
    return subject if hmac.compare_digest(made.encode(), token.encode()) else None


def hash_code(key: str, code: str) -> str:
    """Return what is stored of a six-digit code; keyed, or it could be found by trying all."""
    return _keyed(key, f"sign-in code hash:{code}").hex()


def _keyed(key: str, text: str) -> bytes:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
