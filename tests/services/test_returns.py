"""Boxes that came back: on a list until somebody decides, and told once."""

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.domain.replacements import Reason
from storefront.domain.tracking_rows import Status, TrackingRow
from storefront.models import (
    AuditEntry,
    Box,
    BoxReturn,
    CreditNote,
    CycleGroup,
    Invoice,
    OutboxMessage,
    Staff,
)
from storefront.operations.audit import Who
from storefront.parcels import By, TrackingReport, take_rows
from storefront.queries.worklists import counts, listed
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.replacements import Wanted, note_outcome, replace_box, take_back
from storefront.services.returns import settle_return
from storefront.services.staff import add_staff
from storefront.testing.factories import (
    make_group,
    make_plan,
    make_recipe,
    make_subscription,
    make_variant,
)
from tests.support.boxes import cycles_of, make_box


@pytest.fixture
def tea(rt):
    return make_variant(rt, sku="ASSAM", on_hand=10)


@pytest.fixture
def box(rt, tea, clock):
    """A box on its way; returns its public id."""
    group = make_group(rt)
    plan = make_plan(rt, group=group)
    make_recipe(rt, plan, variants=[tea])
    cycle = cycles_of(rt, group)[0]
    make_box(rt, plan, cycle)
    clock.advance(days=14)
    close_cycles(rt)
    ship_batch(rt, export_boxes(rt, cycle.public_id).public_id, carrier="DHL", tracking={})
    ref = rt.session.scalar(sa.select(Box.public_id))
    rt.session.rollback()
    return ref


@pytest.fixture
def who(rt):
    add_staff(
        rt, email="help@shop.example", name="Pat", password="kettle on the hob 9", role="owner"
    )
    row = rt.session.execute(sa.select(Staff.id, Staff.public_id)).one()
    rt.session.rollback()
    return Who(row.id, row.public_id, "127.0.0.1")


def on_list(rt):
    found = [row.box for row in listed(rt.session, "returned", rt.moment())]
    assert counts(rt.session, rt.moment(), rt.shop.currency)["returned"].count == len(found)
    rt.session.rollback()
    return found


def settled(rt):
    """What the boxes that came back were settled by; "" of those still open."""
    found = rt.session.scalars(sa.select(BoxReturn.settled_ref).order_by(BoxReturn.id)).all()
    rt.session.rollback()
    return list(found)


def mails(rt):
    found = rt.session.scalars(
        sa.select(OutboxMessage.topic)
        .where(OutboxMessage.kind == "mail", OutboxMessage.topic.like("box_re%"))
        .order_by(OutboxMessage.id)
    ).all()
    rt.session.rollback()
    return list(found)


def test_what_a_carrier_says_came_back_is_listed_and_told_once(rt, box, who):
    said = [TrackingRow(1, box, "", "", Status.RETURNED)]
    for _twice in range(2):
        take_rows(rt, said, TrackingReport(), By.machine("easypost"))
    assert (on_list(rt), mails(rt)) == ([box], ["box_returned"])
    note_outcome(rt, box, BoxState.DELIVERED, who)
    assert on_list(rt) == []
    note_outcome(rt, box, BoxState.RETURNED, who)
    assert (on_list(rt), mails(rt)) == ([box], ["box_returned"])


def test_it_leaves_the_list_when_it_is_settled_and_comes_on_it_when_it_comes_back_again(
    rt, box, who, clock
):
    assert not settle_return(rt, box, who)
    note_outcome(rt, box, BoxState.RETURNED, who)
    assert settle_return(rt, box, who)
    assert not settle_return(rt, box, who)
    assert on_list(rt) == []
    row = rt.session.execute(sa.select(BoxReturn.settled_ref, BoxReturn.settled_at)).one()
    assert (row.settled_ref, row.settled_at) == (who.public_id, rt.now())
    noted = sa.select(sa.func.count()).where(AuditEntry.action == "box.settled")
    assert rt.session.scalar(noted) == 1
    rt.session.rollback()
    clock.advance(days=1)
    note_outcome(rt, box, BoxState.LOST, who)
    note_outcome(rt, box, BoxState.RETURNED, who)
    assert on_list(rt) == [box]


def test_one_that_is_sent_again_is_on_the_list_only_if_that_is_taken_back(rt, box, tea, who):
    wanted = Wanted(Reason.RETURNED, {tea.public_id: 1}, True)
    again = replace_box(rt, box, wanted, who).public_id
    assert (on_list(rt), mails(rt), settled(rt)) == ([], ["box_replaced"], [again])
    take_back(rt, again, who)
    assert (on_list(rt), settled(rt)) == ([box], [""])
    # Known to be back by now, it is sent again once more.
    again = replace_box(rt, box, wanted, who).public_id
    assert (on_list(rt), settled(rt)) == ([], [again])


def test_one_that_was_sent_again_before_it_was_back_is_never_listed(rt, box, tea, who):
    again = replace_box(rt, box, Wanted(Reason.DAMAGED, {tea.public_id: 1}, True), who).public_id
    note_outcome(rt, box, BoxState.RETURNED, who)
    assert (on_list(rt), settled(rt)) == ([], [again])


def give_back(rt, who, amount, afterwards=Afterwards.KEEP):
    invoice = rt.session.scalar(sa.select(Invoice.public_id))
    rt.session.rollback()
    line = offer(rt, invoice).lines[0].head.id
    wish = Wish({line: amount}, Way.CARD, CreditReason.REFUND, afterwards)
    refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


