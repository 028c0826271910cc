"""PayPal keeps the contract, over a socket and against its emulator."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ChargeAnswer, ChargeOrder, SetupStart, VaultedMethod
from storefront.testing.gateway import GatewayContract, GatewayRig
from storefront.testing.gateway_orders import Kind
from storefront_paypal.gateway import PayPalGateway
from storefront_paypal.webhooks import Certificates
from tests.emulators.paypal import CLIENT, CONFIRM, GOOD, HARD, SECRET, SOFT, WEBHOOK, PayPal
from tests.emulators.serving import served

_PAYERS: dict[Kind, str] = {"good": GOOD, "soft": SOFT, "hard": HARD, "confirm": CONFIRM}


class PayPalRig(GatewayRig):
    amounts = ((2340, "EUR"), (1200, "JPY"), (1_234_567, "USD"))

    def __init__(self, address: str, far: PayPal) -> None:
        self.far = far
        self.http = ServiceHttp(address)
        # The certificates lie at an address of their own; here the same server has them.
        certificates = Certificates(self.http, "https://api.paypal.com")
        self.gateway: PayPalGateway = PayPalGateway(
            self.http,
            certificates,
            client=CLIENT,
            secret=SECRET,
            webhook=WEBHOOK,
            now=lambda: datetime.now(UTC),
        )

    def method(self, kind: Kind) -> VaultedMethod:
        found = self.gateway.read_method(self.far.store(_PAYERS[kind]))
        assert found is not None
        return found

    def choose(self, start: SetupStart, kind: Kind) -> None:
        self.far.approve(start.gateway_reference, _PAYERS[kind])

    def confirm(self, answer: ChargeAnswer, is_confirmed: bool) -> None:
        self.far.answer(answer.gateway_reference, is_yes=is_confirmed)

    def lose_next_answer(self, token: str) -> None:
        self.far.faults[token] = "lost"

    def ignore_next_charge(self, token: str) -> None:
        self.far.faults[token] = "ignored"

    def set_down(self, is_down: bool) -> None:
        self.far.is_down = is_down

    def executed(self, reference: str) -> int:
        return self.far.taken(reference)

    def dispute(self, asked: ChargeOrder, answer: ChargeAnswer) -> None:
        self.far.open_dispute(answer.gateway_reference)

    def decide(self, asked: ChargeOrder, answer: ChargeAnswer, is_won: bool) -> None:
        [found] = self.far.disputes.values()
        outcome = "RESOLVED_SELLER_FAVOUR" if is_won else "RESOLVED_BUYER_FAVOUR"
        found |= {"status": "RESOLVED", "dispute_outcome": {"outcome_code": outcome}}

    def message(self, asked: ChargeOrder, answer: ChargeAnswer) -> tuple[dict[str, str], bytes]:
        resource: dict[str, Any] = self.far.captures[answer.gateway_reference]
        return self.far.message(
            {
                "id": "WH-2WR32451HC0233532-67976317FL4543714",
                "event_type": "PAYMENT.CAPTURE.COMPLETED",
                "create_time": "2027-03-02T09:00:00.000Z",
                "resource": resource,
            }
        )


@pytest.fixture
def rig() -> Iterator[PayPalRig]:
    far = PayPal()
    with served(far.app) as address:
        rig = PayPalRig(address, far)
        yield rig
        rig.http.close()


class TestPayPal(GatewayContract):
    """The report of PayPal lags up to three hours; the rig's does not, so that a look-up without
    PayPal's own id finds a charge in the same second. The lag: tests/plugins/test_paypal.py.
    """
