"""Authorize.net keeps the contract, over a socket and against its emulator."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import (
    AnswerStatus,
    CancelAnswer,
    ChargeAnswer,
    ChargeOrder,
    SetupStart,
    VaultedMethod,
)
from storefront.testing.gateway import GatewayContract, GatewayRig
from storefront.testing.gateway_orders import Kind
from storefront_authorize_net.gateway import AuthorizeNetGateway
from storefront_authorize_net.webhooks import sign
from tests.emulators.authorize_net import GOOD, HARD, HELD, KEY, LOGIN, SOFT, AuthorizeNet
from tests.emulators.serving import served

SIGNATURE_KEY = "0F" * 64
_CARDS: dict[Kind, str] = {"good": GOOD, "soft": SOFT, "hard": HARD, "confirm": HELD}
_S = AnswerStatus


class AuthorizeNetRig(GatewayRig):
    #: An account has one currency.
    currency = "USD"
    amounts = ((2340, "USD"), (5, "USD"), (1_234_567, "USD"))

    def __init__(self, address: str, far: AuthorizeNet) -> None:
        self.far, self.later = far, timedelta(0)
        self.http = ServiceHttp(address)
        far.now = self.now
        self.gateway: AuthorizeNetGateway = AuthorizeNetGateway(
            self.http,
            login=LOGIN,
            key=KEY,
            signature_key=SIGNATURE_KEY,
            now=self.now,
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later

    def method(self, kind: Kind) -> VaultedMethod:
        found = self.gateway.read_method(self.far.store(_CARDS[kind]))
        assert found is not None
        return found

    def choose(self, start: SetupStart, kind: Kind) -> None:
        assert start.redirect_url is not None
        known = self.gateway.vault.read_key(urlsplit(start.redirect_url).path.rpartition("/")[2])
        assert known is not None
        token = self.gateway.vault.page_token(known[0], known[1], "Back")
        self.far.type_card(token, _CARDS[kind])

    def confirm(self, answer: ChargeAnswer, is_confirmed: bool) -> None:
        """Play the person at the merchant's who looks at a charge held for review."""
        found = self.far.find(answer.gateway_reference)
        if found.status == "FDSPendingReview":
            found.status = "capturedPendingSettlement" if is_confirmed else "failedReview"

    def lose_next_answer(self, token: str) -> None:
        self.far.faults[token] = "lost"

    def ignore_next_charge(self, token: str) -> None:
        self.far.faults[token] = "ignored"

    def set_down(self, is_down: bool) -> None:
        self.far.is_down = is_down

    def executed(self, reference: str) -> int:
        return self.far.taken(reference)

    def dispute(self, asked: ChargeOrder, answer: ChargeAnswer) -> None:
        self.far.find(answer.gateway_reference).status = "chargeback"

    def decide(self, asked: ChargeOrder, answer: ChargeAnswer, is_won: bool) -> None:
        # There is no word for a dispute that was lost: time tells, so time passes.
        if is_won:
            self.far.find(answer.gateway_reference).status = "chargebackReversal"
        else:
            self.later += timedelta(days=121)

    def message(self, asked: ChargeOrder, answer: ChargeAnswer) -> tuple[dict[str, str], bytes]:
        payload = {"responseCode": 1, "entityName": "transaction", "id": answer.gateway_reference}
        raw = json.dumps(
            {
                "notificationId": "d0e8e7fe-c3e7-4add-a480-27bc5ce28a18",
                "eventType": "net.authorize.payment.authcapture.created",
                "eventDate": self.now().strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
                "webhookId": "63d6fea2-aa13-4b1d-a204-f5fbc15942b7",
                "payload": payload,
            }
        ).encode()
        return sign(SIGNATURE_KEY, raw), raw


@pytest.fixture
def rig() -> Iterator[AuthorizeNetRig]:
    # A part of a charge can be given back after the settlement only, so the day ends at once
    # here. Before it: tests/plugins/test_authorize_net.py.
    far = AuthorizeNet(settles_at_once=True)
    with served(far.app) as address:
        rig = AuthorizeNetRig(address, far)
        yield rig
        rig.http.close()


class TestAuthorizeNet(GatewayContract):
    """Four cases speak of a customer who confirms at the bank. Authorize.net has no such state:
    what waits there waits for a person at the merchant's, as *pending*, with no address for the
    customer. The same four cases hold for that state.
    """

    def test_a_charge_that_needs_the_customer_takes_nothing_yet(self, rig: GatewayRig) -> None:
        asked = rig.order(rig.method("confirm"))
        answer = rig.gateway.charge(asked)
        assert (answer.status, answer.action_url) == (_S.PENDING, None)
        assert rig.executed(asked.reference) == 0

    def test_a_confirmed_charge_succeeds_once(self, rig: GatewayRig) -> None:
        asked = rig.present(rig.method("confirm"))
        answer = rig.gateway.charge(asked)
        assert (answer.status, answer.action_url) == (_S.PENDING, None)
        rig.confirm(answer, True)
        rig.confirm(answer, True)
        found = rig.gateway.lookup(asked.reference)
        assert found is not None
        assert (found.status, found.amount) == (_S.SUCCEEDED, asked.amount)
        assert rig.executed(asked.reference) == 1

    def test_a_refused_confirmation_is_a_decline(self, rig: GatewayRig) -> None:
        asked = rig.present(rig.method("confirm"))
        rig.confirm(rig.gateway.charge(asked), False)
        found = rig.gateway.lookup(asked.reference)
        assert found is not None
        assert (found.status, found.reason) == (_S.DECLINED, "failedReview")
        assert rig.executed(asked.reference) == 0

    def test_a_cancelled_charge_can_never_succeed(self, rig: GatewayRig) -> None:
        asked = rig.present(rig.method("confirm"))
        answer = rig.gateway.charge(asked)
        assert rig.gateway.cancel(asked.reference) is CancelAnswer.CANCELLED
        rig.confirm(answer, True)
        assert rig.gateway.cancel(asked.reference) is CancelAnswer.CANCELLED
        assert rig.executed(asked.reference) == 0


def test_another_amount_is_refused_even_when_the_duplicate_window_is_over(
    rig: AuthorizeNetRig,
) -> None:
    asked = rig.order(rig.method("good"))
    rig.gateway.charge(asked)
    rig.later = timedelta(hours=9)
    dearer = replace(asked, amount=asked.amount + asked.amount)
    assert rig.gateway.charge(dearer).reason == "key_reused"
