"""Boxes at a shipping provider: each there once, told of once, whatever is lost or repeated."""

from itertools import permutations

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState
from storefront.domain.parcels import TakeAnswer, Taking
from storefront.jobs.work import PARCEL_EVENTS, PROVIDERS, run_all
from storefront.models import (
    Box,
    FulfilmentBatch,
    OutboxMessage,
    ParcelEvent,
    ProductVariant,
    ProviderParcel,
    Shipment,
    Staff,
)
from storefront.operations import provider_parcels as work
from storefront.operations.audit import Who
from storefront.operations.provider_parcels import MOST_TRIES
from storefront.services import fulfilment, shipping_providers
from storefront.services.export_formats import FormatGone, use_format
from storefront.services.parcel_messages import apply_due, delete_old, receive
from storefront.services.shipping_providers import run_providers, try_again
from storefront.services.staff import add_staff
from storefront.services.tracking import take_called
from storefront.testing import factories as make
from storefront_easypost.provider import EasyPost
from tests.emulators.easypost import FROM, KEY, SECRET, EasyPostAccount
from tests.support.providers import PACKING, NearHttp, batch_for, box_states, confirm_elsewhere

TAKEN = TakeAnswer(Taking.TAKEN)


@pytest.fixture(autouse=True)
def _disarm():
    yield
    arm("")


@pytest.fixture
def far(rt):
    """EasyPost, offered to this shop."""
    account = EasyPostAccount()
    offer(rt, account, FROM)
    yield account
    rt.hooks._providers.clear()


def offer(rt, account, leaves_from):
    provider = EasyPost(NearHttp(account.app), key=KEY, secret=SECRET, from_address=leaves_from)
    rt.hooks.add_shipping_provider("easypost", provider)


@pytest.fixture
def who(rt):
    add_staff(
        rt, email="mia@shop.example", name="Mia", password="kettle on the hob 9", role="owner"
    )
    row = rt.session.scalars(sa.select(Staff)).one()
    found = Who(row.id, row.public_id, "127.0.0.1")
    rt.session.rollback()
    return found


def parcels(rt):
    rows = rt.session.execute(
        sa.select(ProviderParcel.state, ProviderParcel.error).order_by(ProviderParcel.id)
    ).all()
    rt.session.rollback()
    return [tuple(row) for row in rows]


def count(rt, model, *where):
    found = rt.session.scalar(sa.select(sa.func.count()).select_from(model).where(*where))
    rt.session.rollback()
    return found


def mails(rt):
    return count(rt, OutboxMessage, OutboxMessage.topic == "box_shipped")


def tell(rt, far, tracker, event=""):
    headers, raw = far.message(tracker, event)
    return receive(rt, "easypost", headers, {}, raw)


def batch_ref(rt):
    found = rt.session.scalar(sa.select(FulfilmentBatch.public_id))
    rt.session.rollback()
    return found


def test_the_worker_hands_each_box_of_a_batch_over_once(rt, far):
    boxes = batch_for(rt, "easypost", 3)

    assert run_all(rt)
    assert run_all(rt)

    assert [far.count_of(box) for box in boxes] == [1, 1, 1]
    assert parcels(rt) == [("taken", "")] * 3
    assert box_states(rt) == ["exported"] * 3


def test_what_customs_ask_may_be_entered_after_the_box_was_refused(rt, far, who):
    tea = make.make_variant(rt, sku="TEA-1", price_minor=890)
    line = {"sku": "TEA-1", "pieces": 2, "grams": 70, "hs_code": "", "origin": "CN",
            "text": "green tea", "value_minor": None, "currency": "EUR"}  # fmt: skip
    (box,) = batch_for(rt, "easypost", 1, packing={**PACKING, "customs": [line]})
    run_providers(rt)
    assert parcels(rt) == [("refused", "no_customs: TEA-1: tariff number")]

    values = {"hs_code": "09021000", "origin_country": "JP"}
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.id == tea.id).values(**values)
    )
    rt.session.commit()
    assert try_again(rt, who, batch_ref(rt)) == 1
    run_providers(rt)

    assert parcels(rt) == [("taken", "")]
    (made,) = far.shipments.values()
    (item,) = made["customs_info"]["customs_items"]
    # What was frozen stays as it was.
    assert (item["hs_tariff_number"], item["origin_country"], item["value"]) == (
        "09021000",
        "CN",
        17.8,
    )
    packing = rt.session.scalar(sa.select(Box.packing).where(Box.public_id == box))
    rt.session.rollback()
    assert packing["customs"] == [line]


