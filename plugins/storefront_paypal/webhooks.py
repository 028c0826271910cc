"""Messages of PayPal: signed with a certificate over a checksum of the raw body.

PayPal also offers a call that checks a message. It is given the message as JSON again, so what
it checks is not what came in; the certificate checks the bytes, and needs a call once in months.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from storefront.hooks import EventAbout, GatewayEvent, Http, HttpError, WebhookError

#: PayPal repeats a message it could not deliver for three days.
OLDEST = timedelta(days=4)
_PATH = re.compile(r"/v1/notifications/certs/[0-9A-Za-z_-]{1,100}")
_MOST_CERTIFICATES = 8


class Certificates:
    """The certificates PayPal signs with, kept once fetched. Safe from any thread."""

    def __init__(self, http: Http, address: str) -> None:
        """``address`` is the only place a certificate is taken from."""
        self._http, self._address = http, address.rstrip("/")
        self._lock, self._kept = threading.Lock(), dict[str, x509.Certificate]()

    def key_of(self, url: str, now: datetime) -> RSAPublicKey:
        """Return the key of the certificate at ``url``. Raises ``WebhookError``."""
        path = url.removeprefix(self._address)
        if path == url or not _PATH.fullmatch(path):
            raise WebhookError("bad_signature")
        with self._lock:
            certificate = self._kept.get(path) or self._fetch(path)
        key = certificate.public_key()
        is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        if not is_valid or not isinstance(key, RSAPublicKey):
            raise WebhookError("bad_signature")
        return key

    def _fetch(self, path: str) -> x509.Certificate:
        try:
            answer = self._http.request("GET", path)
        except HttpError as error:
            raise WebhookError("unreachable") from error
        if answer.status == 404:
            raise WebhookError("bad_signature")
        if answer.status != 200:
            raise WebhookError("unreachable")
        try:
            found = x509.load_pem_x509_certificate(answer.body)
        except ValueError as error:
            raise WebhookError("unreachable") from error
        if len(self._kept) >= _MOST_CERTIFICATES:
            self._kept.clear()
        self._kept[path] = found
        return found


def read(
    headers: Mapping[str, str],
    raw: bytes,
    certificates: Certificates,
    webhook: str,
    account: str,
    now: datetime,
) -> GatewayEvent:
    """Check and read a message to the webhook id ``webhook``. Raises ``WebhookError``."""
    given = {name.lower(): value for name, value in headers.items()}
    names = ("transmission-id", "transmission-time", "transmission-sig", "cert-url")
    number, stamp, signature, url = (given.get(f"paypal-{name}", "") for name in names)
    if not (number and stamp and signature and url):
        raise WebhookError("no_signature")
    key = certificates.key_of(url, now)
    try:
        key.verify(
            base64.b64decode(signature, validate=True),
            signed_text(number, stamp, webhook, raw),
            PKCS1v15(),
            SHA256(),
        )
    except (InvalidSignature, binascii.Error) as error:
        raise WebhookError("bad_signature") from error
    if abs(now - _time(stamp)) > OLDEST:
        raise WebhookError("too_old")
    return _event(raw, account)


def signed_text(number: str, stamp: str, webhook: str, raw: bytes) -> bytes:
    """Return what PayPal signs."""
    return f"{number}|{stamp}|{webhook}|{zlib.crc32(raw)}".encode()


def _time(stamp: str) -> datetime:
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError as error:
        raise WebhookError("unreadable") from error
    if found.tzinfo is None:
        raise WebhookError("unreadable")
    return found


def _event(raw: bytes, account: str) -> GatewayEvent:
    try:
        body: dict[str, Any] = json.loads(raw)
        name, resource = str(body["event_type"]), body["resource"]
        about, reference, number = _subject(name, resource)
        return GatewayEvent(
            id=str(body["id"]),
            type=name,
            reference=reference,
            occurred_at=_time(str(body["create_time"])),
            account=account,
            about=about,
            gateway_reference=number,
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if isinstance(error, WebhookError):
            raise
        raise WebhookError("unreadable") from error


def _subject(name: str, resource: Mapping[str, Any]) -> tuple[EventAbout, str, str]:
    number, invoice = str(resource.get("id", "")), str(resource.get("invoice_id", ""))
    if name in {"PAYMENT.CAPTURE.REFUNDED", "PAYMENT.CAPTURE.REVERSED"}:
        return EventAbout.REFUND, invoice, number
    if name.startswith("PAYMENT.CAPTURE."):
        return EventAbout.CHARGE, invoice, number
    if name.startswith("CHECKOUT.ORDER."):
        units = resource.get("purchase_units") or [{}]
        return EventAbout.CHARGE, str(units[0].get("invoice_id", "")), number
    if name.startswith("CUSTOMER.DISPUTE."):
        about = (resource.get("disputed_transactions") or [{}])[0]
        charge = str(about.get("seller_transaction_id", ""))
        return EventAbout.DISPUTE, str(about.get("invoice_number", "")), charge
    if name.startswith("VAULT.PAYMENT-TOKEN."):
        return EventAbout.METHOD, "", number
    return EventAbout.OTHER, "", number