@pytest.mark.parametrize("gone", [BoxState.RETURNED, BoxState.LOST])
def test_it_leaves_the_list_when_it_is_refunded_not_when_boxes_to_come_are(
    rt, tea, clock, who, gone
):
    """Twelve boxes were paid with 40.00: each cost 3.33 or 3.34."""
    group = make_group(rt)
    plan = make_plan(rt, group=group, unit="year", amount_minor=4000)
    make_recipe(rt, plan, variants=[tea])
    make_subscription(rt, plan=plan)
    cycle = cycles_of(rt, group)[0]
    clock.advance(days=14)
    close_cycles(rt)
    ship_batch(rt, export_boxes(rt, cycle.public_id).public_id, carrier="DHL", tracking={})
    box = rt.session.scalar(sa.select(Box.public_id).where(Box.state == BoxState.SHIPPED))
    rt.session.rollback()
    note_outcome(rt, box, gone, who)

    give_back(rt, who, 300)
    assert on_list(rt) == [box], "a part is not all of it"
    give_back(rt, who, 3660, Afterwards.STOP_NOW)
    assert on_list(rt) == [box], "eleven that were never sent"
    assert settled(rt) == [""]
    give_back(rt, who, 40)
    assert on_list(rt) == []
    notes = rt.session.scalars(sa.select(CreditNote.public_id).order_by(CreditNote.id)).all()
    assert settled(rt) == [notes[-1]]


def test_of_two_boxes_of_one_payment_neither_is_taken_for_the_other(rt, tea, clock, who):
    """Twelve boxes were paid with 40.00; those of March and April left and came back."""
    group = make_group(rt)
    plan = make_plan(rt, group=group, unit="year", amount_minor=4000)
    make_recipe(rt, plan, variants=[tea])
    make_subscription(rt, plan=plan)
    for cycle, days in zip(cycles_of(rt, group)[:2], (14, 31), strict=True):
        clock.advance(days=days)
        close_cycles(rt)
        ship_batch(rt, export_boxes(rt, cycle.public_id).public_id, carrier="DHL", tracking={})
    left = sa.select(Box.public_id).where(Box.state == BoxState.SHIPPED).order_by(Box.id)
    first, second = rt.session.scalars(left).all()
    rt.session.rollback()
    for box in (first, second):
        note_outcome(rt, box, BoxState.RETURNED, who)

    give_back(rt, who, 334)
    assert on_list(rt) == [first, second]
    wanted = Wanted(Reason.RETURNED, {tea.public_id: 1}, False)
    again = replace_box(rt, first, wanted, who).public_id
    assert on_list(rt) == [second], "the 3.34 may have been for the first"
    take_back(rt, again, who)
    assert (on_list(rt), settled(rt)) == ([first, second], ["", ""])
    give_back(rt, who, 335)
    assert on_list(rt) == []
    # The first comes back once more: what was given back before was about the first time.
    clock.advance(days=1)
    note_outcome(rt, first, BoxState.DELIVERED, who)
    note_outcome(rt, first, BoxState.RETURNED, who)
    assert on_list(rt) == [first]
    give_back(rt, who, 335)
    assert on_list(rt) == []


def test_a_refund_that_stops_what_is_sent_again_leaves_what_came_back_to_be_decided(
    rt, tea, clock, who
):
    plan = make_plan(rt, group=make_group(rt))
    make_recipe(rt, plan, variants=[tea])
    sub = make_subscription(rt, plan=plan)
    cycle = cycles_of(rt, rt.session.get_one(CycleGroup, plan.cycle_group_id))[0]
    clock.advance(days=14)
    close_cycles(rt)
    ship_batch(rt, export_boxes(rt, cycle.public_id).public_id, carrier="DHL", tracking={})
    box = rt.session.scalar(sa.select(Box.public_id).where(Box.subscription_id == sub.id))
    rt.session.rollback()
    note_outcome(rt, box, BoxState.RETURNED, who)
    again = replace_box(rt, box, Wanted(Reason.RETURNED, {tea.public_id: 1}, True), who).public_id
    assert settled(rt) == [again]
    give_back(rt, who, 100, Afterwards.STOP_NOW)
    assert (on_list(rt), settled(rt)) == ([box], [""])


def test_a_lost_box_is_listed_and_told_once_until_somebody_decides(rt, box, tea, who):
    for _twice in range(2):
        note_outcome(rt, box, BoxState.LOST, who)
    assert (on_list(rt), lost_mails(rt)) == ([box], 1)
    assert settle_return(rt, box, who)
    assert on_list(rt) == []
    again = replace_box(rt, box, Wanted(Reason.LOST, {tea.public_id: 1}, True), who).public_id
    take_back(rt, again, who)
    assert on_list(rt) == [], "staff had put it aside"


def test_a_lost_box_that_is_sent_again_at_once_is_told_that_alone(rt, box, tea, who):
    wanted = Wanted(Reason.LOST, {tea.public_id: 1}, True)
    again = replace_box(rt, box, wanted, who).public_id
    assert (on_list(rt), lost_mails(rt), settled(rt)) == ([], 0, [again])
    take_back(rt, again, who)
    assert on_list(rt) == [box]


def lost_mails(rt):
    lost = sa.select(sa.func.count()).where(OutboxMessage.topic == "box_lost")
    count = rt.session.scalar(lost)
    rt.session.rollback()
    return count
