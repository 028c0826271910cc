"""EasyPost's events: HMAC-SHA256 of the raw body under the webhook's secret, and its statuses."""

from __future__ import annotations

import hashlib
import hmac
import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from storefront.hooks import ParcelMessage, ParcelNews, ParcelState, WebhookError

_SIGNATURE, _MARK = "x-hmac-signature", "hmac-sha256-hex="
#: Others say nothing that moves a box: unknown, pre_transit, failure, cancelled, error.
_STATES = {
    "in_transit": ParcelState.SHIPPED,
    "out_for_delivery": ParcelState.SHIPPED,
    "available_for_pickup": ParcelState.SHIPPED,
    "delivered": ParcelState.DELIVERED,
    "return_to_sender": ParcelState.RETURNED,
}


def read(headers: Mapping[str, str], raw: bytes, secret: str) -> ParcelMessage:
    """Check and read an event. Raises ``WebhookError``."""
    given = {name.lower(): value for name, value in headers.items()}.get(_SIGNATURE, "").strip()
    if not given or not secret:
        raise WebhookError("no_signature")
    if not hmac.compare_digest(signature(secret, raw).encode(), given.encode()):
        raise WebhookError("bad_signature")
    try:
        body: dict[str, Any] = json.loads(raw)
        result = body.get("result") or {}
        is_tracker = result.get("object") == "Tracker"
        return ParcelMessage(
            id=str(body["id"]),
            type=str(body["description"]),
            news=news_of(result) if is_tracker else ParcelNews(),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookError("unreadable") from error


def signature(secret: str, raw: bytes) -> str:
    """Return the header's value; the secret is normalised as EasyPost's own clients do it."""
    key = unicodedata.normalize("NFKD", secret).encode()
    return _MARK + hmac.new(key, raw, hashlib.sha256).hexdigest()


def news_of(tracker: Mapping[str, Any]) -> ParcelNews:
    """Return what a tracker says; one that came with a shipment names that."""
    details = [each for each in tracker.get("tracking_details") or () if isinstance(each, Mapping)]
    last = details[-1].get("datetime") if details else None
    return ParcelNews(
        state=_STATES.get(str(tracker.get("status") or "")),
        number=str(tracker.get("tracking_code") or ""),
        carrier=str(tracker.get("carrier") or ""),
        provider_reference=str(tracker.get("shipment_id") or tracker.get("id") or ""),
        occurred_at=_moment(last or tracker.get("updated_at")),
    )


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        # No date, or one that another zone puts outside the calendar.
        return None
