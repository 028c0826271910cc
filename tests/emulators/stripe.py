"""A stand-in for Stripe's API on a socket: keys, lists, search with lag, faults, messages.

Idempotency as Stripe documents it (https://docs.stripe.com/api/idempotent_requests): the first
outcome of a key is kept, also a decline and a 500; the same key with other parameters is an
error, one still under way a conflict, and after 24 hours a key may be forgotten.
"""

import hashlib
import hmac
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators.stripe_books import Books, Fault, Fields, refuse

ACCOUNT, SECRET_KEY, WEBHOOK_SECRET = "acct_1NineKettles", "sk_test_kettles", "whsec_kettles"
#: What a call may have beside ``expand``; anything else is refused, as Stripe does.
_TAKES = {
    "POST /v1/customers": "email name metadata",
    "POST /v1/setup_intents": "customer usage metadata allowed_payment_method_types "
    "payment_method_options",
    "POST /v1/setup_intents/{id}": "metadata",
    "POST /v1/checkout/sessions": "mode customer client_reference_id success_url cancel_url "
    "locale metadata setup_intent_data allowed_payment_method_types currency",
    "POST /v1/payment_intents": "amount currency customer payment_method confirm metadata "
    "return_url off_session description statement_descriptor_suffix",
    "POST /v1/payment_intents/{id}/cancel": "",
    "POST /v1/refunds": "payment_intent amount metadata",
    "POST /v1/payment_methods/{id}/detach": "",
}
_LISTS = {
    "payment_intents": ("payment_intent", "customer"),
    "setup_intents": ("setup_intent", "customer"),
    "checkout/sessions": ("checkout.session", "customer"),
    "charges": ("charge", "payment_intent"),
    "refunds": ("refund", "payment_intent"),
    "disputes": ("dispute", "payment_intent"),
    "payment_methods": ("payment_method", "customer"),
}
_KEPT_KEYS = timedelta(hours=24)


class Lost(Exception):
    """The connection ends without a word."""


class StripeEmulator(ThreadingHTTPServer):
    """``address`` is what the plugin takes for Stripe's. Its ``books`` are the witness."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.now, self.books = now, Books(now)
        self.lock = threading.Lock()
        #: Every call: method, path, key, version, and the status of its answer.
        self.calls: list[Fields] = []
        self.keys: dict[str, tuple[str, int, Fields, datetime]] = {}
        self.under_way: set[str] = set()
        #: By token, what happens to its next charges: ``lost`` (done, answer lost), ``ignored``,
        #: ``half`` (made, never confirmed), ``500`` (done, then 500), ``409``, ``429``.
        self.faults: dict[str, list[str]] = {}
        self.is_down = False
        self.is_revoked = False
        self.search_lag = timedelta(0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    # --------------------------------------------------------------------- the other side

    def executed(self, reference: str) -> int:
        """Return how often money really moved for one of our references."""
        return sum(
            charge["status"] == "succeeded"
            and charge["metadata"].get("storefront_attempt") == reference
            for charge in self.books.all("charge")
        )

    def twice_paid(self) -> list[str]:
        """Return the invoices that were charged more than once and not given back."""
        paid: dict[str, int] = {}
        for charge in self.books.all("charge"):
            left = charge["amount_captured"] - charge["amount_refunded"]
            if charge["status"] == "succeeded" and left:
                invoice = charge["metadata"]["storefront_invoice"]
                paid[invoice] = paid.get(invoice, 0) + 1
        return [invoice for invoice, times in paid.items() if times > 1]

    def prune(self) -> None:
        """Forget the keys that Stripe may forget by now."""
        old = self.now() - _KEPT_KEYS
        self.keys = {key: kept for key, kept in self.keys.items() if kept[3] > old}

    def message(self, kind: str, found: Fields, **over: Any) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a genuine message, signed now."""
        body = {
            "id": f"evt_{hashlib.sha256(repr((kind, found)).encode()).hexdigest()[:16]}",
            "object": "event",
            "created": int(self.now().timestamp()),
            "livemode": False,
            "type": kind,
            "data": {"object": found},
            **over,
        }
        raw = json.dumps(body).encode()
        return sign(raw, self.now()), raw


