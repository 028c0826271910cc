"""EasyPost keeps the contract, over a socket and against its emulator."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ParcelLine, ParcelOrder, ParcelState, Taking, WebhookError
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

    def test_what_customs_ask_goes_with_the_parcel(self, rig):
        tea = ParcelLine("TEA-1", 2, "green tea", "09021000", "CN", 890, "EUR", 100)
        abroad = replace(ORDER, country="CH", lines=(tea,), is_declared=True)

        assert rig.provider.take(abroad).status is Taking.TAKEN

        (made,) = rig.far.shipments.values()
        (item,) = made["customs_info"]["customs_items"]
        assert item == {
            "description": "green tea",
            "quantity": 2,
            "value": 17.8,
            "currency": "EUR",
            "weight": 7.055,
            "hs_tariff_number": "09021000",
            "origin_country": "CN",
            "code": "TEA-1",
        }
        assert "customs_certify" not in made["customs_info"]
        signing = EasyPost(
            rig.http, key=KEY, from_address=FROM, signer="Ada", exemption="NOEEI 30.37(a)"
        )
        signing.take(replace(abroad, reference="box_2"))
        info = list(rig.far.shipments.values())[-1]["customs_info"]
        assert (info["customs_certify"], info["customs_signer"]) == (True, "Ada")
        assert info["eel_pfc"] == "NOEEI 30.37(a)"

    def test_nothing_is_declared_inside_and_nothing_incomplete_is_sent(self, rig):
        rig.provider.take(ORDER)
        assert "customs_info" not in next(iter(rig.far.shipments.values()))
        bare = ParcelLine("TEA-1", 2, "green tea", "", "CN", None, "EUR", 100)

        answer = rig.provider.take(replace(ORDER, lines=(bare,), is_declared=True))

        assert (answer.status, answer.reason) == (Taking.REFUSED, "no_customs")
        assert answer.text == "TEA-1: tariff number, value"
        light = ParcelLine("TEA-1", 2, "green tea", "09021000", "CN", 890, "EUR")
        answer = rig.provider.take(replace(ORDER, lines=(light,), is_declared=True))
        assert (answer.status, answer.reason) == (Taking.REFUSED, "no_weight")
        assert len(rig.far.shipments) == 1

    def test_a_parcel_never_weighs_less_than_what_is_declared_in_it(self, rig):
        tea = ParcelLine("TEA-1", 2, "green tea", "09021000", "CN", 890, "EUR", 70)
        rig.provider.take(replace(ORDER, grams=140, lines=(tea,), is_declared=True))
        rig.provider.take(replace(ORDER, reference="box_2", grams=1))

        declared, light = rig.far.shipments.values()
        (item,) = declared["customs_info"]["customs_items"]
        # 4.938 ounces would be 4.9 by the usual rounding.
        assert (item["weight"], declared["parcel"]["weight"]) == (4.938, 5.0)
        assert light["parcel"]["weight"] == 0.1

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
