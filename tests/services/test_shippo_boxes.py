"""Boxes at Shippo: the number of a label is learned by asking, the rest by messages."""

from datetime import UTC, datetime

import sqlalchemy as sa

from storefront.models import OutboxMessage, ProviderParcel, Shipment
from storefront.services.parcel_messages import receive
from storefront.services.shipping_providers import run_providers
from storefront_shippo.provider import Shippo
from tests.emulators.shippo import TOKEN, WEBHOOK_TOKEN, ShippoAccount
from tests.support.providers import NearHttp, batch_for, box_states


def test_a_box_leaves_with_its_number_and_arrives(rt, clock):
    far = ShippoAccount()
    provider = Shippo(
        NearHttp(far.app),
        token=TOKEN,
        now=lambda: datetime.now(UTC),
        webhook_token=WEBHOOK_TOKEN,
    )
    rt.hooks.add_shipping_provider("shippo", provider)
    try:
        boxes = batch_for(rt, "shippo", 2)
        far.fault = "lost"
        run_providers(rt)
        clock.advance(minutes=2)
        run_providers(rt)
        assert [far.count_of(box) for box in boxes] == [1, 1]

        far.buy(boxes[0], "1Z")
        far.move("1Z", "TRANSIT")
        clock.advance(hours=5)
        assert run_providers(rt).asked == 2
        assert box_states(rt) == ["shipped", "exported"]

        far.tracks["usps", "1Z"]["metadata"] = ""
        far.move("1Z", "DELIVERED")
        _headers, raw = far.message("1Z")
        for token, is_new in (("guess", False), (WEBHOOK_TOKEN, True), (WEBHOOK_TOKEN, False)):
            assert receive(rt, "shippo", {}, {"token": token}, raw).is_new is is_new
        assert box_states(rt) == ["delivered", "exported"]
        row = rt.session.execute(sa.select(Shipment.carrier, Shipment.tracking_number)).one()
        assert tuple(row) == ("USPS", "1Z")
        mails = sa.select(sa.func.count()).where(OutboxMessage.topic == "box_shipped")
        assert rt.session.scalar(mails.select_from(OutboxMessage)) == 1
        rt.session.rollback()

        clock.advance(hours=5)
        run_providers(rt)
        states = rt.session.scalars(sa.select(ProviderParcel.state).order_by(ProviderParcel.id))
        assert list(states) == ["over", "taken"]
        rt.session.rollback()
    finally:
        rt.hooks._providers.clear()