def test_boxes_in_one_parcel_are_handed_over_once_with_all_that_is_in_them(rt, far, monkeypatch):
    monkeypatch.setattr(fulfilment, "put_together", _two_in_one)
    first, second, alone = batch_for(rt, "easypost", 3)
    given = []
    monkeypatch.setattr(EasyPost, "take", lambda _self, order: given.append(order) or TAKEN)

    assert run_providers(rt).taken == 2
    assert [order.reference for order in given] == [first, alone]
    assert [order.grams for order in given] == [2 * 850, 850]
    assert [[line.pieces for line in order.lines] for order in given] == [[2, 2], [2]]
    # One that staff took out since is not in it any more.
    rt.session.execute(sa.update(Box).where(Box.public_id == second).values(state="canceled"))
    rt.session.execute(sa.update(ProviderParcel).values(state="planned", try_at=rt.now()))
    rt.session.commit()
    run_providers(rt)
    assert [order.grams for order in given[2:]] == [850, 850]
    # The parcel goes without its first box as well, and not at all without any.
    state = ProviderParcel.__table__
    for gone, left in ((first, [850, 850]), (second, [850])):
        there = "locked" if gone == first else "canceled"
        change = sa.update(Box).where(Box.public_id == second).values(state=there)
        rt.session.execute(change)
        rt.session.execute(sa.update(Box).where(Box.public_id == first).values(state="canceled"))
        rt.session.execute(sa.update(state).values(state="planned", try_at=rt.now()))
        rt.session.commit()
        given.clear()
        run_providers(rt)
        assert [order.grams for order in given] == left


def _two_in_one(session, batch):
    keys = session.scalars(sa.select(Box.id).where(Box.batch_id == batch.id).order_by(Box.id)).all()
    session.execute(sa.update(Box).where(Box.id.in_(keys[:2])).values(parcel_id=keys[0]))


@pytest.mark.parametrize("fault", ["lost", "ignored"])
def test_a_box_whose_answer_got_lost_is_looked_for_and_never_doubled(rt, far, clock, fault):
    boxes = batch_for(rt, "easypost", 2)
    far.fault = fault

    assert run_providers(rt).unknown == 1
    assert parcels(rt) == [("asked", "timeout"), ("taken", "")]
    clock.advance(minutes=2)
    run_providers(rt)

    assert [far.count_of(box) for box in boxes] == [1, 1]
    assert parcels(rt) == [("taken", "")] * 2


def test_a_worker_that_dies_after_the_call_doubles_nothing(rt, far, clock):
    boxes = batch_for(rt, "easypost", 2)
    arm("provider.after_taken:raise")
    with pytest.raises(FailpointReached):
        run_providers(rt)
    arm("")
    assert [far.count_of(box) for box in boxes] == [1, 0]

    clock.advance(minutes=6)
    run_providers(rt)

    assert [far.count_of(box) for box in boxes] == [1, 1]
    assert parcels(rt) == [("taken", "")] * 2


def test_a_box_that_left_by_another_way_is_looked_for_and_not_handed_over(
    rt, far, clock, monkeypatch
):
    boxes = batch_for(rt, "easypost", 3)
    monkeypatch.setattr(shipping_providers, "BATCH", 1)
    for far.fault in ("lost", "ignored"):
        run_providers(rt, limit=1)
    take_called(rt, [{"box": box, "number": f"Z{box}", "carrier": "UPS"} for box in boxes], "tok")
    clock.advance(minutes=6)

    run_providers(rt)

    assert [far.count_of(box) for box in boxes] == [1, 0, 0]
    assert parcels(rt) == [("taken", ""), ("over", "timeout"), ("over", "")]
    assert box_states(rt) == ["shipped"] * 3


def test_a_box_is_not_sent_after_its_lease_and_looked_for_by_the_next(rt, far, clock, monkeypatch):
    boxes = batch_for(rt, "easypost", 2)
    monkeypatch.setattr(shipping_providers, "SENT_WITHIN", -1)
    assert run_providers(rt).taken == 0
    assert far.calls == []
    monkeypatch.undo()

    clock.advance(minutes=6)

    assert run_providers(rt).taken == 2
    assert [far.count_of(box) for box in boxes] == [1, 1]


def test_who_was_overtaken_notes_nothing(rt, far, clock):
    batch_for(rt, "easypost", 1)
    (first,) = work.take(rt.session, rt.moment(), 10)
    clock.advance(minutes=6)
    (second,) = work.take(rt.session, rt.moment(), 10)
    work.note_taken(rt.session, second, "shp_1", None, rt.moment())

    work.wait(rt.session, first, "timeout", rt.moment())
    work.not_sent(rt.session, first, "rate_limited", rt.moment())
    work.note_refused(rt.session, first, "no_weight")
    work.note_over(rt.session, first)
    rt.session.commit()

    assert parcels(rt) == [("taken", "")]


