"""Authorize.net as its public documentation describes it, with its own books as witness.

Quirks it copies: status 200 for everything, a byte order mark before every answer, amounts as
bare JSON numbers, keys that must stand in the order of the schema, no idempotency keys, a
window in which look-alikes are dropped, credits only after the settlement, voids only before.
Source: API reference at developer.authorize.net, read 2026-11.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.emulators.serving import AnswerLost

LOGIN, KEY = "5KP3u95bQpv", "346HZ32z3fP4hTG2"
GOOD, SOFT, HARD, HELD = "4111111111111111", "4222222222222220", "4012888818888", "4000000000000002"
#: What the bank answers per card: response code and reason code.
ANSWERS = {GOOD: ("1", "1"), SOFT: ("2", "2"), HARD: ("2", "8"), HELD: ("4", "253")}
_TEXTS = {"1": "This transaction has been approved.", "11": "A duplicate transaction."}
_ORDERS = {
    "createTransactionRequest": ["merchantAuthentication", "refId", "transactionRequest"],
    "transactionRequest": [
        *("transactionType", "amount", "currencyCode", "payment", "profile", "solution"),
        *("refTransId", "order", "customer", "transactionSettings", "processingOptions"),
        "subsequentAuthInformation",
    ],
    "order": ["invoiceNumber", "description"],
    "profile": ["merchantCustomerId", "description", "email", "customerProfileId"],
}
_ENTER = {"approvedReview", "capturedPendingSettlement", "refundPendingSettlement"}


class _No(Exception):
    """The request is refused: message code and text, and what else stands in the answer."""

    def __init__(self, code: str, text: str, **more: Any) -> None:
        super().__init__(code, text)
        self.code, self.text, self.more = code, text, more


@dataclass
class Transaction:
    number: str
    type: str
    amount: Decimal
    invoice: str
    description: str
    profile: tuple[str, str]
    card: str
    at: datetime
    status: str
    response: str
    reason: str
    refers: str = ""
    batch: str = ""
    window: int = 120


@dataclass
class AuthorizeNet:
    """One merchant's account. ``app`` is the WSGI application of API and hosted form."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    #: Settle each transaction as it comes; otherwise ``settle`` is the end of the day.
    settles_at_once: bool = False
    is_down: bool = False
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    transactions: list[Transaction] = field(default_factory=list)
    #: Answers of the next charge of a token: "lost" (done) or "ignored" (not done).
    faults: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Every call, by name.
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    validations: int = 0

    def __post_init__(self) -> None:
        self._numbers, self._lock = count(40_000_000_001), threading.RLock()

    # ----------------------------------------------------------------- the other side, by hand

    def store(self, card: str) -> str:
        """Store a card as a customer would; return the token the plugin makes of it."""
        profile = self._new_profile({"merchantCustomerId": f"c{next(self._numbers)}"})
        return f"{profile}/{self._add_card(profile, card)}"

    def type_card(self, token: str, card: str) -> None:
        """Type a card into the hosted form that ``token`` opens."""
        self._add_card(self.tokens[token]["profile"], card)

    def settle(self) -> None:
        """Run the settlement of the day."""
        batch = str(next(self._numbers))
        for each in self.transactions:
            if not each.batch:
                each.batch = batch
                if each.status in _ENTER:
                    is_refund = each.type == "refundTransaction"
                    each.status = (
                        "refundSettledSuccessfully" if is_refund else "settledSuccessfully"
                    )

    def find(self, number: str) -> Transaction:
        return next(each for each in self.transactions if each.number == number)

    def taken(self, reference: str) -> int:
        """Return how often money was taken for our reference."""
        return sum(
            each.type == "authCaptureTransaction"
            and each.description.split(" ")[0] == reference
            and each.status in {"capturedPendingSettlement", "settledSuccessfully"}
            for each in self.transactions
        )

    # -------------------------------------------------------------------------------- the wire

    def app(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._respond(Request(environ))(environ, start_response)

    def _respond(self, request: Request) -> Response:
        if self.is_down:
            raise AnswerLost
        [(name, body)] = json.loads(request.get_data(), parse_float=Decimal).items()
        with self._lock:
            self.calls.append((name, body))
            answer = self._answer(name, body)
        raw = json.dumps(answer, default=float).encode()
        return Response(b"\xef\xbb\xbf" + raw, content_type="application/json; charset=utf-8")

    def _answer(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            if body["merchantAuthentication"] != {"name": LOGIN, "transactionKey": KEY}:
                raise _No("E00007", "User authentication failed due to invalid values.")
            _check_order(name, body)
            found = getattr(self, f"_{name}")(body)
        except _No as no:
            message = {"code": no.code, "text": no.text}
            return {**no.more, "messages": {"resultCode": "Error", "message": [message]}}
        message = {"code": "I00001", "text": "Successful."}
        return {**found, "messages": {"resultCode": "Ok", "message": [message]}}

    # ------------------------------------------------------------------------ customer profiles

    def _new_profile(self, given: Mapping[str, Any]) -> str:
        number = str(next(self._numbers))
        self.profiles[number] = {**given, "customerProfileId": number, "cards": {}}
        return number

    def _add_card(self, profile: str, card: str) -> str:
        number = str(next(self._numbers))
        self.profiles[profile]["cards"][number] = card
        return number

    def _profile(self, number: object) -> dict[str, Any]:
        if str(number) not in self.profiles:
            raise _No("E00040", "The record cannot be found.")
        return self.profiles[str(number)]

    def _createCustomerProfileRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        given = body["profile"]
        if len(given["merchantCustomerId"]) > 20:
            raise _No("E00003", "merchantCustomerId is longer than 20 characters.")
        keys = ("merchantCustomerId", "description", "email")
        for number, each in self.profiles.items():
            if all(each.get(key, "") == given.get(key, "") for key in keys):
                raise _No("E00039", f"A duplicate record with ID {number} already exists.")
        return {"customerProfileId": self._new_profile(given)}

    def _getCustomerProfileRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for number, each in self.profiles.items():
            if each.get("merchantCustomerId") == body["merchantCustomerId"]:
                shown = {key: value for key, value in each.items() if key != "cards"}
                cards = [_card(key, card) for key, card in each["cards"].items()]
                return {"profile": {**shown, "customerProfileId": number, "paymentProfiles": cards}}
        raise _No("E00040", "The record cannot be found.")

    def _updateCustomerProfileRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._profile(body["profile"]["customerProfileId"]).update(body["profile"])
        return {}

    def _getHostedProfilePageRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._profile(body["customerProfileId"])
        settings = {
            each["settingName"]: each["settingValue"]
            for each in body["hostedProfileSettings"]["setting"]
        }
        token = f"form{next(self._numbers)}"
        self.tokens[token] = {"profile": body["customerProfileId"], **settings}
        return {"token": token}

    def _stored(self, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        cards = self._profile(body["customerProfileId"])["cards"]
        number = str(body["customerPaymentProfileId"])
        if number not in cards:
            raise _No("E00040", "The record cannot be found.")
        return cards, number

    def _getCustomerPaymentProfileRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        cards, number = self._stored(body)
        return {"paymentProfile": _card(number, cards[number])}

    def _deleteCustomerPaymentProfileRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        cards, number = self._stored(body)
        del cards[number]
        return {}

    def _validateCustomerPaymentProfileRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        cards, number = self._stored(body)
        self.validations += 1
        # A card that declines softly did not when it was stored.
        response, reason = ANSWERS[cards[number]] if cards[number] == HARD else ("1", "1")
        direct = f"{response},1,{reason},text,000000,P,0"
        if response != "1":
            raise _No("E00027", "The transaction was unsuccessful.", directResponse=direct)
        return {"directResponse": direct}

    # ----------------------------------------------------------------------------- transactions

    def _createTransactionRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        asked = body["transactionRequest"]
        _check_order("transactionRequest", asked)
        order = asked.get("order") or {}
        _check_order("order", order)
        if len(body.get("refId", "")) > 20 or len(order.get("invoiceNumber", "")) > 20:
            raise _No("E00003", "The value is longer than 20 characters.")
        return getattr(self, f"_{asked['transactionType']}")(asked)

    def _authCaptureTransaction(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        named = asked["profile"]
        profile = str(named["customerProfileId"])
        number = str(named["paymentProfile"]["paymentProfileId"])
        ids = {"customerProfileId": profile, "customerPaymentProfileId": number}
        fault = self.faults.pop(f"{profile}/{number}", "")
        if fault == "ignored":
            raise AnswerLost
        cards, _ = self._stored(ids)
        response, reason = ANSWERS[cards[number]]
        done = self._enter(asked, (profile, number), cards[number], response, reason)
        if fault == "lost":
            raise AnswerLost
        return done

    def _refundTransaction(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        charge = self.find(asked["refTransId"])
        if charge.status != "settledSuccessfully" or self.now() - charge.at > timedelta(days=180):
            raise _unsuccessful("54")
        back = sum(each.amount for each in self.transactions if each.refers == charge.number)
        if back + Decimal(asked["amount"]) > charge.amount:
            raise _unsuccessful("55")
        return self._enter(asked, ("", ""), charge.card, "1", "1")

    def _updateHeldTransactionRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.find(body["heldTransactionRequest"]["refTransId"])
        if found.status != "FDSPendingReview":
            raise _unsuccessful("16")
        assert body["heldTransactionRequest"]["action"] == "decline"
        found.status = "failedReview"
        return {"transactionResponse": {"responseCode": "1", "transId": found.number}}

    def _voidTransaction(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = self.find(asked["refTransId"])
        if found.batch or found.status not in _ENTER:
            raise _unsuccessful("16")
        found.status = "voided"
        return {"transactionResponse": {"responseCode": "1", "transId": found.number}}

    def _enter(
        self,
        asked: dict[str, Any],
        profile: tuple[str, str],
        card: str,
        response: str,
        reason: str,
    ) -> dict[str, Any]:
        window = _window(asked)
        order, amount, now = asked["order"], Decimal(asked["amount"]), self.now()
        for each in self.transactions:
            same = (each.type, each.amount, each.invoice, each.card, each.profile)
            wanted = (asked["transactionType"], amount, order["invoiceNumber"], card, profile)
            if same == wanted and now - each.at < timedelta(seconds=window):
                raise _unsuccessful("11")
        entered = {"1": "capturedPendingSettlement", "4": "FDSPendingReview"}
        if asked["transactionType"] == "refundTransaction":
            entered = {"1": "refundPendingSettlement"}
        done = Transaction(
            number=str(next(self._numbers)),
            type=asked["transactionType"],
            amount=amount,
            invoice=order["invoiceNumber"],
            description=order["description"],
            profile=profile,
            card=card,
            at=now,
            status=entered.get(response, "declined"),
            response=response,
            reason=reason,
            refers=asked.get("refTransId", ""),
        )
        self.transactions.append(done)
        if self.settles_at_once and done.status in _ENTER:
            self.settle()
        return {"transactionResponse": _response(done)}

    # ------------------------------------------------------------------------------------ lists

    def _getTransactionDetailsRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for each in self.transactions:
            if each.number == body["transId"]:
                return {"transaction": _details(each)}
        raise _No("E00040", "The record cannot be found.")

    def _getTransactionListForCustomerRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._profile(body["customerProfileId"])
        wanted = body["customerProfileId"]
        return _page(body, [each for each in self.transactions if each.profile[0] == wanted])

    def _getUnsettledTransactionListRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return _page(body, [each for each in self.transactions if not each.batch])

    def _getSettledBatchListRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        first, last = (
            datetime.fromisoformat(body[key])
            for key in ("firstSettlementDate", "lastSettlementDate")
        )
        if last - first > timedelta(days=31):
            raise _No("E00013", "The date range is longer than 31 days.")
        found = {each.batch for each in self.transactions if each.batch}
        return {"batchList": [{"batchId": number} for number in sorted(found)]}

    def _getTransactionListRequest(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return _page(body, [each for each in self.transactions if each.batch == body["batchId"]])


def _check_order(name: str, given: Mapping[str, Any]) -> None:
    known = [key for key in _ORDERS.get(name, given) if key in given]
    if list(given) != known:
        raise _No("E00003", f"The element '{name}' has invalid child elements: {list(given)}.")


def _window(asked: dict[str, Any]) -> int:
    named = (asked.get("transactionSettings") or {}).get("setting", [])
    given = {each["settingName"]: each["settingValue"] for each in named}
    return int(given.get("duplicateWindow", 120))


def _unsuccessful(reason: str) -> _No:
    error = {"errorCode": reason, "errorText": _TEXTS.get(reason, "No.")}
    response = {"responseCode": "3", "transId": "0", "errors": [error]}
    text = "The transaction was unsuccessful."
    return _No("E00027", text, transactionResponse=response)


def _card(number: str, card: str) -> dict[str, Any]:
    shown = {
        "cardNumber": f"XXXX{card[-4:]}",
        "expirationDate": "2030-12",
        "cardType": "Visa",
        "issuerNumber": card[:6],
    }
    return {"customerPaymentProfileId": number, "payment": {"creditCard": shown}}


def _response(done: Transaction) -> dict[str, Any]:
    told = {"code": done.reason, "description": _TEXTS.get(done.reason, "No.")}
    failed = {"errorCode": done.reason, "errorText": _TEXTS.get(done.reason, "No.")}
    return {
        "responseCode": done.response,
        "transId": done.number,
        "accountNumber": f"XXXX{done.card[-4:]}",
        "accountType": "Visa",
        **({"messages": [told]} if done.response in {"1", "4"} else {"errors": [failed]}),
        **({"networkTransId": f"N{done.number}"} if done.response == "1" else {}),
    }


def _details(done: Transaction) -> dict[str, Any]:
    profile = {"customerProfileId": done.profile[0], "customerPaymentProfileId": done.profile[1]}
    card = {"cardNumber": f"XXXX{done.card[-4:]}", "expirationDate": "XXXX", "cardType": "Visa"}
    return {
        "transId": done.number,
        "submitTimeUTC": done.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "transactionType": done.type,
        "transactionStatus": done.status,
        "responseCode": int(done.response),
        "responseReasonCode": int(done.reason),
        "order": {"invoiceNumber": done.invoice, "description": done.description},
        "authAmount": done.amount,
        "payment": {"creditCard": card},
        **({"profile": profile} if done.profile[0] else {}),
        **({"refTransId": done.refers} if done.refers else {}),
        **({"networkTransId": f"N{done.number}"} if done.response == "1" else {}),
    }


def _page(body: dict[str, Any], found: list[Transaction]) -> dict[str, Any]:
    limit, number = body["paging"]["limit"], body["paging"]["offset"]
    newest = list(reversed(found))[(number - 1) * limit : number * limit]
    summaries = [
        {
            "transId": each.number,
            "submitTimeUTC": each.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "transactionStatus": each.status,
            "invoiceNumber": each.invoice,
            "settleAmount": each.amount,
        }
        for each in newest
    ]
    return {"transactions": summaries, "totalNumInResultSet": len(found)} if summaries else {}
