"""Shippo as its public documentation describes it, with its own books as witness.

Quirks it copies: an order's number is not kept unique, and orders are found only by walking their
pages; a label is a transaction, which the order names in short; errors are texts by field;
messages have no id.
Source: orders, transactions, tracks and webhook security at docs.goshippo.com and its clients,
read 2026-11.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from storefront_shippo.messages import signature
from tests.emulators.serving import AnswerLost

TOKEN, WEBHOOK_TOKEN, SECRET = "shippo_test_1", "made-up", "signs"
#: What a line of an order may have.
LINE_FIELDS = {
    "title",
    "variant_title",
    "sku",
    "quantity",
    "total_price",
    "currency",
    "weight",
    "weight_unit",
    "manufacture_country",
    "max_ship_time",
    "max_delivery_time",
}


@dataclass
class ShippoAccount:
    """One merchant's account. ``app`` is the WSGI application of the API."""

    is_down: bool = False
    #: Answer everything with this status instead, such as 429.
    status: int = 0
    #: What becomes of the next POST: "lost" (done) or "ignored" (not done).
    fault: str = ""
    orders: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    tracks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers, self._lock = count(1), threading.RLock()

    # ----------------------------------------------------------------- the other side, by hand

    def buy(self, reference: str, number: str) -> None:
        """Buy the label of an order, as the merchant does on Shippo's pages."""
        order = next(each for each in self.orders if each["order_number"] == reference)
        name = f"txn{next(self._numbers)}"
        self.labels[name] = {
            "object_id": name,
            "status": "SUCCESS",
            "tracking_number": number,
            "tracking_status": "UNKNOWN",
            "rate": {"provider": "USPS"},
            "object_updated": "2027-03-02T08:00:00.000Z",
        }
        order["transactions"].append({"object_id": name, "object_status": "SUCCESS"})
        self._track("usps", number, f"Order {reference}")

    def move(self, number: str, status: str) -> None:
        """Let a carrier scan a parcel."""
        for (_carrier, each), track in self.tracks.items():
            if each == number:
                track["tracking_status"] = {"status": status, "status_date": "2027-03-02T08:00:00Z"}
        for label in self.labels.values():
            if label["tracking_number"] == number:
                label["tracking_status"] = status

    def message(self, number: str, secret: str = SECRET) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a message about a parcel, signed as Shippo signs it."""
        track = next(track for (_c, each), track in self.tracks.items() if each == number)
        raw = json.dumps({"event": "track_updated", "test": True, "data": track}).encode()
        return {"Shippo-Auth-Signature": signature(secret, raw, datetime.now(UTC))}, raw

    def count_of(self, reference: str) -> int:
        """Return how many orders stand under our reference."""
        return sum(each["order_number"] == reference for each in self.orders)

    # -------------------------------------------------------------------------------- the wire

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._respond(Request(environ))(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if self.is_down:
            raise AnswerLost
        if self.status:
            return Response("{}", self.status, {"Retry-After": "7"})
        if request.headers.get("Authorization") != f"ShippoToken {TOKEN}":
            return _json({"detail": "Invalid token"}, 401)
        self.calls.append((request.method, request.path))
        fault, self.fault = (self.fault, "") if request.method == "POST" else ("", self.fault)
        if fault == "ignored":
            raise AnswerLost
        with self._lock:
            answer = self._do(request)
        if fault == "lost":
            raise AnswerLost
        return answer

    def _do(self, request: Request) -> Response:
        kind, *names = request.path.strip("/").split("/")
        if request.method == "POST":
            body = json.loads(request.get_data())
            return self._order(body) if kind == "orders" else self._follow(body)
        if kind == "orders" and not names:
            return self._list(request)
        found: Any = None
        if kind == "orders":
            found = next((each for each in self.orders if each["object_id"] == names[0]), None)
        elif kind == "transactions":
            found = self.labels.get(names[0])
        elif kind == "tracks" and len(names) == 2:
            found = self.tracks.get((names[0], names[1]))
        return _json(found, 200) if found else _json({"detail": "Not found."}, 404)

    def _list(self, request: Request) -> Response:
        page, size = int(request.args["page"]), int(request.args["results"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", request.args["start_date"])
        newest = self.orders[::-1]
        more = len(newest) > page * size
        rows = newest[(page - 1) * size : page * size]
        return _json({"next": "yes" if more else None, "results": rows}, 200)

    def _order(self, body: dict[str, Any]) -> Response:
        if not body["to_address"].get("street1"):
            return _json({"to_address": {"street1": ["This field is required."]}}, 400)
        assert "customs_declaration" not in body, "an order has none"
        for line in body["line_items"]:
            assert set(line) <= LINE_FIELDS
            assert ("total_price" in line) == ("currency" in line)
            assert re.fullmatch(r"[A-Z]{2}", line.get("manufacture_country", "DE"))
        name = f"ord{next(self._numbers)}"
        self.orders.append({**body, "object_id": name, "transactions": []})
        return _json(self.orders[-1], 201)

    def _follow(self, body: dict[str, Any]) -> Response:
        if body["carrier"] == "pigeon":
            return _json({"carrier": ["Unknown carrier."]}, 400)
        track = self._track(body["carrier"], body["tracking_number"], body["metadata"])
        return _json(track, 201)

    def _track(self, carrier: str, number: str, metadata: str) -> dict[str, Any]:
        return self.tracks.setdefault(
            (carrier, number),
            {
                "carrier": carrier,
                "tracking_number": number,
                "metadata": metadata,
                "tracking_status": None,
            },
        )


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
