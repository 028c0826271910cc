"""EasyPost keeps the contract, over a socket and against its emulator."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ParcelOrder, ParcelState, Taking, WebhookError
from storefront.testing.shipping import ORDER, ShippingContract, ShippingRig
from storefront_easypost.messages import _moment, signature
from storefront_easypost.provider import EasyPost
from tests.emulators.easypost import FROM, KEY, SECRET, EasyPostAccount
from tests.emulators.serving import served

_STATUS = {
    None: "pre_transit",
    ParcelState.SHIPPED: "in_transit",
    ParcelState.DELIVERED: "delivered",
    ParcelState.RETURNED: "return_to_sender",
}


class EasyPostRig(ShippingRig):
    def __init__(self, address: str, far: EasyPostAccount) -> None:
        self.far, self.http = far, ServiceHttp(address)
        self.provider: EasyPost = EasyPost(self.http, key=KEY, secret=SECRET, from_address=FROM)

    def held(self, reference: str) -> int:
        return self.far.count_of(reference)

    def label(self, reference: str, number: str) -> None:
        self.far.buy(reference, number)

    def move(self, number: str, state: ParcelState | None) -> None:
        self.far.move(number, _STATUS[state])

    def message(self, number: str) -> tuple[dict[str, str], dict[str, str], bytes]:
        tracker = next(t for t in self.far.trackers.values() if t["tracking_code"] == number)
        headers, raw = self.far.message(tracker)
        return headers, {}, raw

    def forged(self, number: str) -> tuple[dict[str, str], dict[str, str], bytes]:
        _headers, _params, raw = self.message(number)
        return {"X-Hmac-Signature": signature("guessed", raw)}, {}, raw

    def lose_next_answer(self) -> None:
        self.far.fault = "lost"

    def ignore_next_call(self) -> None:
        self.far.fault = "ignored"

    def set_down(self, is_down: bool) -> None:
        self.far.is_down = is_down

    def spoil(self, order: ParcelOrder) -> ParcelOrder:
        return replace(order, street="")


class TestEasyPost(ShippingContract):
    @pytest.fixture
    def rig(self) -> Iterator[EasyPostRig]:
        far = EasyPostAccount()
        with served(far.app) as address:
            rig = EasyPostRig(address, far)
            yield rig
            rig.http.close()

    def test_a_parcel_without_a_weight_is_refused_before_it_is_asked_for(self, rig):
        answer = rig.provider.take(replace(ORDER, grams=0))

        assert (answer.status, answer.reason) == (Taking.REFUSED, "no_weight")
        assert rig.far.calls == []

    @pytest.mark.parametrize(
        ("status", "reason"), [(401, "unauthorized"), (429, "rate_limited"), (500, "http_500")]
    )
    def test_what_is_no_answer_is_unknown(self, rig, status, reason):
        rig.far.status = status

        answer = rig.provider.take(ORDER)

        assert (answer.status, answer.reason) == (Taking.UNKNOWN, reason)
        assert (answer.retry_after == 700) is (status == 429)

    def test_without_an_address_to_leave_from_it_only_follows(self, rig):
        bare = EasyPost(rig.http, key=KEY)

        assert not bare.capabilities.takes_boxes
        assert bare.capabilities.ask_every_seconds < rig.provider.capabilities.ask_every_seconds

    @pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"id": "e", "result": 7}', b"\xff"])
    def test_a_signed_message_that_is_none_is_unreadable(self, rig, raw):
        with pytest.raises(WebhookError, match="unreadable"):
            rig.provider.parse_message({"x-hmac-signature": signature(SECRET, raw)}, {}, raw)

    def test_a_day_outside_the_calendar_is_no_day(self, rig):
        assert _moment("0001-01-01T00:00:00+14:00") is None
        assert _moment("2027-03-02T09:00:00Z").isoformat() == "2027-03-02T09:00:00+00:00"

    def test_an_event_about_something_else_moves_nothing(self, rig):
        raw = json.dumps({"id": "evt_1", "description": "batch.created", "result": {}}).encode()
        headers = {"X-Hmac-Signature": signature(SECRET, raw)}

        assert rig.provider.parse_message(headers, {}, raw).news.state is None
