"""Boxes in which a product has run out: another goes in, or it is left out and credited once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.adapters.failpoints import FailpointReached, arm
from storefront.domain.boxes import BoxState
from storefront.domain.invoices import CreditReason
from storefront.domain.refunds import Way
from storefront.domain.shortages import Policy
from storefront.mails import compose
from storefront.models import (
    AllergyAnswer,
    Box,
    BoxCycle,
    BoxItem,
    BoxShortage,
    CreditNote,
    CustomerCredit,
    Invoice,
    OutboxMessage,
    Product,
    ProductVariant,
)
from storefront.queries.account_home import home
from storefront.queries.invariants import broken
from storefront.queries.shortages import packed_by_rule
from storefront.services import cycles
from storefront.services.cycles import close_cycles
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.packing import retry_boxes
from storefront.services.refunding import Wish, offer, quote_refund, refund
from storefront.services.stock import NoValue, UnknownSubstitute, adjust_stock, set_rule
from storefront.testing import factories as make
from tests.support.admin import make_staff
from tests.support.changing import go
from tests.support.paying import waiting_mails


@pytest.fixture(autouse=True)
def _after(rt):
    yield
    arm("")
    rt.session.rollback()
    assert broken(rt.session) == {}


def rows(rt, model):
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def rule(rt, variant, policy, substitute=""):
    set_rule(rt, variant.public_id, is_counted=True, policy=policy, substitute=substitute)


@pytest.fixture
def shop(rt):
    """A plan of two teas of which one is short: two boxes, paid one after the other."""
    plan = make.make_plan(rt, group=make.make_group(rt))
    assam = make.make_variant(rt, name="Assam", sku="ASSAM", on_hand=1, price_minor=400)
    sencha = make.make_variant(rt, name="Sencha", sku="SENCHA", on_hand=9)
    make.make_recipe(rt, plan, variants=[assam, sencha])
    subs = [make.make_subscription(rt, plan=plan) for _ in range(2)]
    return subs, assam, sencha


def lock(rt, clock):
    clock.advance(days=45)
    close_cycles(rt)


def mails(rt, topic):
    return [row for row in rows(rt, OutboxMessage) if row.topic == topic]


def test_what_was_left_out_is_credited_once_with_its_tax(rt, clock, shop, monkeypatch):
    (first, second), assam, _sencha = shop
    rule(rt, assam, Policy.DROP)
    clock.advance(days=45)
    arm("close.before_commit:raise@1")
    with pytest.raises(FailpointReached):
        close_cycles(rt)
    rt.session.rollback()
    assert rows(rt, CreditNote) == []
    arm("")
    # Credits take their time, so there are fewer boxes in one transaction.
    monkeypatch.setattr(cycles, "CREDITING_SLICE", 1)
    slices = []
    close_cycles(rt, lambda *done: slices.append(done))
    assert slices == [(1, 2), (2, 2)]
    close_cycles(rt)
    [cycle] = {box.cycle_id for box in rows(rt, Box) if box.state == BoxState.LOCKED}
    ref = rt.session.get_one(BoxCycle, cycle).public_id
    retry_boxes(rt, ref)

    (note,), (short,) = rows(rt, CreditNote), rows(rt, BoxShortage)
    assert (note.total_minor, note.to, note.tax_minor > 0) == (400, "credit", True)
    assert (short.quantity, short.credit_minor, short.credit_note_id) == (1, 400, note.id)
    (credit,) = rows(rt, CustomerCredit)
    assert (credit.customer_id, credit.balance_minor) == (second.customer_id, 400)
    boxes = [box for box in rows(rt, Box) if box.state == BoxState.LOCKED]
    assert [box.packing["contents"] for box in boxes] == [
        [["ASSAM", 1], ["SENCHA", 1]],
        [["SENCHA", 1]],
    ]
    assert [box.packing.get("lacks") for box in boxes] == [None, [["Assam", "", True]]]
    (message,) = mails(rt, "box_short")
    assert (message.customer_id, message.payload["credit_minor"]) == (second.customer_id, 400)
    [view] = home(rt.session, second.customer_id, rt.moment(), rt.shop.taxes).subscriptions
    shown = [*view.lacks, *(lack for one in view.past for lack in one.lacks)]
    assert [(one.instead, one.credit.minor) for one in shown] == [("", 400)]
    rt.session.rollback()
    [by_rule] = packed_by_rule(rt.session, ref)
    assert (by_rule.boxes, by_rule.pieces, by_rule.credits[0].minor) == (1, 1, 400)
    rt.session.rollback()
    text = compose(rt, waiting_mails(rt, "box_short")[0]).text
    rt.session.rollback()
    assert "Assam had run out when we packed your box." in text
    assert "€4.00" in text
    assert first.customer_id != second.customer_id


def test_never_more_is_credited_than_the_box_cost(rt, clock, shop):
    _subs, assam, _sencha = shop
    rule(rt, assam, Policy.DROP)
    rt.session.execute(sa.update(ProductVariant).values(price_minor=999_00))
    rt.session.commit()
    lock(rt, clock)

    (note,), (invoice, *_others) = rows(rt, CreditNote), rows(rt, Invoice)
    assert note.total_minor == invoice.total_minor


@pytest.mark.parametrize(("percent", "back"), [(100, 0), (50, 1300)])
def test_of_a_free_box_whose_delivery_is_paid_nothing_is_credited_and_it_leaves(
    rt, clock, percent, back
):
    make.make_zone(rt, "DE", 490)
    make.make_code(rt, "WELCOME", percent=percent)
    plan = make.make_plan(rt, group=make.make_group(rt))
    assam = make.make_variant(rt, name="Assam", sku="ASSAM", on_hand=0, price_minor=1600)
    make.make_recipe(rt, plan, variants=[assam, make.make_variant(rt, sku="SENCHA", on_hand=9)])
    make.make_subscription(rt, plan=plan, code="WELCOME")
    rule(rt, assam, Policy.DROP)
    lock(rt, clock)

    assert rows(rt, Invoice)[0].total_minor == 2600 * (100 - percent) // 100 + 490
    (box,) = [box for box in rows(rt, Box) if box.locked_at or box.problem]
    assert (box.state, box.problem) == (BoxState.LOCKED, "")
    assert [short.credit_minor for short in rows(rt, BoxShortage)] == [back]


def test_a_box_whose_money_went_elsewhere_waits_and_holds_nobody_up(rt, clock, demo_gateway):
    """A change of plan took over the second box, staff refunded the first one by hand."""
    make.make_zone(rt, "DE", 490)
    group = make.make_group(rt)
    plan, other = (
        make.make_plan(rt, group=group, amount_minor=minor, count=2) for minor in (5200, 8200)
    )
    assam = make.make_variant(rt, name="Assam", sku="ASSAM", on_hand=0, price_minor=400)
    sencha = make.make_variant(rt, sku="SENCHA", on_hand=9)
    for each in (plan, other):
        make.make_recipe(rt, each, variants=[assam, sencha])
    sub, _next = [make.make_subscription(rt, plan=plan) for _ in range(2)]
    rule(rt, assam, Policy.DROP)
    clock.advance(days=10)
    assert go(rt, sub, other)[1].outcome == "applied"
    ref = rows(rt, Invoice)[0].public_id
    line = offer(rt, ref).lines[0]
    wish = Wish({line.head.id: line.left}, Way.CREDIT, CreditReason.REFUND)
    refund(rt, make_staff(rt), ref, wish, quote_refund(rt, ref, wish).quote_hash)
    clock.advance(days=5)
    close_cycles(rt)

    boxes = [box for box in rows(rt, Box) if box.locked_at or box.problem]
    assert sorted((box.state, box.problem) for box in boxes) == [
        (BoxState.HELD, "short_stock"),
        (BoxState.LOCKED, ""),
    ]
    assert [short.credit_minor for short in rows(rt, BoxShortage)] == [400]


def test_another_goes_in_unless_it_is_not_tolerated(rt, clock, shop):
    (_first, second), assam, _sencha = shop
    nutty = make.make_variant(rt, name="Nutty", sku="NUTTY", on_hand=1)
    product = sa.select(ProductVariant.product_id).where(ProductVariant.id == nutty.id)
    rt.session.execute(
        sa.update(Product).where(Product.id == product.scalar_subquery()).values(allergens=["nuts"])
    )
    third = make.make_subscription(rt, plan=rt.session.get_one(make.Plan, second.plan_id))
    rt.session.add(
        AllergyAnswer(subscription_id=second.id, number=1, allergens=["nuts"], answered_at=rt.now())
    )
    rt.session.commit()
    rule(rt, assam, Policy.SUBSTITUTE, "NUTTY")
    lock(rt, clock)

    boxes = {box.subscription_id: box for box in rows(rt, Box) if box.locked_at or box.problem}
    assert (boxes[second.id].state, boxes[second.id].problem) == (BoxState.HELD, "short_stock")
    assert boxes[third.id].packing["contents"] == [["SENCHA", 1], ["NUTTY", 1]]
    [[name, instead, is_credited]] = boxes[third.id].packing["lacks"]
    assert (name, bool(instead), is_credited) == ("Assam", True, False)
    assert [item.origin for item in rows(rt, BoxItem)].count("substitute") == 1
    assert [mail.customer_id for mail in mails(rt, "box_short")] == [third.customer_id]
    assert rows(rt, CreditNote) == []
    adjust_stock(rt, assam.public_id, "correction", 1, "")
    retry_boxes(rt, rt.session.get_one(BoxCycle, boxes[second.id].cycle_id).public_id)
    assert rt.session.get_one(Box, boxes[second.id].id).state == BoxState.LOCKED


def test_a_box_that_is_not_paid_by_an_invoice_waits_instead_of_a_credit(rt, clock, shop):
    _subs, assam, _sencha = shop
    rule(rt, assam, Policy.DROP)
    rt.session.execute(sa.update(Box).values(invoice_line_id=None))
    rt.session.commit()
    lock(rt, clock)

    assert sorted(box.problem for box in rows(rt, Box) if box.locked_at or box.problem) == [
        "",
        "short_stock",
    ]
    assert (rows(rt, BoxShortage), rows(rt, CreditNote)) == ([], [])


def test_a_rule_needs_a_value_or_another_product(rt, shop):
    _subs, assam, sencha = shop
    with pytest.raises(NoValue):
        rule(rt, sencha, Policy.DROP)
    for sku in ("ASSAM", "NOTHING"):
        with pytest.raises(UnknownSubstitute):
            rule(rt, assam, Policy.SUBSTITUTE, sku)
    rule(rt, assam, Policy.MAKE)
    assert rt.session.get_one(ProductVariant, assam.id).may_oversell


def test_who_waits_for_stock_is_told_once_and_thanked_when_it_leaves(rt, clock, shop):
    (_first, second), assam, _sencha = shop
    lock(rt, clock)
    [held] = [box for box in rows(rt, Box) if box.state == BoxState.HELD]
    cycle = rt.session.get_one(BoxCycle, held.cycle_id).public_id
    retry_boxes(rt, cycle)
    (message,) = mails(rt, "box_waits")
    assert (message.customer_id, message.payload["box"]) == (second.customer_id, held.public_id)
    mail = compose(rt, waiting_mails(rt, "box_waits")[0])
    assert mail.subject == "Your box has to wait a little"
    assert "Assam" in mail.text
    assert mails(rt, "box_made") == []

    adjust_stock(rt, assam.public_id, "correction", 1, "")
    retry_boxes(rt, cycle)
    ship_batch(rt, export_boxes(rt, cycle).public_id, carrier="DHL", tracking={})
    texts = {
        message.payload["box"]: compose(rt, message).text
        for message in waiting_mails(rt, "box_shipped")
    }
    assert [ref for ref, text in texts.items() if "Thank you for waiting" in text] == [
        held.public_id
    ]


def test_a_box_that_waited_and_leaves_without_something_is_not_called_complete(rt, clock, shop):
    _subs, assam, _sencha = shop
    lock(rt, clock)
    [held] = [box for box in rows(rt, Box) if box.state == BoxState.HELD]
    cycle = rt.session.get_one(BoxCycle, held.cycle_id).public_id
    rule(rt, assam, Policy.DROP)
    retry_boxes(rt, cycle)
    ship_batch(rt, export_boxes(rt, cycle).public_id, carrier="DHL", tracking={})
    texts = [compose(rt, message).text for message in waiting_mails(rt, "box_shipped")]
    assert len(texts) == 2
    assert not any("complete" in text for text in texts)


def test_who_gets_what_is_still_made_is_told_that_it_may_be_late(rt, clock, shop):
    (_first, second), assam, _sencha = shop
    rule(rt, assam, Policy.MAKE)
    lock(rt, clock)
    (message,) = mails(rt, "box_made")
    assert message.customer_id == second.customer_id
    assert "Assam" in compose(rt, waiting_mails(rt, "box_made")[0]).text
    assert mails(rt, "box_waits") == []
