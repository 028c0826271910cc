"""Boxes that came back: on a list until somebody decides, and told once."""

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Afterwards, Way
from storefront.domain.replacements import Reason
from storefront.domain.tracking_rows import Status, TrackingRow
from storefront.models import AuditEntry, Box, BoxReturn, Invoice, OutboxMessage, Staff
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
    assert (on_list(rt), mails(rt)) == ([], ["box_replaced"])
    take_back(rt, again, who)
    assert on_list(rt) == [box]


def give_back(rt, who, amount, afterwards=Afterwards.KEEP):
    invoice = rt.session.scalar(sa.select(Invoice.public_id))
    rt.session.rollback()
    line = offer(rt, invoice).lines[0].head.id
    wish = Wish({line: amount}, Way.CARD, CreditReason.REFUND, afterwards)
    refund(rt, who, invoice, wish, quote_refund(rt, invoice, wish).quote_hash)


def test_it_leaves_the_list_when_it_is_refunded_not_when_boxes_to_come_are(rt, tea, clock, who):
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
    note_outcome(rt, box, BoxState.RETURNED, who)

    give_back(rt, who, 300)
    assert on_list(rt) == [box], "a part is not all of it"
    give_back(rt, who, 3660, Afterwards.STOP_NOW)
    assert on_list(rt) == [box], "eleven that were never sent"
    give_back(rt, who, 40)
    assert on_list(rt) == []
