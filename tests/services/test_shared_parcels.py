"""Boxes of one customer to one address: one parcel in files, on paper and in tracking."""

import csv
import io

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxCycle, OutboxMessage, Shipment, ShopSettings
from storefront.operations.papers import PaperBox, boxes_by_key
from storefront.services.fulfilment import batch_as, export_boxes, recheck_batch, ship_batch
from storefront.services.tracking import take_called
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box, make_subscribed
from tests.support.orders import count

HOME = {"name": "Ada", "street": "Weg 1", "postcode": "07743", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "ada@example.org", "weight_grams": 500}


@pytest.fixture
def cycle(rt):
    """A locked cycle with two boxes of Ada, one of hers elsewhere, and one of somebody else."""
    plan = make_plan(rt, group=make_group(rt), name="Pot")
    found = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    rt.session.expunge(found)
    rt.session.execute(sa.update(ShopSettings).values(shares_parcels=True))
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == found.id).values(state="locked"))
    rt.session.commit()
    first = make_subscribed(rt, plan)
    second = make_subscribed(rt, plan, customer_id=first.customer_id, address_id=first.address_id)
    third = make_subscribed(rt, plan, customer_id=first.customer_id)
    away = {**HOME, "street": "Weg 2"}
    for sub, to, contents in (
        (first, HOME, [["ASSAM", 1]]),
        (make_subscribed(rt, plan), HOME, [["ASSAM", 1]]),
        (second, HOME, [["ASSAM", 2], ["CUP", 1]]),
        (third, away, [["CUP", 1]]),
    ):
        make_box(
            rt,
            plan,
            found,
            subscription=sub,
            state=BoxState.LOCKED,
            ship_to=to,
            packing={**PACKING, "contents": contents},
        )
    return found


def boxes(rt):
    rows = rt.session.execute(sa.select(Box).order_by(Box.id)).scalars().all()
    rt.session.expunge_all()
    rt.session.rollback()
    return rows


def rows_of(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_two_boxes_to_one_address_are_one_row_one_slip_and_one_number(rt, cycle):
    batch = export_boxes(rt, cycle.public_id, format_code="generic_csv")
    one, other, two, away = boxes(rt)
    assert [row.parcel_id for row in (one, other, two, away)] == [one.id, None, one.id, None]
    # Our own file has a row for each box and says which leave together.
    own = rows_of(rt.files.path_of(batch.file_name).read_bytes())
    order = (one, two, other, away)
    assert [row["box"] for row in own] == [box.public_id for box in order]
    assert [bool(row["note"]) for row in own] == [True, True, False, False]
    assert batch.rows == 4
    assert recheck_batch(rt, batch.public_id).is_same
    # A tool's file has one for the parcel.
    _name, pieces = batch_as(rt, batch.public_id, "royal_mail")
    assert len(rows_of(b"".join(pieces))) == 3

    paper = boxes_by_key(rt.session, [one.id, other.id])
    rt.session.rollback()
    assert [len(box.others) for box in paper] == [1, 0]
    assert isinstance(paper[0].others[0], PaperBox)

    report = take_called(rt, [{"box": one.public_id, "number": "JJD1"}], "key_1")
    assert (report.ship, report.issues) == (2, [])
    left = boxes(rt)
    assert [box.state.value for box in left] == ["shipped", "exported", "shipped", "exported"]
    assert left[0].shipment_id == left[2].shipment_id
    assert count(rt, Shipment) == 1
    assert count(rt, OutboxMessage, OutboxMessage.topic == "box_shipped") == 1
    ship_batch(rt, batch.public_id, tracking={})
    assert count(rt, Shipment) == 3


def test_boxes_that_a_file_names_itself_go_with_their_own_numbers(rt, cycle):
    export_boxes(rt, cycle.public_id)
    one, _other, two, _away = boxes(rt)
    said = [{"box": one.public_id, "number": "JJD1"}, {"box": two.public_id, "number": "JJD2"}]
    report = take_called(rt, said, "key_1")
    assert (report.ship, report.issues) == (2, [])
    numbers = rt.session.scalars(
        sa.select(Shipment.tracking_number).order_by(Shipment.tracking_number)
    ).all()
    rt.session.rollback()
    assert numbers == ["JJD1", "JJD2"]


def test_a_shop_that_did_not_ask_for_it_sends_each_box_alone(rt, cycle):
    rt.session.execute(sa.update(ShopSettings).values(shares_parcels=False))
    rt.session.commit()
    batch = export_boxes(rt, cycle.public_id, format_code="royal_mail")
    assert len(rows_of(rt.files.path_of(batch.file_name).read_bytes())) == 4
    assert {box.parcel_id for box in boxes(rt)} == {None}
