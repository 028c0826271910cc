"""Where gateways and shipping providers send messages. Signed, so no form's token is asked for.

The answer says what the gateway should do: success only for what is stored, 400 for what will
never be taken, 503 to send it again.
"""

from __future__ import annotations

import logging
import threading
import time

from flask import Blueprint, Response, abort, request

from storefront.adapters.buckets import Buckets
from storefront.blueprints.context import runtime
from storefront.runtime import Runtime
from storefront.security import SIGNED, register_policy
from storefront.services import parcel_messages, webhooks
from storefront.services.webhooks import Receipt

log = logging.getLogger(__name__)

bp = Blueprint("incoming", __name__)
register_policy({"incoming.message": SIGNED, "incoming.parcel": SIGNED})

#: The biggest message taken, in bytes; those of payment gateways have some thousand.
MOST_BYTES = 256 * 1024
#: Those of shipping providers hold the whole way of a parcel.
MOST_PARCEL_BYTES = 1 << 20
#: Per gateway and address: so many messages a second, and so many at once. One that is refused
#: counts as many: who forges is slowed down long before who sends genuine ones.
PER_SECOND, BURST, REFUSED_COSTS = 50.0, 500, 25
RETRY_SECONDS = 30
#: So many messages are applied inside requests at once; others are left to the worker.
APPLIED_AT_ONCE = 2
#: When applying took longer than this, in seconds, the worker does it for so long.
SLOW_SECONDS, LEAVE_SECONDS = 2.0, 60.0

flood = Buckets(PER_SECOND, BURST)


class Desk:
    """Who may apply a message inside its request: a few at once, none while it takes long."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(APPLIED_AT_ONCE)
        self._closed_until = 0.0

    def open(self) -> None:
        """Forget that it took long."""
        self._closed_until = 0.0

    def enter(self) -> bool:
        """Take a place if there is one; the caller calls ``leave``."""
        return time.monotonic() >= self._closed_until and self._free.acquire(blocking=False)

    def leave(self, seconds: float) -> None:
        """Give the place back; applying took so long, 0 if nothing was applied."""
        if seconds > SLOW_SECONDS:
            self._closed_until = time.monotonic() + LEAVE_SECONDS
        self._free.release()


desk = Desk()


@bp.post("/hooks/<gateway>")
def message(gateway: str) -> Response:
    """Take one message."""
    rt = runtime()
    if gateway not in rt.gateways:
        abort(404)
    sender = f"{gateway}:{request.remote_addr or ''}"
    if not flood.take(sender):
        return _say(429, "slow down", RETRY_SECONDS)
    raw = _read(sender, MOST_BYTES)
    return raw if isinstance(raw, Response) else _take(rt, gateway, sender, raw)


@bp.post("/hooks/parcels/<provider>")
def parcel(provider: str) -> Response:
    """Take one message of a shipping provider."""
    rt = runtime()
    if provider not in rt.shipping_providers:
        abort(404)
    sender = f"parcels:{provider}:{request.remote_addr or ''}"
    if not flood.take(sender):
        return _say(429, "slow down", RETRY_SECONDS)
    raw = _read(sender, MOST_PARCEL_BYTES)
    if isinstance(raw, Response):
        return raw
    try:
        params = {name: value for name, value in request.args.items() if "\0" not in value}
        received = parcel_messages.receive(rt, provider, dict(request.headers), params, raw)
    except Exception:
        log.exception("a message of %s could not be checked or stored", provider)
        rt.session.rollback()
        return _say(503, "try again", RETRY_SECONDS)
    if received.reason:
        log.warning("a message of %s was refused: %s", provider, received.reason)
        flood.take(sender, REFUSED_COSTS)
        return _say(400, received.reason)
    return _say(200, "stored" if received.is_new else "repeated")


def _read(sender: str, most: int) -> bytes | Response:
    """Return the raw body, or the answer to one that is not taken."""
    refused = _wrong_shape(most)
    if refused is not None:
        flood.take(sender, REFUSED_COSTS)
        return refused
    raw = request.stream.read(most + 1)
    if len(raw) > most:
        flood.take(sender, REFUSED_COSTS)
        return _say(413, "too big")
    return raw


def _wrong_shape(most: int) -> Response | None:
    """Refuse by the headers alone what need not be read."""
    if request.content_length is not None and request.content_length > most:
        return _say(413, "too big")
    # Nothing is unpacked: a small body could become a huge one.
    if request.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        return _say(415, "encoded")
    if not request.is_json:
        return _say(415, "not JSON")
    return None


def _take(rt: Runtime, gateway: str, sender: str, raw: bytes) -> Response:
    claims, took = desk.enter(), 0.0
    try:
        try:
            received = webhooks.receive(rt, gateway, dict(request.headers), raw, claims=claims)
        except Exception:
            log.exception("a message of %s could not be checked or stored", gateway)
            rt.session.rollback()
            return _say(503, "try again", RETRY_SECONDS)
        if received.receipt is Receipt.LATER:
            return _say(503, received.reason, RETRY_SECONDS)
        if received.receipt is Receipt.REFUSED:
            log.warning("a message of %s was refused: %s", gateway, received.reason)
            flood.take(sender, REFUSED_COSTS)
            return _say(400, received.reason)
        if received.event is not None:
            took = _apply(rt, received.event)
        return _say(200, received.receipt.value)
    finally:
        if claims:
            desk.leave(took)


def _apply(rt: Runtime, event: int) -> float:
    """Apply what is stored and return how many seconds that took.

    Whatever happens, the worker tries again what is not done.
    """
    began = time.monotonic()
    try:
        webhooks.apply_claimed(rt, event)
    except Exception:
        log.exception("message %s is left to the worker", event)
        rt.session.rollback()
    return time.monotonic() - began


def _say(status: int, text: str, retry_after: int | None = None) -> Response:
    response = Response(f"{text}\n", status, mimetype="text/plain")
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response
