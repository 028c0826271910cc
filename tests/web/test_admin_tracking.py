"""Tracking numbers as a merchant takes them in, and what a customer sees of them."""

import io
import re

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.jobs.work import run_all
from storefront.mails import compose
from storefront.models import Box, BoxCycle, Customer, FulfilmentBatch, OutboxMessage, Shipment
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.outbox import deliver_due
from storefront.testing import factories as make
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box
from tests.support.desk import Desk
from tests.support.visitor import Visitor, customer_with_password

SHIP_TO = {"name": "Ada", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "", "contents": [], "weight_grams": 0}
PAGE = "/admin/tracking"


@pytest.fixture(params=["sqlite"])
def database(databases, tmp_path):
    """One kind is enough for pages; the services run on both."""
    return databases.sqlite(tmp_path)


@pytest.fixture
def desk(app, rt):
    return Desk(app, rt, "fulfilment")


@pytest.fixture
def box(rt):
    plan = make_plan(rt, group=make_group(rt))
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.commit()
    cycle = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    made = make_box(rt, plan, cycle, state=BoxState.LOCKED, ship_to=SHIP_TO, packing=PACKING)
    export_boxes(rt, cycle.public_id)
    return made.public_id


def upload(desk, text, **fields):
    data = {"file": (io.BytesIO(text.encode()), "labels.csv"), **fields}
    return desk.post(PAGE, data, on=PAGE, content_type="multipart/form-data")


def test_a_file_is_read_shown_and_taken_in(rt, desk, box):
    page = upload(desk, f"order number,tracking number\n{box},JJD1\n,\nbox_no,2\n", carrier="DHL")

    assert "1 box leaves." in page.text
    assert "1 row is left out." in page.text
    assert "no such box or parcel" in page.text
    assert rt.session.scalar(sa.select(Box.state)) == "exported"
    rt.session.rollback()
    digest = re.search(r'name="digest" value="(\w+)"', page.text)[1]

    done = desk.post(f"{PAGE}/run", {"digest": digest, "carrier": "DHL"}, on=PAGE)

    assert "Done, with rows to look at" in done.text
    row = rt.session.execute(sa.select(Shipment.carrier, Shipment.tracking_number)).one()
    assert tuple(row) == ("DHL", "JJD1")


def test_the_mail_links_to_the_parcel(rt, desk, box):
    page = upload(desk, f"box,tracking,carrier\n{box},JJD 1,DHL\n")
    digest = re.search(r'name="digest" value="(\w+)"', page.text)[1]
    answer = desk.post(f"{PAGE}/run", {"digest": digest}, on=PAGE)
    assert answer.status_code == 303

    message = rt.session.scalars(
        sa.select(OutboxMessage).where(OutboxMessage.topic == "box_shipped")
    ).one()
    rt.session.expunge(message)
    rt.session.rollback()
    mail = compose(rt, message)

    assert "piececode=JJD%201" in mail.text
    assert deliver_due(rt, lambda delivery: compose(rt, delivery)).failed == 0


def test_another_file_than_the_one_tried_is_not_taken_in(desk, box):
    upload(desk, f"box,tracking\n{box},JJD1\n")

    answer = desk.post(f"{PAGE}/run", {"digest": "0" * 64}, on=PAGE)

    assert answer.status_code == 422
    assert "Choose the file again" in answer.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "The first row must name the columns"),
        ("", "The file holds no rows."),
        ("box\x00", "Use a CSV file."),
        ('box\n"open', "The table breaks off in row 2"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(desk, text, said):
    answer = upload(desk, text)

    assert answer.status_code == 422
    assert said in answer.text


def test_a_page_without_a_file_says_so(desk):
    answer = desk.post(PAGE, {}, on=PAGE)

    assert answer.status_code == 422
    assert "Choose a CSV file" in answer.text


def test_a_carriers_page_is_kept_and_a_bad_one_told(rt, desk):
    typed = {"rows": "2", "carrier-0": "Bike", "address-0": "https://bike.example/{number}"}
    assert desk.post(f"{PAGE}/links", typed, on=PAGE).status_code == 303
    assert "https://bike.example/{number}" in desk.get(PAGE).text

    bad = desk.post(f"{PAGE}/links", {**typed, "address-0": "http://x"}, on=PAGE)

    assert bad.status_code == 422
    assert "The page of Bike must begin with https://" in bad.text
    assert 'value="http://x"' in bad.text


def test_support_may_not_take_numbers_in(app, rt):
    assert Desk(app, rt, "support").get(PAGE).status_code == 403


def test_a_customer_follows_the_parcel_from_the_account(app, rt, clock):
    key = customer_with_password(rt, "ada@example.org")
    customer = rt.session.get(Customer, key)
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make_plan(rt)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt)])
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    clock.advance(days=20)
    run_all(rt)
    batch = rt.session.scalar(sa.select(FulfilmentBatch.public_id))
    box = rt.session.scalar(sa.select(Box.public_id).where(Box.state == "exported"))
    rt.session.rollback()
    ship_batch(rt, batch, carrier="DHL", tracking={box: "JJD0001"})

    page = Visitor.of(app).sign_in("ada@example.org").get(f"/account/subscriptions/{sub.public_id}")
    home = Visitor.of(app).sign_in("ada@example.org").get("/account/")

    for text in (page.text, home.text):
        if "Last boxes" in text:
            assert "Follow it: DHL JJD0001" in text
            assert "piececode=JJD0001" in text
    assert "Last boxes" in page.text + home.text


def test_a_wrong_number_is_put_right_on_the_page_of_the_box(rt, desk, box):
    page = f"/admin/boxes/{box}/number"
    assert desk.get(page).status_code == 303
    digest = re.search(
        r'name="digest" value="(\w+)"', upload(desk, f"box,tracking\n{box},JJD1\n").text
    )[1]
    desk.post(f"{PAGE}/run", {"digest": digest, "carrier": "DHL"}, on=PAGE)
    assert page in desk.get(f"/admin/boxes/{box}").text

    refused = desk.post(page, {"carrier": "DHL", "number": "x" * 81}, on=page)
    assert refused.status_code == 422
    assert "This is too long" in refused.text

    assert desk.post(page, {"carrier": "DHL", "number": "JJD2"}, on=page).status_code == 303
    text = desk.get(f"/admin/boxes/{box}").text
    assert "DHL JJD2" in text
    assert "JJD1" not in text
