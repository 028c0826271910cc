"""A shipping tool's file: boxes leave, arrive and come back once, whatever is sent again."""

from threading import Thread

import pytest
import sqlalchemy as sa

from storefront import parcels as applied
from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState
from storefront.domain.carriers.links import tracking_link
from storefront.domain.events import Actor
from storefront.domain.product_files import FileRefused
from storefront.models import (
    Box,
    BoxCycle,
    FulfilmentBatch,
    LedgerTransfer,
    OutboxMessage,
    Shipment,
    Staff,
    SubscriptionEvent,
)
from storefront.operations import departures as work
from storefront.operations.audit import Who
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.replacements import note_outcome
from storefront.services.staff import add_staff
from storefront.services.tracking import BadLink, save_tracking_links, take_called, take_tracking
from storefront.testing.factories import make_group, make_plan
from tests.support.boxes import make_box

SHIP_TO = {"name": "Ada", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
PACKING = {"plan": "Pot", "email": "", "contents": [], "weight_grams": 0}


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def who(rt):
    add_staff(
        rt, email="mia@shop.example", name="Mia", password="kettle on the hob 9", role="owner"
    )
    row = rt.session.scalars(sa.select(Staff)).one()
    found = Who(row.id, row.public_id, "127.0.0.1")
    rt.session.rollback()
    return found


@pytest.fixture
def plan(rt):
    return make_plan(rt, group=make_group(rt))


@pytest.fixture
def cycle(rt, plan):
    first = sa.select(sa.func.min(BoxCycle.id)).scalar_subquery()
    rt.session.execute(sa.update(BoxCycle).where(BoxCycle.id == first).values(state="locked"))
    rt.session.commit()
    found = rt.session.scalars(sa.select(BoxCycle).order_by(BoxCycle.id)).first()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


def add(rt, plan, cycle):
    return make_box(
        rt, plan, cycle, state=BoxState.LOCKED, ship_to=SHIP_TO, packing=PACKING
    ).public_id


@pytest.fixture
def boxes(rt, plan, cycle):
    """Three exported boxes."""
    made = [add(rt, plan, cycle) for _ in range(3)]
    export_boxes(rt, cycle.public_id)
    return made


def file(*rows, heading="box,tracking number,carrier,status"):
    return "\n".join([heading, *rows]).encode()


def states(rt):
    found = rt.session.scalars(sa.select(Box.state).order_by(Box.id)).all()
    rt.session.rollback()
    return [state.value for state in found]


def parcels(rt):
    rows = rt.session.execute(
        sa.select(Shipment.carrier, Shipment.tracking_number)
        .join(Box, Box.shipment_id == Shipment.id)
        .order_by(Box.id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def count(rt, model, *where):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))
    rt.session.rollback()
    return found


def mails(rt):
    return count(rt, OutboxMessage, OutboxMessage.topic == "box_shipped")


def issues(report):
    return [(one.row, one.code) for one in report.issues]


def take(rt, who, data, **values):
    return take_tracking(rt, data, who=who, dry_run=False, **values)


def test_trying_a_file_says_what_it_does_and_does_nothing(rt, boxes):
    before = [count(rt, what) for what in (SubscriptionEvent, LedgerTransfer)]
    report = take_tracking(rt, file(f"{boxes[0]},JJD1,DHL,", f"{boxes[1]},JJD2,DHL,delivered"))

    assert (report.rows, report.ship, report.deliver, report.issues) == (2, 2, 1, [])
    assert states(rt) == ["exported"] * 3
    assert (parcels(rt), mails(rt)) == ([], 0)
    assert [count(rt, what) for what in (SubscriptionEvent, LedgerTransfer)] == before


def test_boxes_leave_with_their_numbers_and_their_customers_are_told(rt, who, boxes):
    rows = file(f"{boxes[0]},JJD1,,", f"{boxes[1]},1Z9,UPS,shipped")

    take(rt, who, rows, carrier="DHL")

    assert states(rt) == ["shipped", "shipped", "exported"]
    assert parcels(rt) == [("DHL", "JJD1"), ("UPS", "1Z9")]
    assert mails(rt) == 2


def test_the_same_file_again_changes_nothing(rt, who, boxes):
    rows = file(*[f"{box},JJD{n},DHL,delivered" for n, box in enumerate(boxes)])
    take(rt, who, rows)
    before = parcels(rt), mails(rt), count(rt, SubscriptionEvent), count(rt, LedgerTransfer)

    report = take(rt, who, rows)

    assert (report.new, report.here, report.issues) == (0, 3, [])
    assert states(rt) == ["delivered"] * 3
    after = parcels(rt), mails(rt), count(rt, SubscriptionEvent), count(rt, LedgerTransfer)
    assert after == before


def test_the_cycle_is_shipped_when_its_last_box_left(rt, who, cycle, boxes):
    take(rt, who, file(*[f"{box},,DHL,shipped" for box in boxes]))

    assert rt.session.scalar(sa.select(BoxCycle.state).where(BoxCycle.id == cycle.id)) == "shipped"


def test_a_parcel_that_left_without_a_number_gets_one_and_no_second_mail(rt, who, cycle, boxes):
    ship_batch(rt, _batch_of(rt), carrier="DHL")
    assert mails(rt) == 3

    report = take(rt, who, file(f"{boxes[0]},JJD1,UPS,"))

    assert (report.numbered, report.ship) == (1, 0)
    assert parcels(rt)[0] == ("DHL", "JJD1")
    assert mails(rt) == 3


def _batch_of(rt):
    found = rt.session.scalar(sa.select(FulfilmentBatch.public_id))
    rt.session.rollback()
    return found


def test_arrivals_and_returns_are_named_by_the_number_alone(rt, who, boxes):
    take(rt, who, file(*[f"{box},JJD{n},DHL," for n, box in enumerate(boxes)]))

    report = take(
        rt, who, file("JJD0,delivered", "JJD1,return to sender", heading="Tracking #,Status")
    )

    assert (report.deliver, report.come_back) == (1, 1)
    assert states(rt) == ["delivered", "returned", "shipped"]
    kinds = rt.session.scalars(sa.select(SubscriptionEvent.kind)).all()
    assert {"box.delivered", "box.returned"} <= set(kinds)


def test_a_delivered_box_may_still_come_back_and_a_returned_one_does_not_arrive(rt, who, boxes):
    take(rt, who, file(f"{boxes[0]},JJD1,DHL,delivered"))
    take(rt, who, file(f"{boxes[0]},JJD1,DHL,returned"))

    report = take(rt, who, file(f"{boxes[0]},JJD1,DHL,delivered"))

    assert (report.new, report.here) == (0, 1)
    assert states(rt)[0] == "returned"


def test_rows_that_cannot_be_are_told_and_the_others_done(rt, who, plan, cycle, boxes):
    locked = add(rt, plan, cycle)
    take(rt, who, file(f"{boxes[0]},JJD1,DHL,"))

    report = take(
        rt,
        who,
        file(
            f"{boxes[0]},OTHER,DHL,",
            f"{locked},JJD9,DHL,",
            "box_nobody,JJD8,DHL,",
            ",,DHL,",
            f"{boxes[1]},JJD2,DHL,eaten",
            f"{boxes[1]},{'9' * 81},DHL,",
            f"{boxes[1]},JJD2,DHL,",
            f"{boxes[1]},JJD3,DHL,",
            f"{boxes[2]},,DHL,",
        ),
    )

    assert issues(report) == [
        (2, "other_number"),
        (3, "not_exported"),
        (4, "unknown"),
        (5, "missing"),
        (6, "unknown_status"),
        (7, "too_long"),
        (9, "twice"),
        (10, "nothing_said"),
    ]
    assert states(rt) == ["shipped", "shipped", "exported", "locked"]
    assert parcels(rt) == [("DHL", "JJD1"), ("DHL", "JJD2")]


def test_a_file_takes_back_nothing_that_staff_noted_as_lost(rt, who, boxes):
    rows = file(f"{boxes[0]},JJD1,DHL,delivered")
    take(rt, who, rows)
    note_outcome(rt, boxes[0], BoxState.LOST, who)

    assert issues(take(rt, who, rows)) == [(2, "lost")]
    assert states(rt) == ["lost", "exported", "exported"]


def test_a_file_that_crashed_halfway_is_finished_by_taking_it_again(rt, who, boxes, monkeypatch):
    monkeypatch.setattr(applied, "SLICE", 1)
    rows = file(*[f"{box},JJD{n},DHL,delivered" for n, box in enumerate(boxes)])
    # Each time one box more has left or arrived; then nothing is left to do.
    for done in (1, 2, 3):
        arm("tracking.after_slice:raise")
        with pytest.raises(FailpointReached):
            take(rt, who, rows)
        arm("")
        assert states(rt).count("shipped") == done
    for done in (1, 2, 3):
        arm("tracking.after_slice:raise")
        with pytest.raises(FailpointReached):
            take(rt, who, rows)
        arm("")
        assert states(rt).count("delivered") == done

    take(rt, who, rows)

    assert states(rt) == ["delivered"] * 3
    assert parcels(rt) == [("DHL", "JJD0"), ("DHL", "JJD1"), ("DHL", "JJD2")]
    assert mails(rt) == 3
    assert count(rt, BoxCycle, BoxCycle.state == "shipped") == 1


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file_empty"),
        (b"box,tracking number\n\n", "file_empty"),
        (b"colour,size\nred,2\n", "no_headings"),
        (b"box\x00\x00", "not_text"),
        (b'box,number\n"open', "broken_table"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(rt, data, code):
    with pytest.raises(FileRefused) as refused:
        take_tracking(rt, data)

    assert refused.value.code == code


def test_a_merchants_own_page_stands_before_ours(rt, who):
    assert "dhl" in tracking_link("DHL", "JJD1", rt.shop.tracking_links)
    own = {"DHL": "https://own.example/{number}", "Bike": "https://bike.example/{number}"}
    assert save_tracking_links(rt, who, own)
    assert not save_tracking_links(rt, who, own)

    links = rt.shop.tracking_links
    assert links == own
    assert tracking_link("DHL", "JJD1", links) == "https://own.example/JJD1"
    assert tracking_link("Bike", "7", links) == "https://bike.example/7"


@pytest.mark.parametrize(
    ("carrier", "address"),
    [
        ("", "https://bike.example/{number}"),
        ("Bike", "http://bike.example/{number}"),
        ("Bike", "https://bike.example/"),
        ("Bike", "javascript:alert({number})"),
        ("Bike", 'https://bike.example/{number}" onclick='),
        ("x" * 41, "https://bike.example/{number}"),
    ],
)
def test_a_page_that_cannot_be_used_is_refused(rt, who, carrier, address):
    with pytest.raises(BadLink):
        save_tracking_links(rt, who, {carrier: address})

    assert rt.shop.tracking_links == {}


def test_what_is_said_of_a_box_while_another_ships_it_is_done_after(app, rt, boxes):
    batch = rt.session.scalar(sa.select(FulfilmentBatch.id))

    def say():
        with app.app_context():
            rows = [{"box": box, "state": "delivered"} for box in boxes]
            take_called(app.extensions["storefront"], rows, "tok")

    rows = work.boxes_to_ship(rt.session, batch, 100)
    work.ship_boxes(rt.session, rows, "c", work.Parcel("", {}, Actor.WORKER, "x"), rt.moment())
    other = Thread(target=say)
    other.start()
    # Time to pass over the boxes, which is what it must not do.
    other.join(timeout=0.5)
    rt.session.commit()
    other.join()

    assert states(rt) == ["delivered"] * 3


def test_a_box_that_came_back_before_anybody_said_it_left_is_told_by_one_mail(rt, who, boxes):
    rows = file(f"{boxes[0]},JJD1,DHL,returned", f"{boxes[1]},JJD2,DHL,shipped")
    take(rt, who, rows)
    assert states(rt) == ["returned", "shipped", "exported"]
    topics = rt.session.scalars(
        sa.select(OutboxMessage.topic)
        .where(OutboxMessage.kind == "mail", OutboxMessage.topic.like("box_%"))
        .order_by(OutboxMessage.topic)
    ).all()
    rt.session.rollback()
    assert topics == ["box_returned", "box_shipped"]
