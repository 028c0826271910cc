"""Razorpay keeps the contract, over a socket and against its emulator.

Debits are made a day after they were asked for; here as they are asked for. With the day between:
``tests/plugins/test_razorpay.py``.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ChargeAnswer, ChargeOrder, SetupStart, VaultedMethod
from storefront.testing.gateway import GatewayContract, GatewayRig
from storefront.testing.gateway_orders import Kind
from storefront_razorpay.gateway import RazorpayGateway
from tests.emulators.razorpay import (
    ACCOUNT,
    GOOD,
    HARD,
    KEY_ID,
    SECRET,
    SMALL,
    SOFT,
    WEBHOOK,
    Razorpay,
)
from tests.emulators.serving import served

_MANDATES: dict[Kind, str] = {"good": GOOD, "soft": SOFT, "hard": HARD, "confirm": SMALL}


class RazorpayRig(GatewayRig):
    #: Mandates are in rupees. The last sum is the most that goes without its customer.
    currency = "INR"
    amounts = ((2340, "INR"), (100, "INR"), (1_500_000, "INR"))

    def __init__(self, address: str, far: Razorpay) -> None:
        self.far, self.http = far, ServiceHttp(address)
        self.gateway: RazorpayGateway = RazorpayGateway(
            self.http,
            account=ACCOUNT,
            key_id=KEY_ID,
            secret=SECRET,
            webhook_secret=WEBHOOK,
            now=lambda: datetime.now(UTC),
        )

    def method(self, kind: Kind) -> VaultedMethod:
        # Nobody can agree to a mandate that is dead: it is taken back afterwards.
        token = self.far.store(SOFT if kind == "hard" else _MANDATES[kind])
        if kind == "hard":
            self.far.tokens[token.split("/")[1]]["what"] = HARD
        found = self.gateway.read_method(token)
        assert found is not None
        return found

    def order(self, method: VaultedMethod, minor: int = 2340, currency: str = "") -> ChargeOrder:
        told = datetime.now(UTC) - timedelta(hours=25)
        return replace(super().order(method, minor, currency), notified_at=told)

    def choose(self, start: SetupStart, kind: Kind) -> None:
        self.far.pay(start.gateway_reference, _MANDATES[kind])

    def confirm(self, answer: ChargeAnswer, is_confirmed: bool) -> None:
        name = answer.gateway_reference
        if self.far.orders[name]["status"] == "paid":
            return
        if is_confirmed:
            self.far.pay(name)
        else:
            self.far.fail(name)

    def lose_next_answer(self, token: str) -> None:
        self.far.faults[token.split("/")[1]] = "lost"

    def ignore_next_charge(self, token: str) -> None:
        self.far.faults[token.split("/")[1]] = "ignored"

    def set_down(self, is_down: bool) -> None:
        self.far.is_down = is_down

    def executed(self, reference: str) -> int:
        return self.far.taken(reference)

    def dispute(self, asked: ChargeOrder, answer: ChargeAnswer) -> None:
        self.far.dispute(answer.gateway_reference)

    def decide(self, asked: ChargeOrder, answer: ChargeAnswer, is_won: bool) -> None:
        self.far.disputes[answer.gateway_reference]["status"] = "won" if is_won else "lost"

    def message(self, asked: ChargeOrder, answer: ChargeAnswer) -> tuple[dict[str, str], bytes]:
        payment = self.far.payments[answer.gateway_reference]
        told = {key: value for key, value in payment.items() if key != "debit_at"}
        return self.far.message("payment.captured", "payment", told)


@pytest.fixture
def rig() -> Iterator[RazorpayRig]:
    far = Razorpay(debits_at_once=True)
    with served(far.app) as address:
        rig = RazorpayRig(address, far)
        yield rig
        rig.http.close()


class TestRazorpay(GatewayContract):
    """Every case as it stands."""
