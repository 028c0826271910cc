"""The provider: a box becomes an order under our reference, a number becomes a track.

An order has no customs declaration at Shippo, only a shipment has, and that is made there when
the label is bought: from value, currency and country of origin of each line. A tariff number has
no field in an order, so the whole declaration is said in its notes too.
Source: orders and customs declarations at docs.goshippo.com, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from storefront.hooks import (
    Http,
    ParcelCapabilities,
    ParcelLine,
    ParcelMessage,
    ParcelNews,
    ParcelOrder,
    TakeAnswer,
    Taking,
)
from storefront_shippo.api import Api, Refused, Silent
from storefront_shippo.messages import moment_of, news_of, read, state_of


class Shippo:
    """One account."""

    name = "shippo"
    title = "Shippo"

    def __init__(
        self,
        http: Http,
        *,
        token: str,
        now: Callable[[], datetime],
        webhook_token: str = "",
        webhook_secret: str = "",
    ) -> None:
        self._api, self._now = Api(http, token), now
        self._token, self._secret = webhook_token, webhook_secret
        # Messages about labels do not always name the order, so it is asked for the number.
        self.capabilities = ParcelCapabilities(
            takes_boxes=True,
            follows_numbers=True,
            sends_messages=bool(webhook_token or webhook_secret),
            answers=True,
        )

    def take(self, order: ParcelOrder) -> TakeAnswer:
        """Create an order; its label is bought at Shippo, and nothing is paid for here."""
        body: dict[str, Any] = {
            "order_number": order.reference,
            "order_status": "PAID",
            "placed_at": _stamp(order.placed_at),
            "to_address": _address(order),
            "line_items": [_line(each) for each in order.lines],
        }
        if order.is_declared:
            if order.undeclared:
                return TakeAnswer(Taking.REFUSED, reason="no_customs", text=order.undeclared)
            body["notes"] = "; ".join(_declared(each) for each in order.lines)
        if order.grams:
            body |= {"weight": str(order.grams), "weight_unit": "g"}
        return self._made("/orders/", body, lambda made: str(made.get("object_id") or ""))

    def follow(self, order: ParcelOrder) -> TakeAnswer:
        """Register a track; our reference comes back in its messages."""
        carrier = re.sub(r"\W+", "_", order.carrier.strip().lower()).strip("_")
        if not carrier:
            text = "Shippo needs the carrier of a parcel"
            return TakeAnswer(Taking.REFUSED, reason="no_carrier", text=text)
        body = {
            "carrier": carrier,
            "tracking_number": order.number,
            "metadata": order.reference,
        }
        name = f"{quote(carrier, safe='')}/{quote(order.number, safe='')}"
        return self._made("/tracks/", body, lambda _made: name)

    def find(self, order: ParcelOrder) -> TakeAnswer | None:
        """Look for an order by our reference among those made since it was handed over."""
        if order.number:
            # Registering the same number again is the same track.
            return None
        since = min(order.placed_at, order.asked_at or order.placed_at) - timedelta(days=1)
        try:
            for each in self._api.orders(_stamp(since)):
                if each.get("order_number") == order.reference:
                    return TakeAnswer(Taking.TAKEN, str(each.get("object_id") or ""))
        except Silent as error:
            return error.answer
        return None

    def ask(self, reference: str, provider_reference: str, number: str) -> ParcelNews | None:
        """Read a track, or the newest label of an order."""
        try:
            if "/" in provider_reference:
                track = self._api.find(f"/tracks/{provider_reference}")
                return news_of(track) if track else None
            order = self._api.find(f"/orders/{quote(provider_reference, safe='')}")
            return self._of_labels((order or {}).get("transactions") or [])
        except (Silent, Refused):
            return None

    def parse_message(
        self, headers: Mapping[str, str], params: Mapping[str, str], raw: bytes
    ) -> ParcelMessage:
        """Check and read a message. Raises ``WebhookError``."""
        return read(headers, params, raw, self._token, self._secret, self._now())

    def _of_labels(self, labels: list[Any]) -> ParcelNews | None:
        """Return the news of the last label that was not refused or paid back."""
        for each in reversed(labels):
            name = str(each.get("object_id") or "") if isinstance(each, Mapping) else str(each)
            label = self._api.find(f"/transactions/{quote(name, safe='')}") or {}
            if label.get("status") != "SUCCESS" or not label.get("tracking_number"):
                continue
            rate = label.get("rate")
            return ParcelNews(
                state=state_of(label.get("tracking_status")),
                number=str(label["tracking_number"]),
                carrier=str(rate.get("provider") or "") if isinstance(rate, Mapping) else "",
                occurred_at=moment_of(label.get("object_updated")),
            )
        return None

    def _made(
        self, path: str, body: Mapping[str, Any], name_of: Callable[[dict[str, Any]], str]
    ) -> TakeAnswer:
        try:
            made = self._api.post(path, body)
        except (Silent, Refused) as error:
            return error.answer
        name = name_of(made)
        if not name or len(name) > 80:
            return TakeAnswer(Taking.UNKNOWN, reason="unreadable")
        return TakeAnswer(Taking.TAKEN, name)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _address(order: ParcelOrder) -> dict[str, str]:
    parts = {
        "name": order.name,
        "company": order.company,
        "street1": order.street,
        "street2": order.extra,
        "city": order.city,
        "state": order.region,
        "zip": order.postcode,
        "country": order.country,
        "phone": order.phone,
        "email": order.email,
    }
    return {name: value for name, value in parts.items() if value}


def _line(line: ParcelLine) -> dict[str, Any]:
    found: dict[str, Any] = {
        "title": line.text or line.sku,
        "sku": line.sku,
        "quantity": line.pieces,
    }
    if line.origin:
        found["manufacture_country"] = line.origin
    if line.value_minor is not None and line.currency:
        found |= {"total_price": str(line.value), "currency": line.currency}
    return found


def _declared(line: ParcelLine) -> str:
    goods = f"{line.pieces} x {line.text} ({line.sku})"
    return f"{goods}, HS {line.hs_code}, {line.origin}, {line.value} {line.currency}"
