"""The demo gateway for tests, and the hand on the other side of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from storefront.hooks import (
    ChargeAnswer,
    ChargeOrder,
    SetupStart,
    VaultedMethod,
)
from storefront.testing.gateway import GatewayRig
from storefront.testing.gateway_orders import Kind
from storefront_demo_gateway.bank import Bank, system_now
from storefront_demo_gateway.cards import DOWN, LOST
from storefront_demo_gateway.gateway import DemoGateway, sign_webhook
from storefront_demo_gateway.records import AnyBank


def demo_gateway(
    bank: AnyBank | None = None, *, now: Callable[[], datetime] = system_now, account: str = "demo"
) -> DemoGateway:
    """Return a demo gateway whose bank lives in memory, or over ``bank``."""
    return DemoGateway(bank or Bank(now=now), now=now, account=account)


class DemoRig(GatewayRig):
    """The demo gateway, in this process or over a socket."""

    def __init__(self, gateway: DemoGateway, bank: Bank) -> None:
        """``bank`` is the one behind ``gateway``, reached directly."""
        self.gateway, self._bank = gateway, bank

    def method(self, kind: Kind) -> VaultedMethod:
        found = self.gateway.read_method(self._bank.token_for(_LAST4[kind]))
        assert found is not None
        return found

    def choose(self, start: SetupStart, kind: Kind) -> None:
        assert start.redirect_url is not None
        self._bank.choose(start.redirect_url.rpartition("/")[2], _LAST4[kind])

    def confirm(self, answer: ChargeAnswer, is_confirmed: bool) -> None:
        self._bank.confirm_charge(answer.gateway_reference, is_confirmed)

    def lose_next_answer(self, token: str) -> None:
        self._bank.script(token, [LOST])

    def ignore_next_charge(self, token: str) -> None:
        self._bank.script(token, [DOWN])

    def set_down(self, is_down: bool) -> None:
        self._bank.set_fault("down", is_down)

    def executed(self, reference: str) -> int:
        return self._bank.executed_count(reference)

    def dispute(self, asked: ChargeOrder, answer: ChargeAnswer) -> None:
        self._bank.dispute(asked.reference)

    def decide(self, asked: ChargeOrder, answer: ChargeAnswer, is_won: bool) -> None:
        [found] = self._bank.disputes_of(asked.reference)
        self._bank.decide_dispute(found.reference, is_won)

    def message(self, asked: ChargeOrder, answer: ChargeAnswer) -> tuple[dict[str, str], bytes]:
        now = datetime.now(UTC)
        raw = json.dumps(
            {
                "id": f"demo_ev_{asked.reference}",
                "type": "charge.changed",
                "about": "charge",
                "reference": asked.reference,
                "gateway_reference": answer.gateway_reference,
                "occurred_at": now.isoformat(),
                "account": self.gateway.account,
            }
        ).encode()
        return sign_webhook("demo", now, raw), raw


_LAST4: dict[Kind, str] = {"good": "4242", "soft": "9995", "hard": "0069", "confirm": "3220"}
