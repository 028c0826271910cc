"""PayPal as its public documentation describes it, with its own books as witness.

Quirks it copies: tokens that end, request ids kept for some hours only, the first answer for a
repeated id whatever its body, invoice ids taken once, orders that take nothing until they are
captured and are forgotten if nobody approves, declines inside a success, a report that lags.
Source: REST API reference at developer.paypal.com, read 2026-11.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.emulators.paypal_certificate import CERTIFICATE, sign
from tests.emulators.serving import AnswerLost

CLIENT, SECRET, WEBHOOK = "AeA1QIZXiflr1", "EClusMEUk8e9", "8PT597110X687430LKGECATA"
#: Payers by what becomes of their charges; the value is their payer id.
GOOD, SOFT, HARD, CONFIRM = "GOODPAYER0001", "SOFTPAYER0001", "HARDPAYER0001", "CONFIRMPAYER1"
SLOW, VISA_02, MASTERCARD_02 = "SLOWPAYER0001", "VISAPAYER0002", "MASTERPAYER02"
_REFUSED = {
    SOFT: ("VISA", {"response_code": "5120"}),
    VISA_02: ("VISA", {"response_code": "5120", "payment_advice_code": "02"}),
    MASTERCARD_02: ("MASTERCARD", {"response_code": "5120", "payment_advice_code": "02"}),
}


class _No(Exception):
    def __init__(self, status: int, issue: str) -> None:
        super().__init__(status, issue)
        self.status, self.issue = status, issue


@dataclass
class PayPal:
    """One business account. ``app`` is the WSGI application of the API and its certificates."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    is_down: bool = False
    #: How long request ids are kept, how far the report lags, whether invoice ids are unique.
    key_seconds: float = 6 * 3600
    lag: timedelta = timedelta(0)
    blocks_duplicates: bool = True
    #: Whether an order that waits for its customer can be changed; the documentation is silent.
    patches_waiting: bool = True
    #: Issue with which every new order is refused.
    refuses: str = ""
    #: Issue with which taking an approved order is refused.
    refuses_taking: str = ""
    #: Answers of the next charge of a token: "lost" (done) or "ignored" (not done).
    faults: dict[str, str] = field(default_factory=dict)
    setups: dict[str, dict[str, Any]] = field(default_factory=dict)
    wallets: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    captures: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    disputes: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Every call, as method and path.
    calls: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    token: str = ""

    def __post_init__(self) -> None:
        self._numbers, self._lock = count(1), threading.RLock()
        self._answers: dict[tuple[str, str], tuple[datetime, int, Any]] = {}

    def _id(self, kind: str) -> str:
        return f"{kind}{next(self._numbers):010}X"

    # ----------------------------------------------------------------- the other side, by hand

    def store(self, payer: str) -> str:
        """Store a wallet as a customer would; return its payment token."""
        number = self._id("pt")
        self.wallets[number] = _wallet(number, self._id("CUST"), payer)
        return number

    def approve(self, setup: str, payer: str) -> None:
        self.setups[setup] |= {"status": "APPROVED", "payer": payer}

    def answer(self, order: str, *, is_yes: bool) -> None:
        """Play the customer at PayPal; who says no leaves an order that is forgotten."""
        found = self.orders.get(order)
        if found and found["status"] == "PAYER_ACTION_REQUIRED":
            if is_yes:
                found["status"] = "APPROVED"
            else:
                del self.orders[order]

    def taken(self, reference: str) -> int:
        """Return how often money was taken for our reference."""
        done = {"COMPLETED", "PARTIALLY_REFUNDED", "REFUNDED"}
        return sum(
            each["invoice_id"] == reference and each["status"] in done
            for each in self.captures.values()
        )

    def open_dispute(self, capture: str, stage: str = "CHARGEBACK") -> str:
        number = self._id("PP-D-")
        self.disputes[number] = {
            "dispute_id": number,
            "create_time": _stamp(self.now()),
            "disputed_transactions": [{"seller_transaction_id": capture}],
            "reason": "UNAUTHORISED",
            "status": "WAITING_FOR_SELLER_RESPONSE",
            "dispute_amount": self.captures[capture]["amount"],
            "dispute_life_cycle_stage": stage,
            "seller_response_due_date": _stamp(self.now() + timedelta(days=10)),
        }
        return number

    def message(self, body: Mapping[str, Any]) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a genuine message."""
        raw = json.dumps(body).encode()
        return sign(self._id("tx"), _stamp(self.now()), WEBHOOK, raw), raw

    # -------------------------------------------------------------------------------- the wire

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        if self.is_down:
            raise AnswerLost
        with self._lock:
            self.calls.append(f"{request.method} {request.path}")
            try:
                status, body = self._keyed(request)
            except _No as no:
                name = "RESOURCE_NOT_FOUND" if no.status == 404 else "UNPROCESSABLE_ENTITY"
                status, body = no.status, {"name": name, "details": [{"issue": no.issue}]}
        if isinstance(body, bytes):
            answer = Response(body, status, content_type="application/x-pem-file")
        else:
            answer = Response(json.dumps(body) if body is not None else b"", status)
        return answer(environ, start_response)

    def _keyed(self, request: Request) -> tuple[int, Any]:
        key = (request.path, request.headers.get("PayPal-Request-Id", ""))
        kept = self._answers.get(key)
        if key[1] and kept and self.now() - kept[0] < timedelta(seconds=self.key_seconds):
            return kept[1], kept[2]
        status, body = self._route(request, key)
        if key[1] and status < 300:
            self._answers[key] = (self.now(), status, body)
        return status, body

    def _route(self, request: Request, key: tuple[str, str]) -> tuple[int, Any]:
        if request.path == "/v1/oauth2/token":
            return self._new_token(request)
        if request.path.startswith("/v1/notifications/certs/"):
            return 200, CERTIFICATE
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"name": "AUTHENTICATION_FAILURE"}
        given = request.get_data()
        body = json.loads(given) if given else {}
        if request.method == "POST":
            self.bodies.append(body)
        for pattern, name in _ROUTES:
            found = re.fullmatch(pattern, f"{request.method} {request.path}")
            if found:
                handler = getattr(self, name)
                return handler(body, *found.groups(), **_query(request, name, key))
        raise _No(404, "INVALID_RESOURCE_ID")

    def _new_token(self, request: Request) -> tuple[int, Any]:
        given = request.authorization
        if not given or (given.username, given.password) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        self.token = self._id("A21")
        return 200, {"access_token": self.token, "token_type": "Bearer", "expires_in": 32_400}

    # ----------------------------------------------------------------------------------- vault

    def _open_setup(self, body: dict[str, Any]) -> tuple[int, Any]:
        number = self._id("5C")
        customer = {"id": self._id("CUST"), **body.get("customer", {})}
        link = {"rel": "approve", "href": f"https://www.paypal.com/agreements/approve?t={number}"}
        self.setups[number] = {
            "id": number,
            "status": "PAYER_ACTION_REQUIRED",
            "customer": customer,
            "links": [link],
        }
        return 201, self.setups[number]

    def _get_setup(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        return 200, _at(self.setups, number)

    def _exchange(self, body: dict[str, Any]) -> tuple[int, Any]:
        setup = _at(self.setups, body["payment_source"]["token"]["id"])
        if setup["status"] != "APPROVED":
            raise _No(422, "SETUP_TOKEN_NOT_APPROVED")
        if setup["payer"] == HARD:
            raise _No(422, "PAYER_ACCOUNT_RESTRICTED")
        number = self._id("pt")
        self.wallets[number] = _wallet(number, setup["customer"]["id"], setup["payer"])
        setup["status"] = "VAULTED"
        return 201, self.wallets[number]

    def _list_wallets(self, body: dict[str, Any], customer_id: str) -> tuple[int, Any]:
        found = [each for each in self.wallets.values() if each["customer"]["id"] == customer_id]
        return 200, {"payment_tokens": found}

    def _get_wallet(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        return 200, _at(self.wallets, number)

    def _forget_wallet(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        _at(self.wallets, number)
        del self.wallets[number]
        return 204, None

    # ---------------------------------------------------------------------------------- orders

    def _make_order(self, body: dict[str, Any], key: tuple[str, str]) -> tuple[int, Any]:
        token = body["payment_source"]["paypal"]["vault_id"]
        fault = self.faults.pop(token, "")
        if fault == "ignored":
            raise AnswerLost
        if self.refuses:
            raise _No(422, self.refuses)
        if token not in self.wallets:
            raise _No(422, "TOKEN_ID_NOT_FOUND")
        payer = self.wallets[token]["payment_source"]["paypal"]["payer_id"]
        if payer == HARD:
            raise _No(422, "PAYER_ACCOUNT_RESTRICTED")
        unit = {"reference_id": "default", **body["purchase_units"][0]}
        if self.blocks_duplicates and self.taken(unit["invoice_id"]):
            raise _No(422, "DUPLICATE_INVOICE_ID")
        order = {"id": self._id("O"), "payer": payer, "purchase_units": [unit], "links": []}
        self.orders[order["id"]] = order
        if payer == CONFIRM:
            order["status"] = "PAYER_ACTION_REQUIRED"
            href = f"https://www.paypal.com/checkoutnow?token={order['id']}"
            order["links"] = [{"rel": "payer-action", "href": href}]
        else:
            self._capture(order)
        if fault == "lost":
            self._answers[key] = (self.now(), 201, order)
            raise AnswerLost
        return 201, order

    def _capture(self, order: dict[str, Any]) -> None:
        unit, payer = order["purchase_units"][0], order["payer"]
        capture = {
            "id": self._id("C"),
            "status": "COMPLETED",
            "amount": unit["amount"],
            "invoice_id": unit["invoice_id"],
            "custom_id": unit["custom_id"],
            "create_time": _stamp(self.now()),
            "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        }
        if payer in _REFUSED:
            network, told = _REFUSED[payer]
            capture |= {
                "status": "DECLINED",
                "processor_response": told,
                "network_transaction_reference": {"network": network},
            }
        if payer == SLOW:
            capture |= {"status": "PENDING", "status_details": {"reason": "PENDING_REVIEW"}}
        self.captures[str(capture["id"])] = capture
        unit["payments"] = {"captures": [capture], "refunds": []}
        order["status"] = "COMPLETED"

    def _get_order(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        return 200, _at(self.orders, number)

    def _take_order(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        order = _at(self.orders, number)
        if order["status"] != "APPROVED":
            raise _No(422, "ORDER_ALREADY_CAPTURED")
        if self.refuses_taking:
            raise _No(422, self.refuses_taking)
        self._capture(order)
        return 201, order

    def _patch_order(self, body: list[dict[str, Any]], number: str) -> tuple[int, Any]:
        order = _at(self.orders, number)
        is_waiting = order["status"] == "PAYER_ACTION_REQUIRED"
        if order["status"] == "COMPLETED" or (is_waiting and not self.patches_waiting):
            raise _No(422, "INVALID_ORDER_STATUS")
        for change in body:
            assert change["path"] == "/purchase_units/@reference_id=='default'/custom_id"
            order["purchase_units"][0]["custom_id"] = change["value"]
        return 204, None

    # ---------------------------------------------------------------------- captures and refunds

    def _get_capture(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        return 200, _at(self.captures, number)

    def _refund(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        capture = _at(self.captures, number)
        order = self.orders[capture["supplementary_data"]["related_ids"]["order_id"]]
        listed = order["purchase_units"][0]["payments"]["refunds"]
        back = sum(Decimal(each["amount"]["value"]) for each in listed)
        back += Decimal(body["amount"]["value"])
        if back > Decimal(capture["amount"]["value"]):
            raise _No(422, "REFUND_AMOUNT_EXCEEDED")
        refund = {
            "id": self._id("R"),
            "status": "COMPLETED",
            "create_time": _stamp(self.now()),
            "capture": number,
            **body,
        }
        is_whole = back == Decimal(capture["amount"]["value"])
        capture["status"] = "REFUNDED" if is_whole else "PARTIALLY_REFUNDED"
        self.refunds[refund["id"]] = refund
        listed.append(refund)
        return 201, refund

    def _get_refund(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        return 200, _at(self.refunds, number)

    # --------------------------------------------------------------------------- report, disputes

    def _report(
        self,
        body: dict[str, Any],
        start_date: str,
        end_date: str,
        page: str,
        page_size: str,
        fields: str,
        balance_affecting_records_only: str = "Y",
    ) -> tuple[int, Any]:
        start, end = (datetime.fromisoformat(each) for each in (start_date, end_date))
        if end - start > timedelta(days=31):
            raise _No(400, "INVALID_REQUEST")
        until = min(end + timedelta(seconds=1), self.now() - self.lag)
        rows = [
            {"transaction_info": row}
            for row in self._rows()
            if start <= datetime.fromisoformat(row["transaction_initiation_date"]) <= until
            # Unasked, only what has moved money already is listed.
            and (balance_affecting_records_only == "N" or row["transaction_status"] in "SV")
        ]
        size, first = int(page_size), (int(page) - 1) * int(page_size)
        return 200, {
            "transaction_details": rows[first : first + size],
            "total_pages": -(-len(rows) // size) or 1,
            "last_refreshed_datetime": _stamp(self.now() - self.lag),
        }

    def _rows(self) -> list[dict[str, Any]]:
        states = {"COMPLETED": "S", "PARTIALLY_REFUNDED": "S", "REFUNDED": "V", "PENDING": "P"}
        rows = [
            _row(each, "T0006", states.get(each["status"], "D"), "", "")
            for each in self.captures.values()
        ]
        rows += [_row(each, "T1107", "S", each["capture"], "-") for each in self.refunds.values()]
        return rows

    def _list_disputes(self, body: dict[str, Any], disputed_transaction_id: str) -> tuple[int, Any]:
        found = [
            {"dispute_id": each["dispute_id"], "status": each["status"]}
            for each in self.disputes.values()
            if each["disputed_transactions"][0]["seller_transaction_id"] == disputed_transaction_id
        ]
        return 200, {"items": found}

    def _get_dispute(self, body: dict[str, Any], number: str) -> tuple[int, Any]:
        return 200, _at(self.disputes, number)


_ROUTES = [
    (r"POST /v3/vault/setup-tokens", "_open_setup"),
    (r"GET /v3/vault/setup-tokens/([\w-]+)", "_get_setup"),
    (r"POST /v3/vault/payment-tokens", "_exchange"),
    (r"GET /v3/vault/payment-tokens", "_list_wallets"),
    (r"GET /v3/vault/payment-tokens/([\w-]+)", "_get_wallet"),
    (r"DELETE /v3/vault/payment-tokens/([\w-]+)", "_forget_wallet"),
    (r"POST /v2/checkout/orders", "_make_order"),
    (r"GET /v2/checkout/orders/([\w-]+)", "_get_order"),
    (r"PATCH /v2/checkout/orders/([\w-]+)", "_patch_order"),
    (r"POST /v2/checkout/orders/([\w-]+)/capture", "_take_order"),
    (r"GET /v2/payments/captures/([\w-]+)", "_get_capture"),
    (r"POST /v2/payments/captures/([\w-]+)/refund", "_refund"),
    (r"GET /v2/payments/refunds/([\w-]+)", "_get_refund"),
    (r"GET /v1/reporting/transactions", "_report"),
    (r"GET /v1/customer/disputes", "_list_disputes"),
    (r"GET /v1/customer/disputes/([\w-]+)", "_get_dispute"),
]


def _query(request: Request, name: str, key: tuple[str, str]) -> dict[str, Any]:
    return {"key": key} if name == "_make_order" else dict(request.args)


def _at(books: Mapping[str, dict[str, Any]], number: str) -> dict[str, Any]:
    if number not in books:
        raise _No(404, "INVALID_RESOURCE_ID")
    return books[number]


def _wallet(number: str, customer: str, payer: str) -> dict[str, Any]:
    email = f"{payer.lower()}@example.org"
    wallet = {"payer_id": payer, "email_address": email}
    return {"id": number, "customer": {"id": customer}, "payment_source": {"paypal": wallet}}


def _row(
    each: Mapping[str, Any], code: str, status: str, refers: str, sign_of: str
) -> dict[str, Any]:
    amount = each["amount"]
    return {
        "transaction_id": each["id"],
        "transaction_event_code": code,
        "transaction_status": status,
        "transaction_initiation_date": each["create_time"].replace("Z", "+0000"),
        "transaction_amount": {**amount, "value": f"{sign_of}{amount['value']}"},
        "invoice_id": each["invoice_id"],
        "custom_field": each["custom_id"],
        **({"paypal_reference_id": refers, "paypal_reference_id_type": "TXN"} if refers else {}),
    }


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