def sign(raw: bytes, at: datetime, *secrets: str) -> dict[str, str]:
    """Return the header Stripe sends along with ``raw``."""
    stamp = str(int(at.timestamp()))
    marks = [
        hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
        for secret in secrets or (WEBHOOK_SECRET,)
    ]
    return {"Stripe-Signature": ",".join([f"t={stamp}", *(f"v1={mark}" for mark in marks)])}


@contextmanager
def running(now: Callable[[], datetime] | None = None) -> Iterator[StripeEmulator]:
    server = StripeEmulator(now) if now else StripeEmulator()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: StripeEmulator

    def do_GET(self) -> None:
        self._answer("GET", dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self._answer("POST", dict(parse_qsl(raw, keep_blank_values=True)))

    def _answer(self, method: str, flat: dict[str, str]) -> None:
        path, key = urlsplit(self.path).path, self.headers.get("Idempotency-Key", "")
        call: Fields = {
            "method": method,
            "path": path,
            "key": key,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "fields": flat,
        }
        self.server.calls.append(call)
        try:
            if self.server.is_down:
                raise Lost
            self._check_key()
            status, body = _keyed(self.server, method, path, key, flat)
        except Lost:
            self.close_connection = True
            return
        except Fault as fault:
            status, body = fault.status, {"error": fault.error}
        call["status"] = status
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Request-Id", "req_kettles")
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(raw)

    def _check_key(self) -> None:
        if self.server.is_revoked or self.headers["Authorization"] != f"Bearer {SECRET_KEY}":
            raise refuse("Invalid API Key provided", 401)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


def _keyed(
    server: StripeEmulator, method: str, path: str, key: str, flat: dict[str, str]
) -> tuple[int, Fields]:
    """Answer a call by its key: the first outcome again, a conflict, or a new outcome."""
    if method == "GET" or not key:
        return _guarded(server, method, path, flat)
    mark = json.dumps([path, sorted(flat.items())])
    with server.lock:
        if key in server.under_way:
            raise Fault(409, "idempotency_error", "in use", code="idempotency_key_in_use")
        if key in server.keys:
            kept, status, body, _at = server.keys[key]
            if kept != mark:
                raise Fault(400, "idempotency_error", "Keys for other parameters")
            return status, body
        server.under_way.add(key)
    try:
        status, body, is_lost = _with_faults(server, method, path, flat)
    finally:
        server.under_way.discard(key)
    # What never began is not kept: a wrong parameter, a conflict, too many calls.
    if status < 400 or status >= 500 or body["error"]["type"] == "card_error":
        server.keys[key] = (mark, status, body, server.now())
    if is_lost:
        raise Lost
    return status, body


def _with_faults(
    server: StripeEmulator, method: str, path: str, flat: dict[str, str]
) -> tuple[int, Fields, bool]:
    planned = server.faults.get(flat.get("payment_method", ""), [])
    fault = planned.pop(0) if planned else ""
    if fault == "ignored":
        raise Lost
    if fault in ("409", "429"):
        raise Fault(int(fault), "api_error", "not now", code="lock_timeout")
    if fault == "half":
        server.books.begin_intent(_typed(decode(flat)))
        return 500, {"error": {"type": "api_error", "message": "broken half way"}}, False
    try:
        status, body = _guarded(server, method, path, flat)
    except Fault as error:
        status, body = error.status, {"error": error.error}
    if fault == "500":
        return 500, {"error": {"type": "api_error", "message": "broken after the work"}}, False
    return status, body, fault == "lost"


def _guarded(
    server: StripeEmulator, method: str, path: str, flat: dict[str, str]
) -> tuple[int, Fields]:
    with server.lock:
        found = _act(server, method, path, decode(flat))
        return 200, json.loads(json.dumps(found))


def _act(server: StripeEmulator, method: str, path: str, fields: Fields) -> Fields:
    parts = path.removeprefix("/v1/").split("/")
    own = next((part for part in parts if re.fullmatch(r"[a-z_]+_\w*\d\w*", part)), "")
    shape = f"{method} {path.replace(own, '{id}') if own else path}"
    expand = fields.pop("expand", [])
    if method == "POST":
        if shape not in _TAKES:
            raise refuse(f"Unrecognized request URL ({shape}).", 404)
        for name in fields:
            if name not in _TAKES[shape].split():
                raise refuse(f"Received unknown parameter: {name}", param=name)
        return _post(server.books, shape, own, _typed(fields))
    if parts[-1] == "search":
        return _search(server, fields)
    tail = path.removeprefix("/v1/")
    collection = next((each for each in _LISTS if f"{tail}/".startswith(f"{each}/")), "")
    if not collection:
        raise refuse(f"Unrecognized request URL ({shape}).", 404)
    kind, by = _LISTS[collection]
    # Whatever follows the collection is a name, also one Stripe never gave.
    if name := tail.removeprefix(collection).strip("/"):
        return _expanded(server.books, server.books.get(kind, name), expand)
    return _page(server.books.all(kind), by, fields)


def _post(books: Books, shape: str, own: str, fields: Fields) -> Fields:
    if shape == "POST /v1/setup_intents/{id}":
        found = books.get("setup_intent", own)
        found["metadata"] = {**found["metadata"], **fields.get("metadata", {})}
        return found
    acts: dict[str, Callable[[], Fields]] = {
        "POST /v1/customers": lambda: books.put("customer", "cus", fields),
        "POST /v1/setup_intents": lambda: books.create_setup(fields),
        "POST /v1/checkout/sessions": lambda: books.create_session(fields),
        "POST /v1/payment_intents": lambda: books.create_intent(fields),
        "POST /v1/payment_intents/{id}/cancel": lambda: books.cancel_intent(own),
        "POST /v1/refunds": lambda: books.refund(fields),
        "POST /v1/payment_methods/{id}/detach": lambda: books.detach(own),
    }
    return acts[shape]()


def _search(server: StripeEmulator, fields: Fields) -> Fields:
    match = re.fullmatch(r'metadata\["(\w+)"\]:"([\w-]+)"', fields["query"])
    if match is None:
        raise refuse("The query cannot be read.", param="query")
    seen_until = (server.now() - server.search_lag).timestamp()
    found = [
        each
        for each in server.books.all("payment_intent")
        if each["metadata"].get(match[1]) == match[2] and each["created"] <= seen_until
    ]
    return {"object": "search_result", "data": found, "has_more": False}


def _page(rows: list[Fields], by: str, fields: Fields) -> Fields:
    created = fields.get("created", {})
    low, high = int(created.get("gte", 0)), int(created.get("lt", 1 << 40))
    found = [
        row
        for row in reversed(rows)
        if low <= row["created"] < high and fields.get(by) in (None, row.get(by))
    ]
    after = (
        [row["id"] for row in found].index(fields["starting_after"]) + 1
        if ("starting_after" in fields)
        else 0
    )
    limit = int(fields.get("limit", 10))
    page = found[after : after + limit]
    return {"object": "list", "data": page, "has_more": len(found) > after + limit}


def _expanded(books: Books, found: Fields, names: list[str]) -> Fields:
    more = {
        name: books.get("payment_method", found[name])
        for name in names
        if name == "payment_method" and found.get(name)
    }
    return {**found, **more}


def _typed(fields: Fields) -> Fields:
    """Read numbers and truth out of a form."""
    for name in ("confirm", "off_session"):
        if name in fields:
            fields[name] = fields[name] == "true"
    if "amount" in fields:
        fields["amount"] = int(fields["amount"])
    return fields


def decode(flat: dict[str, str]) -> Fields:
    """Read ``a[b]=c`` and ``a[0]=c`` as nested values.

    >>> decode({"metadata[x]": "1", "expand[0]": "y"})
    {'metadata': {'x': '1'}, 'expand': ['y']}
    """
    found: Fields = {}
    for name, value in flat.items():
        first, *rest = re.findall(r"[^\[\]]+", name)
        if not rest:
            found[first] = value
        elif rest[0].isdigit():
            found.setdefault(first, []).append(value)
        else:
            here = found.setdefault(first, {})
            for step in rest[:-1]:
                here = here.setdefault(step, {})
            here[rest[-1]] = value
    return found
