"""The provider: a box becomes a shipment under our reference, a number becomes a tracker.

A box that crosses a customs border carries its declaration. Source: Shipment, CustomsInfo,
CustomsItem and the customs guide at docs.easypost.com, read 2026-11: value and weight (ounces)
are those of the whole line, currency is USD unless it is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

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
from storefront_easypost.api import Api, Refused, Silent
from storefront_easypost.messages import news_of, read

_OUNCE = Decimal("28.349523125")
_DAY, _HOURS = 86_400, 4 * 3600
#: Carriers as EasyPost spells them; others it finds out by the number.
_CARRIERS = {"usps": "USPS", "ups": "UPS", "fedex": "FedEx"}


class EasyPost:
    """One account, one address that parcels leave from."""

    name = "easypost"
    title = "EasyPost"

    def __init__(
        self,
        http: Http,
        *,
        key: str,
        secret: str = "",
        from_address: str = "",
        signer: str = "",
        exemption: str = "",
    ) -> None:
        self._api, self._secret, self._from = Api(http, key), secret, from_address
        self._signer, self._exemption = signer, exemption
        self.capabilities = ParcelCapabilities(
            takes_boxes=bool(from_address),
            follows_numbers=True,
            sends_messages=bool(secret),
            answers=True,
            # Messages come in time; asking is only for one that got lost.
            ask_every_seconds=_DAY if secret else _HOURS,
        )

    def take(self, order: ParcelOrder) -> TakeAnswer:
        """Create a shipment; its label is bought at EasyPost, and nothing is paid for here."""
        if not order.grams:
            return TakeAnswer(Taking.REFUSED, reason="no_weight", text="a parcel needs its weight")
        body: dict[str, Any] = {
            "reference": order.reference,
            "to_address": _address(order),
            "from_address": {"id": self._from},
            "parcel": {"weight": _weight(order)},
        }
        if order.is_declared:
            if order.undeclared:
                return TakeAnswer(Taking.REFUSED, reason="no_customs", text=order.undeclared)
            if not all(line.grams for line in order.lines):
                return TakeAnswer(Taking.REFUSED, reason="no_weight", text="customs ask for all")
            body["customs_info"] = self._declaration(order)
        return self._made("/shipments", {"shipment": body})

    def follow(self, order: ParcelOrder) -> TakeAnswer:
        """Create a tracker."""
        body = {"tracking_code": order.number}
        carrier = _CARRIERS.get(re.sub(r"\W", "", order.carrier).lower())
        if carrier:
            body["carrier"] = carrier
        return self._made("/trackers", {"tracker": body})

    def find(self, order: ParcelOrder) -> TakeAnswer | None:
        """Look for a shipment by our reference, which EasyPost takes in place of its id."""
        if order.number:
            # A tracker has no reference; naming the same number again is the same tracker.
            return None
        try:
            found = self._api.find("/shipments", order.reference)
        except (Silent, Refused) as error:
            return TakeAnswer(Taking.UNKNOWN, reason=error.answer.reason)
        if found is None or found.get("reference") != order.reference:
            return None
        return TakeAnswer(Taking.TAKEN, str(found.get("id") or ""))

    def ask(self, reference: str, provider_reference: str, number: str) -> ParcelNews | None:
        """Read a tracker, or the tracker of a shipment whose label was bought."""
        try:
            if provider_reference.startswith("trk_"):
                tracker = self._api.find("/trackers", provider_reference)
            else:
                shipment = self._api.find("/shipments", provider_reference) or {}
                tracker = shipment.get("tracker")
        except (Silent, Refused):
            return None
        return news_of(tracker) if isinstance(tracker, Mapping) else None

    def parse_message(
        self, headers: Mapping[str, str], params: Mapping[str, str], raw: bytes
    ) -> ParcelMessage:
        """Check and read an event. Raises ``WebhookError``."""
        return read(headers, raw, self._secret)

    def _declaration(self, order: ParcelOrder) -> dict[str, Any]:
        """Return the CustomsInfo of a parcel; certified where somebody signs for the shop."""
        found: dict[str, Any] = {
            "contents_type": "merchandise",
            "non_delivery_option": "return",
            "restriction_type": "none",
            "customs_items": [_item(each) for each in order.lines],
        }
        if self._signer:
            found |= {"customs_certify": True, "customs_signer": self._signer}
        if self._exemption:
            found["eel_pfc"] = self._exemption
        return found

    def _made(self, path: str, body: Mapping[str, object]) -> TakeAnswer:
        try:
            made = self._api.post(path, body)
        except (Silent, Refused) as error:
            return error.answer
        name = str(made.get("id") or "")
        if not name:
            return TakeAnswer(Taking.UNKNOWN, reason="unreadable")
        return TakeAnswer(Taking.TAKEN, name)


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


def _weight(order: ParcelOrder) -> float:
    """Return the ounces of the parcel, to one place and up: never less than what is declared."""
    declared = sum((_ounces(line) for line in order.lines), Decimal(0))
    ounces = max(order.grams / _OUNCE, declared if order.is_declared else Decimal(0))
    return float(ounces.quantize(Decimal("0.1"), ROUND_CEILING))


def _ounces(line: ParcelLine) -> Decimal:
    """Return the weight of a line; EasyPost cuts off more than three places."""
    return round(line.grams * line.pieces / _OUNCE, 3)


def _item(line: ParcelLine) -> dict[str, Any]:
    """Return the CustomsItem of a line that lacks nothing."""
    return {
        "description": line.text,
        "quantity": line.pieces,
        "value": float(line.value),
        "currency": line.currency,
        "weight": float(_ounces(line)),
        "hs_tariff_number": line.hs_code,
        "origin_country": line.origin,
        "code": line.sku,
    }
