"""Boxes of one customer to one address: one parcel in files, on paper and in tracking."""

import csv
import io

import pytest
import sqlalchemy as sa
from pypdf import PdfReader

from storefront import parcels
from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxKind, BoxState
from storefront.models import (
    Box,
    BoxCycle,
    OutboxMessage,
    Shipment,
    ShopSettings,
    Subscription,
    SubscriptionEvent,
)
from storefront.operations.papers import PaperBox, boxes_by_key
from storefront.paper_words import draw
from storefront.queries import cycles
from storefront.queries.invariants import broken
from storefront.queries.replacements import box_page
from storefront.services import fulfilment
from storefront.services.fulfilment import (
    batch_as,
    deliver_batch,
    export_boxes,
    recheck_batch,
    ship_batch,
)
from storefront.services.papers import ask_for_paper, make_papers, paper_file
from storefront.services.replacements import note_outcome, note_outcomes
from storefront.services.tracking import take_called
from storefront.testing.factories import make_group, make_plan
from tests.support.admin import make_staff
from tests.support.boxes import make_box, make_subscribed
from tests.support.orders import count, in_parallel

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


@pytest.fixture
def who(rt):
    """A staff user who packs."""
    return make_staff(rt)


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


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


def test_a_parcel_has_one_slip_and_a_page_that_names_what_is_in_it(rt, cycle, who):
    batch = export_boxes(rt, cycle.public_id).public_id
    one, _other, two, _away = boxes(rt)
    paper = ask_for_paper(rt, batch, "slips", "a6", who)
    make_papers(rt, draw)
    made, path = paper_file(rt, paper, 1)
    slips = [page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages]
    assert (len(slips), made.parcels, made.boxes) == (3, 3, 4)
    assert [box.public_id in slips[0] for box in (one, two)] == [True, True]
    assert cycles.batch(rt.session, batch).spared == 1
    page = box_page(rt.session, two.public_id, rt.moment())
    rt.session.rollback()
    assert page.beside == ((one.public_id, "Pot"),)
    ship_batch(rt, batch)
    # What is noted on the page of a box is noted of the parcel.
    assert note_outcome(rt, two.public_id, BoxState.LOST, who)
    assert states(rt) == ["lost", "shipped", "lost", "shipped"]


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


def told(rt):
    """Mails about boxes that left."""
    return count(rt, OutboxMessage, OutboxMessage.topic == "box_shipped")


def wrong(rt):
    """The invariants that do not hold; subscriptions made by hand wait for no renewal."""
    found = set(broken(rt.session)) - {"S-stuck"}
    rt.session.rollback()
    return found


def states(rt):
    return [box.state.value for box in boxes(rt)]


def test_a_parcel_leaves_whole_however_the_work_is_cut(rt, cycle, who, monkeypatch):
    monkeypatch.setattr(fulfilment, "SHIP_SLICE", 1)
    monkeypatch.setattr(parcels, "SLICE", 1)
    batch = export_boxes(rt, cycle.public_id)
    one, _other, two, _away = boxes(rt)
    # The second box of the parcel is named; each slice has room for one box.
    report = take_called(rt, [{"box": two.public_id, "number": "JJD1"}], "key_1")
    assert (report.ship, told(rt), count(rt, Shipment)) == (2, 1, 1)
    assert ship_batch(rt, batch.public_id) == 2
    assert (told(rt), count(rt, Shipment), count(rt, SubscriptionEvent)) == (3, 3, 4)
    assert wrong(rt) == set()
    assert boxes(rt)[0].shipment_id == boxes(rt)[2].shipment_id
    # Whichever of its boxes somebody names, the parcel arrived, and came back.
    assert deliver_batch(rt, batch.public_id, [two.public_id], who) == 2
    assert states(rt) == ["delivered", "shipped", "delivered", "shipped"]
    assert note_outcomes(rt, batch.public_id, [one.public_id], BoxState.RETURNED, who) == 2
    assert states(rt) == ["returned", "shipped", "returned", "shipped"]


def test_a_box_that_another_worker_held_goes_with_the_parcel_that_left(rt, cycle):
    """As after a worker that shipped one box of a parcel and died."""
    batch = export_boxes(rt, cycle.public_id)
    one, other, two, away = boxes(rt)
    rt.session.execute(
        sa.update(Box).where(Box.id.in_([two.id, other.id, away.id])).values(state="locked")
    )
    rt.session.commit()
    take_called(rt, [{"box": one.public_id, "number": "JJD1"}], "key_1")
    assert ship_batch(rt, batch.public_id) == 3
    left = boxes(rt)
    assert left[0].shipment_id == left[2].shipment_id
    assert (count(rt, Shipment), told(rt)) == (3, 3)


