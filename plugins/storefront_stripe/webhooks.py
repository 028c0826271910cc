"""Messages from Stripe: whether they are genuine, and what each is about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import stripe

from storefront.hooks import EventAbout, GatewayEvent, WebhookError
from storefront_stripe.answers import ATTEMPT, REFUND, SETUP, Fields, at, reference_of

#: How far a message's time may be from ours, in seconds, either way.
TOLERANCE = 300
SIGNATURE = "stripe-signature"
_A = EventAbout


class Door:
    """Lets in what Stripe signed, for this account and mode, within five minutes."""

    def __init__(
        self,
        secrets: Sequence[str],
        account: str,
        is_live: bool,
        now: Callable[[], datetime],
    ) -> None:
        """While a secret is exchanged the old and the new one both hold."""
        self._secrets, self._account, self._is_live, self._now = secrets, account, is_live, now

    def read(self, headers: Mapping[str, str], raw: bytes) -> GatewayEvent:
        """Check the signature over the raw body, then read it. Raises ``WebhookError``."""
        header = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE, "")
        if not header:
            raise WebhookError("no_signature")
        self._check(header, raw)
        if abs(self._now().timestamp() - _stamp(header)) > TOLERANCE:
            raise WebhookError("too_old")
        try:
            body = json.loads(raw)
            return self._event(body, body["data"]["object"])
        except WebhookError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise WebhookError("unreadable") from error

    def _check(self, header: str, raw: bytes) -> None:
        if not header.isascii():
            raise WebhookError("bad_signature")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WebhookError("unreadable") from error
        for secret in self._secrets:
            try:
                # The age is judged by our own clock, in both directions.
                stripe.WebhookSignature.verify_header(text, header, secret, tolerance=None)
            except stripe.SignatureVerificationError:
                continue
            return
        raise WebhookError("bad_signature")

    def _event(self, body: Fields, found: Fields) -> GatewayEvent:
        if bool(body["livemode"]) is not self._is_live:
            raise WebhookError("wrong_mode")
        if body.get("account") not in (None, "", self._account):
            raise WebhookError("other_account")
        about, reference, own = _what(found)
        return GatewayEvent(
            id=str(body["id"]),
            type=str(body["type"]),
            reference=reference,
            occurred_at=at(int(body["created"])),
            account=self._account if self._is_live else f"{self._account}:test",
            about=about,
            gateway_reference=own,
        )


def _stamp(header: str) -> int:
    """Return the time of a header whose signature was found genuine."""
    return int(next(part[2:] for part in header.split(",") if part.startswith("t=")))


def _what(found: Fields) -> tuple[EventAbout, str, str]:
    """Return (about, our reference, Stripe's name) of the object of a message."""
    read = _READERS.get(str(found.get("object")))
    if read is None:
        return _A.OTHER, "", str(found.get("id") or "")
    return read(found)


def _named(about: EventAbout, name: str) -> Callable[[Fields], tuple[EventAbout, str, str]]:
    return lambda found: (about, reference_of(found, name), str(found["id"]))


def _charge(found: Fields) -> tuple[EventAbout, str, str]:
    """A Charge is one try of a PaymentIntent, which is what we call the charge."""
    return _A.CHARGE, reference_of(found, ATTEMPT), str(found.get("payment_intent") or "")


def _dispute(found: Fields) -> tuple[EventAbout, str, str]:
    """A dispute does not carry our reference; it is read through the charge it is about."""
    return _A.DISPUTE, "", str(found.get("payment_intent") or found.get("charge") or "")


_READERS: dict[str, Callable[[Mapping[str, Any]], tuple[EventAbout, str, str]]] = {
    "payment_intent": _named(_A.CHARGE, ATTEMPT),
    "charge": _charge,
    "refund": _named(_A.REFUND, REFUND),
    "setup_intent": _named(_A.SETUP, SETUP),
    "checkout.session": _named(_A.SETUP, SETUP),
    "dispute": _dispute,
    "payment_method": lambda found: (_A.METHOD, "", str(found["id"])),
    "mandate": lambda found: (_A.METHOD, "", str(found.get("payment_method") or "")),
}
