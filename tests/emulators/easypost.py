"""EasyPost as its public documentation describes it, with its own books as witness.

Quirks it copies: our reference is taken in place of an id when a shipment is read, and is not kept
unique; a tracker is made again for the same code without a second one; a parcel needs a weight;
events carry an HMAC of the raw body.
Source: shipments, trackers, events, errors and the webhooks guide at docs.easypost.com, read
2026-11.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from storefront_easypost.messages import signature
from tests.emulators.serving import AnswerLost

KEY, SECRET, FROM = "EZTKkey", "hook sécret", "adr_nine"


@dataclass
class EasyPostAccount:
    """One merchant's account. ``app`` is the WSGI application of the API."""

    is_down: bool = False
    #: Answer everything with this status instead, such as 429.
    status: int = 0
    #: What becomes of the next POST: "lost" (done) or "ignored" (not done).
    fault: str = ""
    shipments: dict[str, dict[str, Any]] = field(default_factory=dict)
    trackers: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers, self._lock = count(1), threading.RLock()

    # ----------------------------------------------------------------- the other side, by hand

    def buy(self, reference: str, number: str) -> dict[str, Any]:
        """Buy the label of a shipment, as the merchant does on EasyPost's pages."""
        shipment = next(s for s in self.shipments.values() if s["reference"] == reference)
        shipment["tracker"] = self._tracker(number, "USPS", shipment["id"])
        return shipment["tracker"]

    def move(self, number: str, status: str, at: str = "2027-03-02T08:00:00Z") -> dict[str, Any]:
        """Let a carrier scan a parcel; returns its tracker."""
        tracker = next(t for t in self.trackers.values() if t["tracking_code"] == number)
        tracker["status"] = status
        tracker["tracking_details"].append({"status": status, "datetime": at})
        return tracker

    def message(self, tracker: dict[str, Any], event: str = "") -> tuple[dict[str, str], bytes]:
        """Return headers and body of an event, signed as EasyPost signs it."""
        body = {
            "id": event or f"evt_{next(self._numbers)}",
            "object": "Event",
            "description": "tracker.updated",
            "mode": "test",
            "result": tracker,
        }
        raw = json.dumps(body).encode()
        return {"X-Hmac-Signature": signature(SECRET, raw)}, raw

    def count_of(self, reference: str) -> int:
        """Return how many shipments stand under our reference."""
        return sum(each["reference"] == reference for each in self.shipments.values())

    # -------------------------------------------------------------------------------- the wire

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._respond(Request(environ))(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if self.is_down:
            raise AnswerLost
        if self.status:
            return Response("{}", self.status, {"Retry-After": "700"})
        auth = request.headers.get("Authorization", "").partition(" ")[2]
        if b64decode(auth).decode() != f"{KEY}:":
            return _json({"error": {"code": "APIKEY.INACTIVE"}}, 401)
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
        found = re.fullmatch(r"/v2/(shipments|trackers)(?:/([^/]+))?", request.path)
        if not found:
            return _json({"error": {"code": "NOT_FOUND"}}, 404)
        kind, name = found.groups()
        if request.method == "GET":
            return self._read(kind, name)
        body = json.loads(request.get_data())[kind[:-1]]
        return self._shipment(body) if kind == "shipments" else self._follow(body)

    def _read(self, kind: str, name: str) -> Response:
        rows = self.shipments if kind == "shipments" else self.trackers
        by_reference = (r for r in rows.values() if r.get("reference") == name)
        row = rows.get(name) or next(by_reference, None)
        return _json(row, 200) if row else _json({"error": {"code": "NOT_FOUND"}}, 404)

    def _shipment(self, body: dict[str, Any]) -> Response:
        if not body["parcel"].get("weight") or not body["to_address"].get("street1"):
            told = [{"field": "street1", "message": "is required"}]
            error = {"code": "SHIPMENT.INVALID_PARAMS", "message": "Unable", "errors": told}
            return _json({"error": error}, 422)
        assert body["from_address"] == {"id": FROM}
        if "customs_info" in body:
            _check_customs(body["customs_info"])
        name = f"shp_{next(self._numbers)}"
        self.shipments[name] = {"id": name, "object": "Shipment", "tracker": None, **body}
        return _json(self.shipments[name], 201)

    def _follow(self, body: dict[str, Any]) -> Response:
        return _json(self._tracker(body["tracking_code"], body.get("carrier") or "UPS", None), 201)

    def _tracker(self, number: str, carrier: str, shipment: str | None) -> dict[str, Any]:
        known = (t for t in self.trackers.values() if t["tracking_code"] == number)
        tracker = next(known, None)
        if tracker is None:
            tracker = {
                "id": f"trk_{next(self._numbers)}",
                "object": "Tracker",
                "tracking_code": number,
                "carrier": carrier,
                "status": "pre_transit",
                "shipment_id": shipment,
                "tracking_details": [],
                "updated_at": "2027-03-01T08:00:00Z",
            }
            self.trackers[tracker["id"]] = tracker
        return tracker


def _check_customs(info: dict[str, Any]) -> None:
    """Take a declaration only as it is documented: CustomsInfo and CustomsItem."""
    assert info["contents_type"] in {"documents", "gift", "merchandise", "returned_goods", "sample"}
    assert not info.get("customs_certify") or info["customs_signer"]
    assert info["customs_items"]
    for item in info["customs_items"]:
        assert item["description"]
        assert re.fullmatch(r"\d{6}|\d{8}|\d{10}", item["hs_tariff_number"])
        assert re.fullmatch(r"[A-Z]{2}", item["origin_country"])
        assert re.fullmatch(r"[A-Z]{3}", item["currency"])
        assert min(item["quantity"], item["value"], item["weight"]) > 0


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