def test_boxes_packed_apart_go_their_own_ways(rt, cycle, who):
    batch = export_boxes(rt, cycle.public_id)
    one, _other, two, _away = boxes(rt)
    said = [{"box": box.public_id, "number": f"JJD{box.id}"} for box in (one, two)]
    take_called(rt, said, "key_1")
    report = take_called(rt, [{"box": one.public_id, "state": "returned"}], "key_1")
    assert (report.come_back, report.issues) == (1, [])
    assert deliver_batch(rt, batch.public_id, [f"JJD{two.id}"], who) == 1
    assert states(rt) == ["returned", "exported", "delivered", "exported"]


def test_a_row_without_a_number_has_that_of_its_parcel(rt, cycle):
    export_boxes(rt, cycle.public_id)
    one, _other, two, _away = boxes(rt)
    said = [
        {"box": one.public_id, "number": "JJD1"},
        {"box": two.public_id, "state": "delivered"},
    ]
    report = take_called(rt, said, "key_1")
    assert (report.ship, report.deliver, report.issues) == (2, 1, [])
    assert (count(rt, Shipment), told(rt)) == (1, 1)


def test_what_is_given_or_sent_again_goes_by_itself(rt, cycle):
    """The words of a gift are packed with its first box; its other boxes look like any other."""
    one, _other, two, _away = boxes(rt)
    rt.session.execute(
        sa.update(Subscription)
        .where(Subscription.id == two.subscription_id)
        .values(is_gift=True, payer_id=make_subscribed(rt, make_plan(rt)).customer_id)
    )
    rt.session.commit()
    export_boxes(rt, cycle.public_id)
    assert {box.parcel_id for box in boxes(rt)} == {None}

    rt.session.execute(sa.update(Subscription).values(is_gift=False, payer_id=None))
    rt.session.execute(sa.update(Box).values(batch_id=None, state="locked"))
    rt.session.execute(
        sa.update(Box).where(Box.id == two.id).values(kind=BoxKind.REPLACEMENT, replaces_id=one.id)
    )
    rt.session.commit()
    export_boxes(rt, cycle.public_id)
    assert {box.parcel_id for box in boxes(rt)} == {None}


def test_a_box_cancelled_while_the_file_is_made_is_in_no_parcel(rt, cycle):
    arm("export.before_publish:raise")
    with pytest.raises(FailpointReached):
        export_boxes(rt, cycle.public_id, format_code="royal_mail")
    one, _other, two, _away = boxes(rt)
    assert two.parcel_id == one.id
    rt.session.execute(sa.update(Box).where(Box.id == one.id).values(state="canceled"))
    rt.session.commit()
    arm("")
    batch = export_boxes(rt, cycle.public_id)
    rows = rows_of(rt.files.path_of(batch.file_name).read_bytes())
    assert (batch.rows, len(rows)) == (3, 3)
    assert one.public_id not in str(rows)
    gone, *_rest = boxes(rt)
    assert (gone.batch_id, {box.parcel_id for box in boxes(rt)}) == (None, {None})
    assert recheck_batch(rt, batch.public_id).is_same


def test_two_workers_make_the_same_parcels_and_the_same_file(app, rt, cycle):
    in_parallel(app, 2, lambda own, _n: export_boxes(own, cycle.public_id))
    one, other, two, away = boxes(rt)
    assert [row.parcel_id for row in (one, other, two, away)] == [one.id, None, one.id, None]
    assert len({row.batch_id for row in (one, other, two, away)}) == 1
    assert set(states(rt)) == {"exported"}
    assert wrong(rt) == set()


def test_two_workers_that_ship_one_batch_cut_no_parcel(app, rt, cycle, monkeypatch):
    monkeypatch.setattr(fulfilment, "SHIP_SLICE", 1)
    batch = export_boxes(rt, cycle.public_id)
    done = in_parallel(app, 2, lambda own, _n: ship_batch(own, batch.public_id))
    one, _other, two, _away = boxes(rt)
    assert sum(done) == 4
    assert one.shipment_id == two.shipment_id
    assert (count(rt, Shipment), told(rt)) == (3, 3)
