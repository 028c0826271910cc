"""Shipping providers as staff see them, and the door for their messages."""

import pytest
import sqlalchemy as sa

from storefront.blueprints import incoming
from storefront.models import CycleGroup, ParcelEvent
from storefront.services.shipping_providers import run_providers
from storefront_easypost.provider import EasyPost
from tests.emulators.easypost import FROM, KEY, SECRET, EasyPostAccount
from tests.support.desk import Desk
from tests.support.providers import PACKING, NearHttp, batch_for, box_states

URL = "/hooks/parcels/easypost"


@pytest.fixture
def far(rt):
    """EasyPost, offered to this shop."""
    account = EasyPostAccount()
    provider = EasyPost(NearHttp(account.app), key=KEY, secret=SECRET, from_address=FROM)
    rt.hooks.add_shipping_provider("easypost", provider)
    incoming.flood.clear()
    yield account
    rt.hooks._providers.clear()


def send(app, headers, raw, **over):
    sent = {"data": raw, "headers": headers, "content_type": "application/json", **over}
    return app.test_client().post(URL, **sent)


def test_a_genuine_message_is_stored_once_and_done(app, rt, far):
    (box,) = batch_for(rt, "easypost", 1)
    run_providers(rt)
    tracker = far.buy(box, "1Z")
    tracker["status"] = "delivered"
    headers, raw = far.message(tracker)

    first, again = send(app, headers, raw), send(app, headers, raw)

    assert (first.status_code, first.text, again.text) == (200, "stored\n", "repeated\n")
    assert box_states(rt) == ["delivered"]


def test_what_is_not_genuine_is_not_stored(app, rt, far):
    headers, raw = far.message({"object": "Tracker", "tracking_code": "1Z"})
    big = b" " * incoming.MOST_PARCEL_BYTES

    answers = [
        send(app, {}, raw),
        send(app, headers, raw + b" "),
        send(app, headers, raw, content_type="text/plain"),
        send(app, {**headers, "Content-Encoding": "gzip"}, raw),
        send(app, headers, big + b" "),
        app.test_client().post("/hooks/parcels/nobody", data=raw, headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 415, 415, 413, 404]
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(ParcelEvent)) == 0
    # As large as is taken, and not JSON that says anything.
    assert send(app, headers, big).status_code == 400


def test_staff_choose_a_provider_see_what_it_refused_and_offer_it_again(app, rt, far):
    desk = Desk(app, rt, "fulfilment")
    batch_for(rt, "", 1)
    group = rt.session.scalar(sa.select(CycleGroup.public_id))
    rt.session.rollback()
    page = desk.get("/admin/exports").text
    assert "Shipping provider" in page
    chosen = {"format": "generic_csv", "provider": "easypost"}
    assert (
        desk.post(f"/admin/exports/groups/{group}", chosen, on="/admin/exports").status_code == 303
    )
    assert '<option value="easypost" selected>EasyPost' in desk.get("/admin/exports").text
    wrong = {"format": "generic_csv", "provider": "nobody"}
    assert (
        desk.post(f"/admin/exports/groups/{group}", wrong, on="/admin/exports").status_code == 422
    )

    tracking = desk.get("/admin/tracking").text
    assert "takes boxes, for labels to be made there" in tracking
    assert "/hooks/parcels/easypost" in tracking


def test_the_batch_says_why_boxes_are_not_there(app, rt, far):
    desk = Desk(app, rt, "fulfilment")
    batch_for(rt, "easypost", 2, packing={**PACKING, "weight_grams": 0})
    run_providers(rt)
    batch, cycle = rt.session.execute(
        sa.text(
            "SELECT b.public_id, c.public_id FROM fulfilment_batch b"
            " JOIN box_cycle c ON c.id = b.cycle_id"
        )
    ).one()
    rt.session.rollback()

    board = desk.get(f"/admin/cycles/{cycle}").text
    assert "2 refused" in board
    page = f"/admin/batches/{batch}/provider"
    assert page in board
    said = desk.get(page).text
    assert "Batch 1 at EasyPost" in said
    assert "it weighs nothing" in said

    assert desk.post(page, {}, on=page).status_code == 303

    said = desk.get(page).text
    assert "it weighs nothing" in said
    assert "Refused boxes are not tried again" not in said
    assert desk.get("/admin/batches/bat_nobody/provider").status_code == 404
