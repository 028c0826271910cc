"""Batches: whole or not at all, every box once, the same bytes again; and what leaves."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState, CycleState
from storefront.domain.exports import COLUMNS, plain_cell
from storefront.jobs.work import run_all
from storefront.models import (
    Address,
    AuditEntry,
    Box,
    BoxCycle,
    Customer,
    FulfilmentBatch,
    LedgerTransfer,
    OutboxMessage,
    Plan,
    ProductVariant,
    Shipment,
    Staff,
    StockMove,
    SubscriptionEvent,
)
from storefront.operations.audit import Who
from storefront.services import cycles as locking
from storefront.services import fulfilment as service
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import (
    BatchNotPublished,
    CycleNotLocked,
    UnknownBoxes,
    batch_file,
    deliver_batch,
    export_boxes,
    exportable_cycles,
    recheck_batch,
    ship_batch,
)
from storefront.services.staff import add_staff
from storefront.testing.factories import make_group, make_plan, make_recipe, make_variant
from tests.support.boxes import make_box

NASTY = {
    "name": '=cmd|"/C calc"!A0',
    "company": 'Tea, "Leaf"\nand Sons',
    "street": "@SUM(A1)",
    "extra": "\tTab",
    "city": "ירושלים",
    "region": "'=already quoted",
    "phone": "+49 151 23456789",
}
POINTS = (
    "export.after_claim",
    "export.before_publish",
    "export.after_publish",
    "export.after_close",
)


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def plan(rt):
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan, variants=[make_variant(rt, sku="ASSAM"), make_variant(rt, sku="KUKICHA")])
    return plan


@pytest.fixture
def cycle(rt, plan):
    found = rt.session.scalars(
        sa.select(BoxCycle)
        .where(BoxCycle.group_id == plan.cycle_group_id)
        .order_by(BoxCycle.ship_from)
    ).first()
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def locked(rt, plan, cycle, clock):
    """A locked cycle of five boxes."""
    for _ in range(5):
        make_box(rt, plan, cycle)
    clock.advance(days=14)
    close_cycles(rt)
    return cycle


def states(rt):
    found = rt.session.scalars(sa.select(Box.state).order_by(Box.id)).all()
    rt.session.rollback()
    return [state.value for state in found]


def files(rt):
    folder = rt.files.path_of("exports")
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def read(rt, batch):
    return rt.files.path_of(batch.file_name).read_bytes()


def rows_of(data):
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_a_cycle_that_can_still_change_is_not_exported(rt, plan, cycle):
    make_box(rt, plan, cycle)

    with pytest.raises(CycleNotLocked):
        export_boxes(rt, cycle.public_id)


def test_the_file_has_one_row_for_each_locked_box(rt, locked):
    batch = export_boxes(rt, locked.public_id)

    rows = rows_of(read(rt, batch))
    assert tuple(rows[0]) == COLUMNS
    assert batch.rows == len(rows) == 5
    assert rows[0]["parcel"] == rows[0]["box"]
    own = dict.fromkeys(("batch", "box", "email", "name", "parcel"), "")
    assert rows[0] | own == dict.fromkeys(COLUMNS, "") | {
        "cycle": "2027-03",
        "plan": "Pot",
        "quantity": "1",
        "contents": "ASSAM x 1; KUKICHA x 1",
        "street": "Lindenweg 4",
        "postcode": "07743",
        "city": "Jena",
        "country": "DE",
        "weight_grams": "240",
        "price": "26.00",
        "price_currency": "EUR",
    }
    assert states(rt) == ["exported"] * 5
    assert files(rt) == [batch.file_name.rpartition("/")[2]]


def test_a_second_export_finds_nothing_and_late_boxes_make_a_second_batch(rt, plan, locked):
    first = export_boxes(rt, locked.public_id)
    assert export_boxes(rt, locked.public_id) is None

    late = make_box(
        rt,
        plan,
        locked,
        state=BoxState.LOCKED,
        ship_to={"name": "Late"},
        packing={"plan": "Pot", "contents": [], "email": "", "weight_grams": 0},
    )
    second = export_boxes(rt, locked.public_id)

    assert (first.number, second.number) == (1, 2)
    assert [row["box"] for row in rows_of(read(rt, second))] == [late.public_id]


def test_a_batch_made_again_has_the_same_bytes_whatever_changed_since(rt, plan, locked):
    batch = export_boxes(rt, locked.public_id)
    before = read(rt, batch)
    rt.session.execute(sa.update(Customer).values(email=sa.func.upper(Customer.email)))
    rt.session.execute(sa.update(Address).values(street="Elsewhere 9"))
    rt.session.execute(sa.update(Plan).values(name="Renamed"))
    rt.session.execute(sa.update(ProductVariant).values(weight_grams=1))
    rt.session.commit()
    rt.files.path_of(batch.file_name).unlink()

    found = recheck_batch(rt, batch.public_id)

    assert (found.is_same, found.file_was_right, found.rows) == (True, False, 5)
    assert read(rt, batch) == before
    assert files(rt) == [batch.file_name.rpartition("/")[2]]


def test_a_batch_whose_data_was_tampered_with_says_so_and_keeps_its_file(rt, locked):
    batch = export_boxes(rt, locked.public_id)
    before = read(rt, batch)
    rt.session.execute(sa.update(Box).values(quantity=2))
    rt.session.commit()

    assert recheck_batch(rt, batch.public_id).is_same is False
    assert read(rt, batch) == before


def test_a_batch_that_nobody_filled_is_dropped(rt, locked):
    arm("export.before_publish:raise")
    with pytest.raises(FailpointReached):
        export_boxes(rt, locked.public_id)
    rt.session.rollback()
    arm("")
    rt.session.execute(sa.update(Box).values(batch_id=None, state=BoxState.CANCELED))
    rt.session.commit()

    assert export_boxes(rt, locked.public_id) is None
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(FulfilmentBatch)) == 0


def test_a_file_that_was_changed_on_disk_is_not_handed_out(rt, locked):
    batch = export_boxes(rt, locked.public_id)
    before = read(rt, batch)
    rt.files.path_of(batch.file_name).write_bytes(before[:100])

    assert batch_file(rt, batch.public_id).read_bytes() == before

    rt.session.execute(sa.update(Box).values(quantity=2))
    rt.session.commit()
    rt.files.path_of(batch.file_name).unlink()
    assert batch_file(rt, batch.public_id) is None


def test_two_workers_at_once_lock_and_export_each_box_once(
    app, rt, plan, cycle, clock, monkeypatch
):
    monkeypatch.setattr(service, "CLAIM_SLICE", 3)
    monkeypatch.setattr(locking, "SLICE", 3)
    for _ in range(20):
        make_box(rt, plan, cycle)
    clock.advance(days=14)
    rt.session.remove()

    def work(_number):
        with app.app_context():
            close_cycles(rt)
        for _ in range(3):  # until the other one has locked the last boxes
            with app.app_context(), suppress(CycleNotLocked):
                export_boxes(rt, cycle.public_id)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    close_cycles(rt)
    export_boxes(rt, cycle.public_id)

    assert states(rt) == ["exported"] * 20
    stock = rt.session.scalars(sa.select(ProductVariant.on_hand)).all()
    assert list(stock) == [980, 980]
    batches = rt.session.scalars(sa.select(FulfilmentBatch)).all()
    boxes = [row["box"] for batch in batches for row in rows_of(read(rt, batch))]
    assert len(boxes) == len(set(boxes)) == 20
    assert {recheck_batch(rt, batch.public_id).file_was_right for batch in batches} == {True}


def test_nasty_cells_are_quoted_and_round_trip(rt, plan, cycle, clock):
    box = make_box(rt, plan, cycle)
    rt.session.execute(sa.update(Address).values(**NASTY))
    rt.session.commit()
    clock.advance(days=14)
    close_cycles(rt)

    row = rows_of(read(rt, export_boxes(rt, cycle.public_id)))[0]

    assert row["box"] == box.public_id
    assert {part: plain_cell(row[part]) for part in NASTY} == NASTY
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t"))]


@pytest.mark.parametrize("point", POINTS)
def test_an_export_that_crashed_is_finished_by_the_next(rt, locked, monkeypatch, point):
    monkeypatch.setattr(service, "CLAIM_SLICE", 2)
    arm(f"{point}:raise")
    with pytest.raises(FailpointReached):
        export_boxes(rt, locked.public_id)
    rt.session.rollback()
    arm("")
    assert not [name for name in files(rt) if name.startswith(".")]

    assert exportable_cycles(rt) == [locked.public_id]
    export_boxes(rt, locked.public_id)

    assert exportable_cycles(rt) == []
    batches = rt.session.scalars(sa.select(FulfilmentBatch)).all()
    assert [(batch.number, batch.row_count) for batch in batches] == [(1, 5)]
    assert states(rt) == ["exported"] * 5
    assert recheck_batch(rt, batches[0].public_id).is_same
    assert len({row["box"] for row in rows_of(read(rt, batches[0]))}) == 5


def test_boxes_that_join_while_the_file_is_written_are_in_it(rt, locked, monkeypatch):
    monkeypatch.setattr(service, "CLAIM_SLICE", 2)
    seen = []

    def interfere(name):
        # Another worker takes one box back before ours closes, as if it came just now.
        if name == "export.before_publish" and not seen:
            seen.append(rt.session.scalar(sa.select(sa.func.max(Box.id))))
            rt.session.execute(sa.update(Box).where(Box.id == seen[0]).values(batch_id=None))
            rt.session.commit()
        if name == "export.after_publish" and len(seen) == 1:
            seen.append(None)
            batch = rt.session.scalar(sa.select(FulfilmentBatch.id))
            rt.session.execute(sa.update(Box).where(Box.id == seen[0]).values(batch_id=batch))
            rt.session.commit()

    monkeypatch.setattr(service, "failpoint", interfere)

    batch = export_boxes(rt, locked.public_id)

    assert batch.rows == 5
    assert len(rows_of(read(rt, batch))) == 5


def test_held_boxes_stay_out(rt, plan, cycle, clock):
    make_box(rt, plan, cycle)
    make_box(rt, plan, cycle, state=BoxState.HELD, problem="held")
    clock.advance(days=14)
    close_cycles(rt)

    assert export_boxes(rt, cycle.public_id).rows == 1
    assert states(rt) == ["exported", "held"]


def test_shipping_books_the_revenue_and_moves_the_stock_once(rt, locked):
    batch = export_boxes(rt, locked.public_id)

    assert ship_batch(rt, batch.public_id) == 5
    assert ship_batch(rt, batch.public_id) == 0

    earned = rt.session.execute(
        sa.select(LedgerTransfer.debit, LedgerTransfer.credit, LedgerTransfer.amount_minor).where(
            LedgerTransfer.debit == "deferred_revenue"
        )
    ).all()
    assert [tuple(row) for row in earned] == [("deferred_revenue", "revenue", 2185)] * 5
    stock = rt.session.execute(sa.select(ProductVariant.on_hand, ProductVariant.committed)).all()
    assert [tuple(row) for row in stock] == [(995, 0)] * 2
    shipped = rt.session.scalars(
        sa.select(StockMove.quantity).where(StockMove.kind == "shipment")
    ).all()
    assert list(shipped) == [-1] * 10
    assert rt.session.scalar(sa.select(BoxCycle.state).where(BoxCycle.id == locked.id)) is (
        CycleState.SHIPPED
    )


@pytest.fixture
def who(rt):
    """A staff user who packs."""
    add_staff(rt, email="pat@shop.example", name="Pat", password="kettle on the hob 9")
    found = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(found.id, found.public_id)


def test_shipping_tells_customer_timeline_and_log(rt, locked, who):
    batch = export_boxes(rt, locked.public_id)
    box = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).first()
    rt.session.rollback()

    ship_batch(rt, batch.public_id, carrier="DHL", tracking={box: "JJD0001"}, who=who)

    mails = rt.session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id)).all()
    assert {mail.topic for mail in mails} == {"box_shipped"}
    assert len(mails) == 5
    assert mails[0].payload["tracking_number"] == "JJD0001"
    events = rt.session.scalars(sa.select(SubscriptionEvent)).all()
    assert {(event.kind, event.actor) for event in events} == {("box.shipped", "staff")}
    audit = rt.session.scalars(sa.select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert audit[-1] == "boxes.shipped"
    numbers = rt.session.scalars(sa.select(Shipment.tracking_number).order_by(Shipment.id)).all()
    assert list(numbers) == ["JJD0001", "", "", "", ""]


def test_a_shipping_that_crashed_ships_the_rest_next_time(rt, locked, monkeypatch):
    monkeypatch.setattr(service, "SHIP_SLICE", 2)
    batch = export_boxes(rt, locked.public_id)
    arm("ship.after_slice:raise")
    with pytest.raises(FailpointReached):
        ship_batch(rt, batch.public_id)
    rt.session.rollback()
    arm("")
    assert states(rt).count("shipped") == 2

    assert ship_batch(rt, batch.public_id) == 3
    assert states(rt) == ["shipped"] * 5
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(Shipment)) == 5


def test_tracking_numbers_of_other_boxes_are_refused(rt, locked):
    batch = export_boxes(rt, locked.public_id)

    with pytest.raises(UnknownBoxes) as refused:
        ship_batch(rt, batch.public_id, tracking={"box_other": "1"})

    assert refused.value.params == {"boxes": ["box_other"]}
    assert states(rt) == ["exported"] * 5


def test_a_batch_without_file_cannot_leave(rt, locked):
    arm("export.before_publish:raise")
    with pytest.raises(FailpointReached):
        export_boxes(rt, locked.public_id)
    rt.session.rollback()
    batch = rt.session.scalar(sa.select(FulfilmentBatch.public_id))
    rt.session.rollback()

    with pytest.raises(BatchNotPublished):
        ship_batch(rt, batch)


def test_the_worker_exports_late_boxes_once_a_day(rt, plan, locked, clock):
    export_boxes(rt, locked.public_id)
    make_box(
        rt,
        plan,
        locked,
        state=BoxState.LOCKED,
        ship_to={},
        packing={"plan": "Pot", "contents": [], "email": "", "weight_grams": 0},
    )

    assert exportable_cycles(rt) == []
    clock.advance(days=1)
    assert exportable_cycles(rt) == [locked.public_id]


@pytest.fixture
def shipped(rt, locked):
    """A batch of five boxes on their way, the first with a tracking number."""
    batch = export_boxes(rt, locked.public_id).public_id
    first = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).first()
    rt.session.rollback()
    ship_batch(rt, batch, tracking={first: "JJD0001"})
    return batch


def test_the_boxes_that_arrived_are_delivered_once(rt, shipped, who):
    second = rt.session.scalars(sa.select(Box.public_id).order_by(Box.id)).all()[1]
    rt.session.rollback()

    assert deliver_batch(rt, shipped, ["JJD0001", second], who) == 2
    assert deliver_batch(rt, shipped, ["JJD0001", second], who) == 0
    assert states(rt) == ["delivered"] * 2 + ["shipped"] * 3
    assert deliver_batch(rt, shipped, [], who) == 3
    assert deliver_batch(rt, shipped, [], who) == 0

    assert states(rt) == ["delivered"] * 5
    events = rt.session.scalars(
        sa.select(SubscriptionEvent).where(SubscriptionEvent.kind == "box.delivered")
    ).all()
    assert len({event.data["box"] for event in events}) == len(events) == 5
    assert {(event.actor, event.actor_ref) for event in events} == {("staff", who.public_id)}
    assert events[0].data["tracking_number"] == "JJD0001"
    entries = rt.session.scalars(
        sa.select(AuditEntry).where(AuditEntry.action == "boxes.delivered").order_by(AuditEntry.id)
    ).all()
    assert [(entry.object_ref, entry.after["boxes"]) for entry in entries] == [
        (shipped, 2),
        (shipped, 3),
    ]


def test_a_name_that_is_not_in_the_batch_delivers_nothing(rt, shipped, who):
    with pytest.raises(UnknownBoxes):
        deliver_batch(rt, shipped, ["JJD0001", "box_other"], who)
    assert states(rt) == ["shipped"] * 5


def test_a_box_that_has_not_left_is_not_delivered(rt, locked, who):
    batch = export_boxes(rt, locked.public_id).public_id
    box = rt.session.scalars(sa.select(Box.public_id)).first()
    rt.session.rollback()

    assert deliver_batch(rt, batch, [], who) == 0
    with pytest.raises(UnknownBoxes):
        deliver_batch(rt, batch, [box], who)


def test_no_day_that_passes_makes_a_box_delivered(rt, shipped, clock):
    clock.advance(days=60)
    run_all(rt)
    assert states(rt) == ["shipped"] * 5
