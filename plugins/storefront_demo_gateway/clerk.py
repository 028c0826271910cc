"""Somebody at the demo bank: does what a bank does days later, and has the shop told by message.

In a process of its own, as a bank is: the shop hears of it at its webhook address and nowhere else.
Source: docs/decisions/0136-messages-of-the-demo-bank.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.cards import OK, REFUSED

if TYPE_CHECKING:
    from storefront_demo_gateway.gateway import DemoGateway

#: Sends a body with its headers; returns status and text, or raises ``OSError``.
Send = Callable[[bytes, Mapping[str, str]], tuple[int, str]]
_SECONDS = 30


#: What can be done, by name, with what it is done to.
ACTIONS = {
    "tell": "say how a charge or refund stands, such as one whose answer got lost",
    "pay": "let a pending charge go through",
    "refuse": "refuse a pending charge",
    "dispute": "have the card's owner dispute a charge",
    "win": "decide a dispute for the shop",
    "lose": "decide a dispute against the shop",
    "return": "send the money of a refund back",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A message and what the shop answered; status 0 if it was not there."""

    event: str
    status: int
    answer: str


class Clerk:
    """``gateway`` is the shop's, over books in this process; ``now`` is the clock of the shop."""

    actions = ACTIONS

    def __init__(self, gateway: DemoGateway, send: Send, now: Callable[[], datetime]) -> None:
        self._gateway, self._send, self._now = gateway, send, now
        self._bank = cast(Bank, gateway.bank)

    def do(self, action: str, reference: str) -> Told:
        """Do one of ``ACTIONS`` to a charge, or to a refund, and tell the shop.

        Raises ``LookupError`` for a reference the bank does not know, or that it cannot be done
        to. A repeat changes nothing and sends the same message once more.
        """
        return getattr(self, f"_{action}")(reference)

    def _tell(self, reference: str) -> Told:
        """Say how a charge or a refund stands."""
        charge = self._bank.charge_of(reference)
        if charge is not None:
            return self._say("charge", charge.status, reference, charge.gateway_reference)
        refund = self._bank.refund_of(reference)
        if refund is None:
            raise LookupError("the bank has no such charge and no such refund")
        return self._say("refund", refund.status, reference, refund.gateway_reference)

    def _pay(self, reference: str) -> Told:
        self._bank.settle(reference, OK)
        return self._tell(reference)

    def _refuse(self, reference: str) -> Told:
        self._bank.settle(reference, REFUSED)
        return self._tell(reference)

    def _return(self, reference: str) -> Told:
        refund = self._bank.refund_of(reference)
        if refund is None:
            raise LookupError("the bank has no such refund")
        if refund.status == "succeeded":
            self._bank.send_back(reference)
        return self._tell(reference)

    def _dispute(self, reference: str) -> Told:
        charge = self._bank.charge_of(reference)
        if charge is None or charge.status != "succeeded":
            raise LookupError("the bank has taken no money for that")
        self._bank.dispute(reference)
        return self._say_dispute(reference)

    def _win(self, reference: str) -> Told:
        return self._decide(reference, is_won=True)

    def _lose(self, reference: str) -> Told:
        return self._decide(reference, is_won=False)

    def _decide(self, reference: str, *, is_won: bool) -> Told:
        for one in self._bank.disputes_of(reference):
            self._bank.decide_dispute(one.reference, is_won)
        return self._say_dispute(reference)

    def _say_dispute(self, reference: str) -> Told:
        found = self._bank.disputes_of(reference)
        if not found:
            raise LookupError("nobody disputes that charge")
        return self._say("dispute", found[-1].status, reference, found[-1].reference)

    def _say(self, about: str, status: str, reference: str, gateway_reference: str) -> Told:
        """Send a message; the same fact always under the same id, so a repeat is known as one."""
        event = f"evt_{about}_{gateway_reference}_{status}"
        known: dict[str, Any] = {
            "id": event,
            "type": f"{about}.{status}",
            "about": about,
            "account": self._gateway.account,
            "occurred_at": self._now().isoformat(),
            "reference": reference,
            "gateway_reference": gateway_reference,
        }
        raw = json.dumps(known).encode()
        headers = {**self._gateway.signed(raw), "Content-Type": "application/json"}
        try:
            code, answer = self._send(raw, headers)
        except OSError as error:
            return Told(event, 0, str(error))
        return Told(event, code, answer.strip())


def over_http(address: str) -> Send:
    """Return what sends to the webhook address ``address``, byte for byte as it was signed."""
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection

    def send(raw: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
        try:
            connection.request("POST", parts.path, raw, dict(headers))
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        except HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()

    return send
