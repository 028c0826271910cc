"""Boxes with a recipe that holds what their subscriber does not tolerate."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.shortages import Policy
from storefront.mails import compose
from storefront.models import (
    AllergyAnswer,
    Box,
    BoxCycle,
    BoxShortage,
    Checkout,
    CreditNote,
    OutboxMessage,
    Plan,
    Product,
    ProductVariant,
    SubscriptionEvent,
)
from storefront.queries.account_home import home
from storefront.queries.invariants import broken
from storefront.queries.shortages import packed_by_rule
from storefront.services.checkout import change_delivery
from storefront.services.choices import answer_allergies
from storefront.services.cycles import close_cycles
from storefront.services.finishing import Outcome, expire_checkouts
from storefront.services.stock import set_rule
from storefront.testing import factories as make
from tests.support.orders import ADA, begin, paid
from tests.support.paying import waiting_mails


def rows(rt, model):
    rt.session.rollback()
    rt.session.expire_all()
    return list(rt.session.scalars(sa.select(model).order_by(model.id)))


def contains(rt, variant, *words):
    product = sa.select(ProductVariant.product_id).where(ProductVariant.id == variant.id)
    rt.session.execute(
        sa.update(Product)
        .where(Product.id == product.scalar_subquery())
        .values(allergens=list(words))
    )
    rt.session.commit()


@pytest.fixture
def shop(rt):
    """A plan of a nutty and a plain tea, two boxes of it, and what may come instead."""
    plan = make.make_plan(rt, group=make.make_group(rt))
    nutty = make.make_variant(rt, name="Nutty", sku="NUTTY", on_hand=9, price_minor=400)
    plain = make.make_variant(rt, name="Plain", sku="PLAIN", on_hand=9)
    other = make.make_variant(rt, name="Other", sku="OTHER", on_hand=9)
    contains(rt, nutty, "nuts")
    make.make_recipe(rt, plan, variants=[nutty, plain])
    subs = [make.make_subscription(rt, plan=plan) for _ in range(2)]
    return subs, nutty, other


def locked(rt, clock):
    clock.advance(days=45)
    close_cycles(rt)
    found = {box.subscription_id: box for box in rows(rt, Box) if box.locked_at or box.problem}
    assert broken(rt.session) == {}
    rt.session.rollback()
    return found


def test_what_is_not_tolerated_is_left_out_credited_and_told_without_its_reason(rt, clock, shop):
    (first, second), nutty, _other = shop
    assert answer_allergies(rt, first.customer_id, first.public_id, ["nuts"])
    boxes = locked(rt, clock)

    assert [boxes[one.id].packing["contents"] for one in (first, second)] == [
        [["PLAIN", 1]],
        [["NUTTY", 1], ["PLAIN", 1]],
    ]
    assert rt.session.get_one(ProductVariant, nutty.id).on_hand == 8
    (note,), (short,) = rows(rt, CreditNote), rows(rt, BoxShortage)
    assert (note.total_minor, short.credit_minor, short.ran_out) == (400, 400, False)
    assert boxes[first.id].packing["lacks"] == [["Nutty", "", True, True]]
    [view] = home(rt.session, first.customer_id, rt.moment(), rt.shop.taxes).subscriptions
    shown = [*view.lacks, *(lack for one in view.past for lack in one.lacks)]
    assert [(one.name, one.ran_out) for one in shown] == [("Nutty", False)]
    # The board of the cycle is about stock.
    cycle = rt.session.get_one(BoxCycle, boxes[first.id].cycle_id)
    assert packed_by_rule(rt.session, cycle.public_id) == ()
    rt.session.rollback()
    text = compose(rt, waiting_mails(rt, "box_short")[0]).text
    rt.session.rollback()
    assert "Nutty is not in your box, as you asked." in text
    assert "run out" not in text
    told = [row.payload for row in rows(rt, OutboxMessage)]
    told += [row.data for row in rows(rt, SubscriptionEvent)]
    assert "nuts" not in repr(told)


def test_another_that_is_tolerated_comes_instead_and_nothing_is_credited(rt, clock, shop):
    (first, _second), nutty, _other = shop
    set_rule(rt, nutty.public_id, is_counted=True, policy=Policy.SUBSTITUTE, substitute="OTHER")
    answer_allergies(rt, first.customer_id, first.public_id, ["nuts"])
    boxes = locked(rt, clock)

    assert boxes[first.id].packing["contents"] == [["PLAIN", 1], ["OTHER", 1]]
    assert [(one.ran_out, one.credit_minor) for one in rows(rt, BoxShortage)] == [(False, 0)]
    assert rows(rt, CreditNote) == []


def test_a_box_waits_where_there_is_neither_another_nor_a_price(rt, clock, shop):
    (first, second), nutty, other = shop
    contains(rt, other, "nuts")
    set_rule(rt, nutty.public_id, is_counted=True, policy=Policy.SUBSTITUTE, substitute="OTHER")
    rt.session.execute(
        sa.update(ProductVariant).where(ProductVariant.id == nutty.id).values(price_minor=None)
    )
    rt.session.commit()
    answer_allergies(rt, first.customer_id, first.public_id, ["nuts"])
    boxes = locked(rt, clock)

    assert [(boxes[one.id].state, boxes[one.id].problem) for one in (first, second)] == [
        (BoxState.HELD, "not_tolerated"),
        (BoxState.LOCKED, ""),
    ]


def test_what_is_said_with_the_order_counts_for_its_first_box_and_stays_nowhere_else(
    rt, clock, shop, demo_gateway
):
    plan = rt.session.get_one(Plan, shop[0][0].plan_id)
    key = begin(rt, plan, email="eve@example.org")
    assert change_delivery(rt, key, "eve@example.org", ADA, avoids=["nuts"])
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert [list(one.allergens) for one in rows(rt, AllergyAnswer)] == [["nuts"]]
    assert [one.avoids for one in rows(rt, Checkout) if one.avoids] == []
    eve = rows(rt, AllergyAnswer)[0].subscription_id
    assert locked(rt, clock)[eve].packing["contents"] == [["PLAIN", 1]]


def test_an_order_that_is_never_paid_leaves_no_word_about_health(rt, clock, shop):
    plan = rt.session.get_one(Plan, shop[0][0].plan_id)
    key = begin(rt, plan, email="eve@example.org")
    assert change_delivery(rt, key, "eve@example.org", ADA, avoids=["nuts"])
    assert [one.avoids for one in rows(rt, Checkout)][-1] == ["nuts"]
    clock.advance(days=60)
    expire_checkouts(rt)
    assert [one.avoids for one in rows(rt, Checkout)][-1] == []
    assert rows(rt, AllergyAnswer) == []