def test_a_refused_box_waits_for_a_person_and_the_others_go(rt, far, who):
    batch_for(rt, "easypost", 1, packing={**PACKING, "weight_grams": 0})

    assert run_providers(rt).refused == 1
    assert parcels(rt) == [("refused", "no_weight: a parcel needs its weight")]
    assert run_providers(rt).refused == 0

    rt.session.execute(sa.update(Box).values(packing=PACKING))
    rt.session.commit()
    assert try_again(rt, who, batch_ref(rt)) == 1
    assert try_again(rt, who, batch_ref(rt)) == 0
    assert run_providers(rt).taken == 1


def test_a_provider_that_is_not_there_gets_the_boxes_later_or_says_so_in_the_end(rt, far, clock):
    batch_for(rt, "easypost", 3)
    far.status = 429
    for _ in range(MOST_TRIES + 2):
        report = run_providers(rt)
        # One answer is enough to leave it alone for now; the others count as not tried.
        assert report.unknown == 1
        assert {state for state, _ in parcels(rt)} == {"planned"}
        assert {error for _, error in parcels(rt)} == {"rate_limited"}
        clock.advance(seconds=701)
    far.status = 0
    clock.advance(days=1)

    assert run_providers(rt).taken == 3

    rt.session.execute(
        sa.update(ProviderParcel).values(state="planned", tries=MOST_TRIES - 1, try_at=rt.now())
    )
    rt.session.commit()
    rt.hooks._providers.clear()
    offer_nothing_but(rt)
    run_providers(rt)
    assert parcels(rt) == [("refused", "not_installed")] * 3


def offer_nothing_but(rt):
    """Offer a provider of another name, so that the old one is gone."""
    other = EasyPost(NearHttp(EasyPostAccount().app), key=KEY)
    other.name = "other"
    rt.hooks.add_shipping_provider("other", other)


def test_in_a_copied_shop_nothing_is_sent(rt, far):
    boxes = batch_for(rt, "easypost", 1)
    confirm_elsewhere(rt)

    assert run_providers(rt).taken == 0

    assert far.calls == []
    assert far.count_of(boxes[0]) == 0


def test_a_box_leaves_and_arrives_by_messages_whatever_their_order(rt, far):
    moves = ("pre_transit", "in_transit", "delivered")
    orders = list(permutations(moves))
    boxes = batch_for(rt, "easypost", len(orders))
    run_providers(rt)

    for number, (box, order) in enumerate(zip(boxes, orders, strict=True)):
        tracker = far.buy(box, f"1Z{number}")
        for status in order:
            tracker["status"] = status
            event = f"evt_{box}_{status}"
            assert tell(rt, far, tracker, event).is_new
            assert not tell(rt, far, tracker, event).is_new

    assert box_states(rt) == ["delivered"] * len(boxes)
    assert mails(rt) == len(boxes)
    assert count(rt, Shipment) == len(boxes)
    assert count(rt, ParcelEvent, ParcelEvent.state == "applied") == 3 * len(boxes)
    numbers = rt.session.scalars(sa.select(Shipment.tracking_number)).all()
    rt.session.rollback()
    assert sorted(numbers) == [f"1Z{number}" for number in range(len(boxes))]


def test_a_parcel_that_came_back_does_not_arrive_any_more(rt, far, clock):
    (box,) = batch_for(rt, "easypost", 1)
    run_providers(rt)
    tracker = far.buy(box, "1Z")
    for status in ("return_to_sender", "in_transit", "delivered"):
        tracker["status"] = status
        tell(rt, far, tracker)

    assert box_states(rt) == ["returned"]
    clock.advance(days=1)
    assert run_providers(rt).over == 1
    assert parcels(rt) == [("over", "")]
    assert run_providers(rt).over == 0


def test_a_number_from_a_file_is_followed_and_asked_about(rt, far, clock):
    boxes = batch_for(rt, "easypost", 2)
    offer(rt, far, "")
    rt.session.execute(sa.delete(ProviderParcel))
    rt.session.commit()
    take_called(rt, [{"box": box, "number": f"Z{box}", "carrier": "UPS"} for box in boxes], "tok")

    assert run_providers(rt).taken == 2
    assert {each["carrier"] for each in far.trackers.values()} == {"UPS"}
    far.move(f"Z{boxes[0]}", "delivered")
    clock.advance(hours=23)
    assert run_providers(rt).asked == 0
    clock.advance(hours=2)
    assert run_providers(rt).asked == 2

    assert box_states(rt) == ["delivered", "shipped"]
    assert mails(rt) == 2
    clock.advance(days=61)
    assert run_providers(rt).over == 2
    assert count(rt, ProviderParcel, ProviderParcel.try_at.is_not(None)) == 0


