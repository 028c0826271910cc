"""Messages of Razorpay: HMAC-SHA256 of the raw body under the webhook's own secret."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from storefront.hooks import EventAbout, GatewayEvent, WebhookError
from storefront_razorpay.orders import REFERENCE, notes_of

_SIGNATURE, _ID = "x-razorpay-signature", "x-razorpay-event-id"
#: Razorpay repeats a message for a day. The signature holds no time, so this is all there is
#: against old messages beside the ids we have seen.
OLDEST = timedelta(days=3)
_ABOUT = (
    ("payment.dispute.", "dispute", EventAbout.DISPUTE),
    ("payment.", "payment", EventAbout.CHARGE),
    ("order.", "payment", EventAbout.CHARGE),
    ("refund.", "refund", EventAbout.REFUND),
    ("token.", "token", EventAbout.METHOD),
)


def read(
    headers: Mapping[str, str], raw: bytes, secret: str, merchant: str, account: str, now: datetime
) -> GatewayEvent:
    """Check and read a message. Raises ``WebhookError``."""
    given = {name.lower(): value for name, value in headers.items()}
    if not given.get(_SIGNATURE) or not secret:
        raise WebhookError("no_signature")
    if not hmac.compare_digest(_mac(secret, raw).encode(), given[_SIGNATURE].strip().encode()):
        raise WebhookError("bad_signature")
    event, owner = _event(given.get(_ID, ""), raw, account)
    if owner and owner != merchant:
        raise WebhookError("other_account")
    if abs(now - event.occurred_at) > OLDEST:
        raise WebhookError("too_old")
    return event


def sign(secret: str, raw: bytes, event_id: str) -> dict[str, str]:
    """Return the headers Razorpay sends along with ``raw`` (for tests)."""
    return {"X-Razorpay-Signature": _mac(secret, raw), "x-razorpay-event-id": event_id}


def _mac(secret: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def _event(name: str, raw: bytes, account: str) -> tuple[GatewayEvent, str]:
    try:
        body: dict[str, Any] = json.loads(raw)
        kind = str(body["event"])
        entity, about = next(
            ((entity, about) for start, entity, about in _ABOUT if kind.startswith(start)),
            ("", EventAbout.OTHER),
        )
        found: dict[str, Any] = (body["payload"].get(entity) or {}).get("entity") or {}
        named = str(found.get("payment_id" if about is EventAbout.DISPUTE else "id") or "")
        reference = notes_of(found).get(REFERENCE, "")
        event = GatewayEvent(
            # Old messages come without an id of their own; what they say is one.
            id=name or hashlib.sha256(raw).hexdigest(),
            type=kind,
            reference=reference,
            occurred_at=datetime.fromtimestamp(int(body["created_at"]), UTC),
            account=account,
            about=EventAbout.SETUP if reference.startswith("set_") else about,
            gateway_reference=named,
        )
        return event, str(body.get("account_id") or "")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise WebhookError("unreadable") from error
