"""Shippo keeps the contract, over a socket and against its emulator."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from storefront.adapters.http import ServiceHttp
from storefront.hooks import ParcelLine, ParcelOrder, ParcelState, Taking, WebhookError
from storefront.testing.shipping import ORDER, ShippingContract, ShippingRig
from storefront_shippo.api import PAGE
from storefront_shippo.messages import moment_of, signature
from storefront_shippo.provider import Shippo
from tests.emulators.serving import served
from tests.emulators.shippo import SECRET, TOKEN, WEBHOOK_TOKEN, ShippoAccount

_STATUS = {
    None: "PRE_TRANSIT",
    ParcelState.SHIPPED: "TRANSIT",
    ParcelState.DELIVERED: "DELIVERED",
    ParcelState.RETURNED: "RETURNED",
}


class ShippoRig(ShippingRig):
    def __init__(self, address: str, far: ShippoAccount) -> None:
        self.far, self.http = far, ServiceHttp(address)
        self.provider: Shippo = self.made(webhook_token=WEBHOOK_TOKEN, webhook_secret=SECRET)

    def made(self, **over: str) -> Shippo:
        return Shippo(self.http, token=TOKEN, now=lambda: datetime.now(UTC), **over)

    def held(self, reference: str) -> int:
        return self.far.count_of(reference)

    def label(self, reference: str, number: str) -> None:
        self.far.buy(reference, number)

    def move(self, number: str, state: ParcelState | None) -> None:
        self.far.move(number, _STATUS[state])

    def message(self, number: str) -> tuple[dict[str, str], dict[str, str], bytes]:
        headers, raw = self.far.message(number)
        return headers, {"token": WEBHOOK_TOKEN}, raw

    def forged(self, number: str) -> tuple[dict[str, str], dict[str, str], bytes]:
        headers, raw = self.far.message(number, "guessed")
        return headers, {"token": WEBHOOK_TOKEN}, raw

    def lose_next_answer(self) -> None:
        self.far.fault = "lost"

    def ignore_next_call(self) -> None:
        self.far.fault = "ignored"

    def set_down(self, is_down: bool) -> None:
        self.far.is_down = is_down

    def spoil(self, order: ParcelOrder) -> ParcelOrder:
        return replace(order, street="")


class TestShippo(ShippingContract):
    @pytest.fixture
    def rig(self) -> Iterator[ShippoRig]:
        far = ShippoAccount()
        with served(far.app) as address:
            rig = ShippoRig(address, far)
            yield rig
            rig.http.close()

    def test_what_customs_ask_stands_in_the_lines_and_the_notes(self, rig):
        tea = ParcelLine("TEA-1", 2, "green tea", "09021000", "CN", 890, "EUR", 100)
        abroad = replace(ORDER, country="CH", lines=(tea,), is_declared=True)

        assert rig.provider.take(abroad).status is Taking.TAKEN

        (order,) = rig.far.orders
        assert order["line_items"] == [
            {
                "title": "green tea",
                "sku": "TEA-1",
                "quantity": 2,
                "manufacture_country": "CN",
                "total_price": "17.80",
                "currency": "EUR",
            }
        ]
        assert order["notes"] == "2 x green tea (TEA-1), HS 09021000, CN, 17.80 EUR"
        rig.provider.take(replace(ORDER, reference="box_2"))
        assert "notes" not in rig.far.orders[1]
        bare = replace(abroad, lines=(replace(tea, origin=""),))
        answer = rig.provider.take(bare)
        assert (answer.reason, answer.text) == ("no_customs", "TEA-1: country of origin")
        assert len(rig.far.orders) == 2

    def test_an_order_is_found_on_a_later_page(self, rig):
        rig.provider.take(ORDER)
        rig.far.orders += [{"order_number": f"#{n}", "object_id": str(n)} for n in range(PAGE + 1)]

        found = rig.provider.find(ORDER)

        assert found is not None
        assert found.status is Taking.TAKEN

    def test_more_orders_than_are_looked_through_are_no_evidence(self, rig, monkeypatch):
        monkeypatch.setattr("storefront_shippo.api.PAGES", 1)
        rig.far.orders += [{"order_number": f"#{n}", "object_id": str(n)} for n in range(PAGE + 1)]

        found = rig.provider.find(ORDER)

        assert found is not None
        assert (found.status, found.reason) == (Taking.UNKNOWN, "too_many_orders")

    def test_a_parcel_of_a_carrier_it_does_not_know_is_refused(self, rig):
        for carrier, reason in (("Pigeon", "refused"), (" ", "no_carrier")):
            answer = rig.provider.follow(replace(ORDER, number="1", carrier=carrier))
            assert (answer.status, answer.reason) == (Taking.REFUSED, reason)

    def test_the_box_is_named_by_what_we_wrote_on_its_track(self, rig):
        rig.provider.follow(replace(ORDER, number="1Z", carrier="DHL Express"))

        assert list(rig.far.tracks) == [("dhl_express", "1Z")]
        assert rig.provider.parse_message(*rig.message("1Z")).news.reference == ORDER.reference

    def test_a_label_names_its_box_by_the_order(self, rig):
        rig.provider.take(ORDER)
        rig.far.buy(ORDER.reference, "1Z")

        assert rig.provider.parse_message(*rig.message("1Z")).news.reference == ORDER.reference

    def test_each_secret_that_is_set_is_asked_for(self, rig):
        rig.far._track("ups", "1Z", "")
        headers, params, raw = rig.message("1Z")
        by_token, by_signature = (
            rig.made(webhook_token=WEBHOOK_TOKEN),
            rig.made(webhook_secret=SECRET),
        )
        old = signature(SECRET, raw, datetime.now(UTC) - timedelta(days=4))

        assert by_token.parse_message({}, params, raw).id
        assert by_signature.parse_message(headers, {}, raw).id
        for bad in (
            lambda: by_token.parse_message(headers, {}, raw),
            lambda: by_signature.parse_message({}, params, raw),
            lambda: by_signature.parse_message({"Shippo-Auth-Signature": old}, {}, raw),
            lambda: by_signature.parse_message({"Shippo-Auth-Signature": "t=²,v1="}, {}, raw),
            lambda: rig.provider.parse_message(headers, {"token": "guess"}, raw),
            lambda: rig.made().parse_message(headers, params, raw),
        ):
            with pytest.raises(WebhookError):
                bad()

    def test_a_day_outside_the_calendar_is_no_day(self):
        assert moment_of("0001-01-01T00:00:00+14:00") is None
        assert moment_of("2027-03-02T09:00:00").isoformat() == "2027-03-02T09:00:00+00:00"

    @pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"event": "track_updated", "data": 7}'])
    def test_a_genuine_message_that_is_none_is_unreadable(self, rig, raw):
        provider = rig.made(webhook_token=WEBHOOK_TOKEN)

        with pytest.raises(WebhookError, match="unreadable"):
            provider.parse_message({}, {"token": WEBHOOK_TOKEN}, raw)

    @pytest.mark.parametrize(
        ("status", "reason"), [(401, "unauthorized"), (429, "rate_limited"), (500, "http_500")]
    )
    def test_what_is_no_answer_is_unknown(self, rig, status, reason):
        rig.far.status = status

        answer = rig.provider.take(ORDER)

        assert (answer.status, answer.reason) == (Taking.UNKNOWN, reason)
