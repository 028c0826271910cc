"""Razorpay as its public documentation describes it, with its own books as witness.

Quirks it copies: amounts in paise; receipts that nothing keeps unique; no idempotency keys but
for refunds; a debit under a mandate that is asked for now, announced, and made 25 hours later,
stays *created* until then, and fails if that falls into the next cycle of a mandate with cycles;
more than Rs 15,000 that fails without the customer; payments that are held and go back by
themselves; an order that takes one payment only; empty lists where there are no notes.
Source: recurring payments, orders, payments, refunds, disputes and webhooks in the API reference
at razorpay.com/docs, read 2026-11.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64decode
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from storefront_razorpay.webhooks import sign
from tests.emulators.serving import AnswerLost

KEY_ID, SECRET, WEBHOOK, ACCOUNT = "rzp_test_1DP5mmOlF5G5ag", "thesecret", "hooksecret", "acc_Nine"
#: What becomes of debits: they go through, lack money, or the mandate was taken back; the last
#: one may take one rupee only without its customer.
GOOD, SOFT, HARD, SMALL = "good", "soft", "hard", "small"
_FAILS = {SOFT: "insufficient_funds", HARD: "mandate_revoked"}
_MOST, _DEBIT_AFTER = 1_500_000, timedelta(hours=25)
_HELD_FOR = timedelta(days=5)


class _No(Exception):
    def __init__(self, status: int, reason: str, text: str = "") -> None:
        super().__init__(status, reason)
        self.status, self.reason, self.text = status, reason, text


@dataclass
class Razorpay:
    """One merchant's account. ``app`` is the WSGI application of the API."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: Make each debit as it is asked for, as if a day had passed.
    debits_at_once: bool = False
    is_down: bool = False
    #: Answer everything with this status instead, such as 429.
    status: int = 0
    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    disputes: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What becomes of the next debit of a mandate: "lost" (done) or "ignored" (not done).
    faults: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers, self._lock = count(10_000), threading.RLock()
        self._keys: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    # ----------------------------------------------------------------- the other side, by hand

    def store(self, what: str = GOOD, method: str = "card", **over: Any) -> str:
        """Store a mandate as a customer would; return the token the plugin makes of it."""
        customer = self._customer(
            {"name": "Ada", "email": "ada@example.org", "fail_existing": "0"}
        )["id"]
        order = self._order(
            {"amount": 100, "currency": "INR", "receipt": "", "customer_id": customer}
            | {"token": {"max_amount": 100 if what == SMALL else _MOST}}
        )
        payment = self.pay(order["id"], what, method)
        token = self.tokens[payment["token_id"]]
        token.update(over)
        return f"{customer}/{token['id']}/{payment['id']}"

    def pay(self, order: str, what: str = GOOD, method: str = "card") -> dict[str, Any]:
        """Pay an order in Razorpay's window; a mandate is agreed to with it if it asks for one."""
        with self._lock:
            found = self.orders[order]
            if any(each["status"] == "captured" for each in self._of_order(order)):
                raise AssertionError("the order is paid already")
            made = self._payment(found, method, found.get("notes") or [])
            made["customer_id"] = found.get("customer_id")
            if what == HARD:
                made.update(status="failed", error_reason="card_lost_or_stolen")
                return made
            made["status"] = "authorized"
            if found.get("token"):
                made["token_id"] = self._token(found, what, method)["id"]
            if found.get("payment_capture"):
                self._captured(made)
            return made

    def fail(self, order: str) -> None:
        """Let the customer refuse in the window."""
        made = self._payment(self.orders[order], "card", [])
        made.update(status="failed", error_reason="payment_cancelled")

    def taken(self, reference: str) -> int:
        """Return how often money was taken for our reference and kept."""
        return sum(
            each["captured"]
            and each["amount_refunded"] < each["amount"]
            and (each["notes"] or {}).get("storefront") == reference
            for each in self.payments.values()
            if isinstance(each["notes"], dict)
        )

    def dispute(self, payment: str, phase: str = "chargeback") -> None:
        self.disputes[payment] = {
            "id": f"disp_{next(self._numbers)}",
            "payment_id": payment,
            "amount": self.payments[payment]["amount"],
            "currency": "INR",
            "amount_deducted": 0,
            "reason_code": "goods_or_services_not_received",
            "respond_by": self._stamp() + 864_000,
            "status": "open",
            "phase": phase,
            "created_at": self._stamp(),
        }

    def message(
        self, event: str, kind: str, entity: dict[str, Any]
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a message, signed as Razorpay signs it."""
        body = {
            "entity": "event",
            "account_id": ACCOUNT,
            "event": event,
            "contains": [kind],
            "payload": {kind: {"entity": entity}},
            "created_at": self._stamp(),
        }
        raw = json.dumps(body).encode()
        return sign(WEBHOOK, raw, f"evt_{next(self._numbers)}"), raw

    # -------------------------------------------------------------------------------- the wire

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._respond(Request(environ))(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if self.is_down:
            raise AnswerLost
        if self.status:
            return Response("{}", self.status, {"Retry-After": "7"})
        auth = request.headers.get("Authorization", "").partition(" ")[2]
        if b64decode(auth).decode() != f"{KEY_ID}:{SECRET}":
            return _json({"error": {"code": "BAD_REQUEST_ERROR"}}, 401)
        body = json.loads(request.get_data() or b"{}")
        self.calls.append((request.method, request.path, body))
        try:
            with self._lock:
                self._pass_time()
                return _json(self._do(request, body), 200)
        except _No as error:
            told = {"code": "BAD_REQUEST_ERROR", "reason": error.reason, "description": error.text}
            return _json({"error": told}, error.status)

    def _do(self, request: Request, body: dict[str, Any]) -> Any:
        for verb, pattern, name in _ROUTES:
            found = re.fullmatch(pattern, request.path.removeprefix("/v1"))
            if found and verb == request.method:
                return getattr(self, name)(request, body, *found.groups())
        raise _No(404, "not_found")

    def _customers(self, _request: Request, body: dict[str, Any]) -> Any:
        return self._customer(body)

    def _one_customer(self, _request: Request, _body: Any, name: str) -> Any:
        return _there(self.customers, name)

    def _one_token(self, _request: Request, _body: Any, customer: str, name: str) -> Any:
        token = _there(self.tokens, name)
        if token["customer_id"] != customer:
            raise _No(400, "input_validation_failed")
        return {key: value for key, value in token.items() if key != "what"}

    def _drop_token(self, _request: Request, _body: Any, customer: str, name: str) -> Any:
        self._one_token(_request, _body, customer, name)
        del self.tokens[name]
        return {"deleted": True}

    def _orders(self, _request: Request, body: dict[str, Any]) -> Any:
        if not isinstance(body["amount"], int) or body["amount"] < 100:
            raise _No(400, "input_validation_failed", "The amount must be at least INR 1.00")
        if len(body.get("receipt", "")) > 40 or len(body.get("notes", {})) > 15:
            raise _No(400, "input_validation_failed")
        if any(len(str(each)) > 256 for each in (body.get("notes") or {}).values()):
            raise _No(400, "input_validation_failed", "a note is too long")
        return self._order(body)

    def _list_orders(self, request: Request, _body: Any) -> Any:
        receipt = request.args.get("receipt")
        return _items(each for each in self.orders.values() if each["receipt"] == receipt)

    def _one_order(self, request: Request, body: dict[str, Any], name: str) -> Any:
        order = _there(self.orders, name)
        if request.method == "PATCH":
            order["notes"] = body["notes"]
        return order

    def _payments_of(self, _request: Request, _body: Any, name: str) -> Any:
        return _items(self._of_order(_there(self.orders, name)["id"]))

    def _recurring(self, _request: Request, body: dict[str, Any]) -> Any:
        fault = self.faults.pop(body["token"], "")
        if fault == "ignored":
            raise AnswerLost
        order, token = _there(self.orders, body["order_id"]), _there(self.tokens, body["token"])
        if (order["amount"], order["currency"]) != (body["amount"], body["currency"]):
            raise _No(400, "input_validation_failed", "Your payment amount is different")
        if any(each["status"] != "failed" for each in self._of_order(order["id"])):
            raise _No(400, "order_already_paid", "Your payment has already been completed")
        if token["recurring_details"]["status"] != "confirmed":
            raise _No(400, "mandate_not_active")
        made = self._payment(order, token["method"], body["notes"])
        made.update(customer_id=token["customer_id"], token_id=token["id"])
        made["debit_at"] = self.now() if self.debits_at_once else self.now() + _DEBIT_AFTER
        self._pass_time()
        if fault == "lost":
            raise AnswerLost
        return {"razorpay_payment_id": made["id"], "razorpay_order_id": order["id"]}

    def _list_payments(self, request: Request, _body: Any) -> Any:
        start, end = int(request.args["from"]), int(request.args["to"])
        found = [each for each in self.payments.values() if start <= each["created_at"] <= end]
        return _page(request, found)

    def _one_payment(self, request: Request, body: dict[str, Any], name: str) -> Any:
        payment = _there(self.payments, name)
        if request.method == "PATCH":
            payment["notes"] = body["notes"]
        return {key: value for key, value in payment.items() if key != "debit_at"}

    def _capture(self, _request: Request, body: dict[str, Any], name: str) -> Any:
        payment = _there(self.payments, name)
        if payment["status"] != "authorized" or body["amount"] != payment["amount"]:
            raise _No(400, "payment_already_captured")
        return self._captured(payment)

    def _refund(self, request: Request, body: dict[str, Any], name: str) -> Any:
        key = request.headers.get("X-Refund-Idempotency", "")
        if key and not re.fullmatch(r"[\w-]{10,}", key):
            raise _No(400, "input_validation_failed")
        if key in self._keys:
            asked, done = self._keys[key]
            if asked != body:
                raise _No(400, "input_validation_failed", "Different request with the same key")
            return done
        payment = _there(self.payments, name)
        if not payment["captured"]:
            raise _No(400, "payment_not_captured")
        if payment["amount_refunded"] + body["amount"] > payment["amount"]:
            raise _No(400, "refund_amount_exceeds")
        payment["amount_refunded"] += body["amount"]
        if payment["amount_refunded"] == payment["amount"]:
            payment["status"] = "refunded"
        made = {
            "id": f"rfnd_{next(self._numbers)}",
            "payment_id": name,
            "amount": body["amount"],
            "currency": "INR",
            "receipt": body.get("receipt"),
            "notes": body.get("notes", []),
            "status": "processed",
            "created_at": self._stamp(),
        }
        self.refunds[made["id"]] = made
        self._keys[key] = (body, made)
        return made

    def _refunds_of(self, request: Request, _body: Any, name: str) -> Any:
        return _page(request, [x for x in self.refunds.values() if x["payment_id"] == name])

    def _list_refunds(self, request: Request, _body: Any) -> Any:
        return _page(request, list(self.refunds.values()))

    def _one_refund(self, _request: Request, _body: Any, name: str) -> Any:
        return _there(self.refunds, name)

    def _list_disputes(self, request: Request, _body: Any) -> Any:
        return _page(request, list(self.disputes.values()))

    # ------------------------------------------------------------------------------ the books

    def _customer(self, body: dict[str, Any]) -> dict[str, Any]:
        email = body.get("email")
        same = (each for each in self.customers.values() if each["email"] == email)
        known = next(same, None) if email else None
        if known is not None and body.get("fail_existing", "1") == "1":
            text = "Customer already exists for the merchant"
            raise _No(400, "input_validation_failed", text)
        made = known or {
            "id": f"cust_{next(self._numbers)}",
            "name": body["name"],
            "email": email,
            "contact": "+919000090000",
            "notes": body.get("notes", []),
        }
        return self.customers.setdefault(made["id"], made)

    def _order(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"order_{next(self._numbers)}"
        self.orders[name] = {
            "id": name,
            "status": "created",
            "created_at": self._stamp(),
            "notes": [],
            **body,
        }
        return self.orders[name]

    def _token(self, order: dict[str, Any], what: str, method: str) -> dict[str, Any]:
        name = f"token_{next(self._numbers)}"
        number = "1111" if what == GOOD else "0002"
        self.tokens[name] = {
            "id": name,
            "customer_id": order["customer_id"],
            "method": method,
            "max_amount": order["token"]["max_amount"],
            "frequency": order["token"].get("frequency", "as_presented"),
            "started_at": self._stamp(),
            "recurring_details": {"status": "confirmed", "failure_reason": None},
            "what": what,
            "vpa": {"username": "ada", "handle": "okbank"} if method == "upi" else None,
            "bank": "HDFC" if method == "emandate" else None,
            "bank_details": {"account_number": "XXXX4711"} if method == "emandate" else None,
            "card": {
                "last4": number,
                "network": "Visa",
                "expiry_month": "12",
                "expiry_year": "2034",
            }
            if method == "card"
            else None,
        }
        return self.tokens[name]

    def _payment(self, order: dict[str, Any], method: str, notes: Any) -> dict[str, Any]:
        name = f"pay_{next(self._numbers)}"
        self.payments[name] = {
            "id": name,
            "order_id": order["id"],
            "amount": order["amount"],
            "currency": order["currency"],
            "status": "created",
            "captured": False,
            "amount_refunded": 0,
            "method": method,
            "notes": dict(notes) if isinstance(notes, dict) else [],
            "card": {"network": "Visa", "last4": "1111"} if method == "card" else None,
            "error_reason": None,
            "created_at": self._stamp(),
            "customer_id": None,
            "token_id": None,
        }
        return self.payments[name]

    def _captured(self, payment: dict[str, Any]) -> dict[str, Any]:
        payment.update(status="captured", captured=True)
        self.orders[payment["order_id"]]["status"] = "paid"
        return payment

    def _pass_time(self) -> None:
        now = self.now()
        for each in self.payments.values():
            held = datetime.fromtimestamp(each["created_at"], UTC)
            if each["status"] == "authorized" and now - held > _HELD_FOR:
                each.update(status="refunded", amount_refunded=each["amount"])
            if each["status"] == "created" and each.get("debit_at") and each["debit_at"] <= now:
                self._debit(each)

    def _debit(self, payment: dict[str, Any]) -> None:
        token = self.tokens.get(payment["token_id"])
        reason = _FAILS.get(token["what"], "") if token else "mandate_cancelled"
        if token and payment["amount"] > min(token["max_amount"], _MOST):
            reason = "transaction_limit_exceeded"
        if token and token["frequency"] == "monthly":
            asked, made = datetime.fromtimestamp(payment["created_at"], UTC), payment["debit_at"]
            if asked.day == monthrange(asked.year, asked.month)[1] or asked.month != made.month:
                reason = "debit_attempt_failed"
        if reason:
            payment.update(status="failed", error_reason=reason)
        else:
            self._captured(payment)

    def _of_order(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.payments.values() if each["order_id"] == name]

    def _stamp(self) -> int:
        return int(self.now().timestamp())


_ROUTES = (
    ("POST", "/customers", "_customers"),
    ("GET", "/customers/([^/]+)", "_one_customer"),
    ("GET", "/customers/([^/]+)/tokens/([^/]+)", "_one_token"),
    ("DELETE", "/customers/([^/]+)/tokens/([^/]+)", "_drop_token"),
    ("POST", "/orders", "_orders"),
    ("GET", "/orders", "_list_orders"),
    ("GET", "/orders/([^/]+)", "_one_order"),
    ("PATCH", "/orders/([^/]+)", "_one_order"),
    ("GET", "/orders/([^/]+)/payments", "_payments_of"),
    ("POST", "/payments/create/recurring", "_recurring"),
    ("GET", "/payments", "_list_payments"),
    ("GET", "/payments/([^/]+)", "_one_payment"),
    ("PATCH", "/payments/([^/]+)", "_one_payment"),
    ("POST", "/payments/([^/]+)/capture", "_capture"),
    ("POST", "/payments/([^/]+)/refund", "_refund"),
    ("GET", "/payments/([^/]+)/refunds", "_refunds_of"),
    ("GET", "/refunds", "_list_refunds"),
    ("GET", "/refunds/([^/]+)", "_one_refund"),
    ("GET", "/disputes", "_list_disputes"),
)


def _there(things: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in things:
        raise _No(400, "input_validation_failed", "The id provided does not exist")
    return things[name]


def _items(found: Any) -> dict[str, Any]:
    items = [{k: v for k, v in each.items() if k != "debit_at"} for each in found]
    return {"entity": "collection", "count": len(items), "items": items}


def _page(request: Request, found: list[dict[str, Any]]) -> dict[str, Any]:
    skip, size = int(request.args.get("skip", "0")), int(request.args.get("count", "10"))
    newest = sorted(found, key=lambda each: each["created_at"], reverse=True)
    return _items(newest[skip : skip + size])


def _json(body: Any, status: int) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")
