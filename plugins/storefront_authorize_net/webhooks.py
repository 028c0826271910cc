"""Messages of Authorize.net: signed with HMAC-SHA512 over the raw body."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from storefront.hooks import EventAbout, GatewayEvent, WebhookError
from storefront_authorize_net.api import time_of

SIGNATURE = "x-anet-signature"
#: Authorize.net repeats a message it could not deliver for about a week. The signature holds no
#: time, so this is all there is against old messages beside the ids we have seen.
OLDEST = timedelta(days=10)
_ABOUT = {
    "net.authorize.payment.refund.": EventAbout.REFUND,
    "net.authorize.payment.": EventAbout.CHARGE,
    "net.authorize.customer.paymentProfile.": EventAbout.METHOD,
}


def read(
    headers: Mapping[str, str], raw: bytes, key: str, account: str, now: datetime
) -> GatewayEvent:
    """Check and read a message. Raises ``WebhookError``."""
    given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE, "")
    kind, _, digest = given.strip().partition("=")
    if kind.lower() != "sha512" or not digest:
        raise WebhookError("no_signature")
    if not any(hmac.compare_digest(mac, digest.lower()) for mac in _macs(key, raw)):
        raise WebhookError("bad_signature")
    event = _event(raw, account)
    if abs(now - event.occurred_at) > OLDEST:
        raise WebhookError("too_old")
    return event


def sign(key: str, raw: bytes) -> dict[str, str]:
    """Return the header Authorize.net sends along with ``raw`` (for tests)."""
    return {"X-ANET-Signature": "sha512=" + _macs(key, raw)[0].upper()}


def _macs(key: str, raw: bytes) -> list[str]:
    """The documentation leaves open whether the hexadecimal key is used as text or as bytes.

    Either takes the key to make, so both are let through. A key that is empty lets nothing in.
    """
    if not key:
        return []
    keys = [key.encode()]
    with contextlib.suppress(ValueError):  # then it is text only
        keys.append(bytes.fromhex(key))
    return [hmac.new(each, raw, hashlib.sha512).hexdigest() for each in keys]


def _event(raw: bytes, account: str) -> GatewayEvent:
    try:
        body: dict[str, Any] = json.loads(raw)
        name, payload = str(body["eventType"]), body["payload"]
        about = next((kind for start, kind in _ABOUT.items() if name.startswith(start)), None)
        found = str(payload.get("id", ""))
        if about is EventAbout.METHOD:
            found = f"{payload['customerProfileId']}/{found}"
        return GatewayEvent(
            id=str(body["notificationId"]),
            type=name,
            # Its 20 characters stand for our reference and cannot be turned back without asking.
            reference="",
            occurred_at=time_of(str(body["eventDate"])),
            account=account,
            about=about or EventAbout.OTHER,
            gateway_reference=found,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookError("unreadable") from error
