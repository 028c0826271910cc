"""Shippo's messages: a token in the address, a signature where Shippo was asked for one."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from storefront.hooks import ParcelMessage, ParcelNews, ParcelState, WebhookError

_SIGNATURE = "shippo-auth-signature"
#: A box moves forward only, so an old message does no harm; this is for the far past.
OLDEST = timedelta(days=3)
_BOX = re.compile(r"\bbox_[0-9a-z]{4,40}\b")
#: Others say nothing that moves a box: UNKNOWN, PRE_TRANSIT, FAILURE.
_STATES = {
    "TRANSIT": ParcelState.SHIPPED,
    "DELIVERED": ParcelState.DELIVERED,
    "RETURNED": ParcelState.RETURNED,
}


def read(
    headers: Mapping[str, str],
    params: Mapping[str, str],
    raw: bytes,
    token: str,
    secret: str,
    now: datetime,
) -> ParcelMessage:
    """Check and read a message. Raises ``WebhookError``."""
    _check(headers, params, raw, token, secret, now)
    try:
        body: dict[str, Any] = json.loads(raw)
        kind, data = str(body["event"]), body["data"]
        news = news_of(data) if kind == "track_updated" else ParcelNews()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WebhookError("unreadable") from error
    # Messages have no id of their own; the same message is the same text.
    return ParcelMessage(hashlib.sha256(raw).hexdigest(), kind, news)


def signature(secret: str, raw: bytes, at: datetime) -> str:
    """Return the header's value for a message sent then."""
    stamp = str(int(at.timestamp()))
    return f"t={stamp},v1={_mac(secret, stamp, raw)}"


def _check(
    headers: Mapping[str, str],
    params: Mapping[str, str],
    raw: bytes,
    token: str,
    secret: str,
    now: datetime,
) -> None:
    if not token and not secret:
        raise WebhookError("no_signature")
    if token and not hmac.compare_digest(token.encode(), params.get("token", "").encode()):
        raise WebhookError("bad_signature")
    if not secret:
        return
    given = {name.lower(): value for name, value in headers.items()}.get(_SIGNATURE, "")
    parts = dict(each.strip().partition("=")[::2] for each in given.split(","))
    stamp = parts.get("t", "")
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        raise WebhookError("no_signature")
    expected = _mac(secret, stamp, raw)
    if not hmac.compare_digest(expected.encode(), parts.get("v1", "").encode()):
        raise WebhookError("bad_signature")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > OLDEST:
        raise WebhookError("too_old")


def _mac(secret: str, stamp: str, raw: bytes) -> str:
    return hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()


def news_of(track: Mapping[str, Any]) -> ParcelNews:
    """Return what a track says. A box is named in what we, or the order, wrote on it."""
    status = track.get("tracking_status")
    status = status if isinstance(status, Mapping) else {}
    named = _BOX.search(str(track.get("metadata") or ""))
    return ParcelNews(
        state=state_of(status.get("status")),
        number=str(track.get("tracking_number") or ""),
        carrier=str(track.get("carrier") or ""),
        reference=named[0] if named else "",
        occurred_at=moment_of(status.get("status_date")),
    )


def state_of(status: Any) -> ParcelState | None:
    """Return where a parcel is by Shippo's word for it."""
    return _STATES.get(str(status or "").upper())


def moment_of(text: Any) -> datetime | None:
    """Return an instant as Shippo writes it, in UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        # No date, or one that another zone puts outside the calendar.
        return None