def test_of_a_provider_that_takes_no_boxes_nothing_is_planned_until_they_left(rt, far):
    offer(rt, far, "")

    batch_for(rt, "easypost", 2)

    assert parcels(rt) == []


def test_a_message_about_a_parcel_nobody_knows_waits_and_then_is_an_orphan(rt, far, clock):
    (box,) = batch_for(rt, "", 1)
    far._follow({"tracking_code": "1Z"})
    tracker = far.move("1Z", "delivered")
    tell(rt, far, tracker)
    far._follow({"tracking_code": "2Z"})
    tell(rt, far, far.move("2Z", "in_transit"))
    assert count(rt, ParcelEvent, ParcelEvent.state == "waiting") == 2

    # The number comes with a file a moment later.
    take_called(rt, [{"box": box, "number": "1Z"}], "tok")
    for _ in range(5):
        clock.advance(days=1)
        PARCEL_EVENTS.run(rt)

    states = rt.session.scalars(sa.select(ParcelEvent.state).order_by(ParcelEvent.id)).all()
    rt.session.rollback()
    assert states == ["applied", "orphan"]
    assert box_states(rt) == ["delivered"]
    clock.advance(days=91)
    assert delete_old(rt) == 2


def test_another_number_than_the_known_one_is_for_a_person(rt, far):
    (box,) = batch_for(rt, "easypost", 1)
    run_providers(rt)
    take_called(rt, [{"box": box, "number": "OTHER"}], "tok")
    tracker = far.buy(box, "1Z")
    tracker["status"] = "delivered"

    tell(rt, far, tracker)

    row = rt.session.execute(sa.select(ParcelEvent.state, ParcelEvent.error)).one()
    rt.session.rollback()
    assert tuple(row) == ("failed", "other_number")
    assert box_states(rt) == ["shipped"]


def test_what_is_stored_and_not_applied_the_worker_applies(rt, far, clock):
    (box,) = batch_for(rt, "easypost", 1)
    run_providers(rt)
    tracker = far.buy(box, "1Z")
    tracker["status"] = "delivered"
    arm("parcel.after_stored:raise")
    with pytest.raises(FailpointReached):
        tell(rt, far, tracker, "evt_1")
    arm("parcel.after_applied:raise")
    assert not tell(rt, far, tracker, "evt_1").is_new
    clock.advance(minutes=3)
    with pytest.raises(FailpointReached):
        apply_due(rt)
    arm("")
    clock.advance(minutes=3)

    assert apply_due(rt).applied == 1

    assert box_states(rt) == ["delivered"]
    assert mails(rt) == 1


def test_the_jobs_are_asked_for_when_there_is_something_to_do(rt, far):
    assert not asks(rt)
    batch_for(rt, "easypost", 1)
    assert asks(rt)

    run_providers(rt)

    assert not asks(rt)


def asks(rt):
    question = PROVIDERS.questions[0]
    found = rt.session.scalar(sa.select(question.is_yes()), question.values(rt.moment()))
    rt.session.rollback()
    return bool(found)


def test_a_group_uses_a_provider_that_is_there(rt, far, who):
    batch_for(rt, "", 1)
    group = rt.session.scalar(sa.text("SELECT public_id FROM cycle_group"))
    rt.session.rollback()

    assert use_format(rt, who, group, "generic_csv", "", "easypost")
    assert not use_format(rt, who, group, "generic_csv", "", "easypost")
    with pytest.raises(FormatGone):
        use_format(rt, who, group, "generic_csv", "", "nobody")
    # One that is not installed any more may stay chosen while something else is changed.
    rt.hooks._providers.clear()
    assert use_format(rt, who, group, "generic_csv", "a@b.example", "easypost")


def test_a_locked_box_is_not_moved_by_a_message(rt, far):
    (box,) = batch_for(rt, "easypost", 1)
    run_providers(rt)
    rt.session.execute(sa.update(Box).values(state=BoxState.LOCKED))
    rt.session.commit()
    tracker = far.buy(box, "1Z")
    tracker["status"] = "delivered"

    tell(rt, far, tracker)

    assert box_states(rt) == ["locked"]
    assert count(rt, ParcelEvent, ParcelEvent.state == "waiting") == 1
