"""Boxes for which something has run out: what lacks is named to who gets them and to staff."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.shortages import Policy
from storefront.mails import compose
from storefront.models import AllergyAnswer, Box, BoxCycle, Product, ProductVariant
from storefront.queries.account_home import home
from storefront.queries.cycles import board
from storefront.queries.invariants import broken
from storefront.services.cycles import close_cycles
from storefront.services.packing import retry_boxes
from storefront.services.stock import adjust_stock, set_rule
from storefront.testing import factories as make
from tests.support.paying import waiting_mails


@pytest.fixture(autouse=True)
def _after(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def shop(rt):
    """A plan of two teas of which one is short: two boxes, paid one after the other."""
    plan = make.make_plan(rt, group=make.make_group(rt))
    assam = make.make_variant(rt, name="Assam", sku="ASSAM", on_hand=1, price_minor=400)
    sencha = make.make_variant(rt, name="Sencha", sku="SENCHA", on_hand=9)
    nutty = make.make_variant(rt, name="Nutty", sku="NUTTY", on_hand=9)
    make.make_recipe(rt, plan, variants=[assam, sencha])
    subs = [make.make_subscription(rt, plan=plan) for _ in range(2)]
    return subs, assam, nutty


def lock(rt, clock):
    """Lock on the evening of the lock day; returns the public id of the cycle."""
    cycle = rt.session.scalar(sa.select(BoxCycle).join(Box, Box.cycle_id == BoxCycle.id).limit(1))
    ref, day = cycle.public_id, cycle.lock_on + timedelta(days=1)
    days = (day - rt.today()).days
    rt.session.rollback()
    clock.advance(days=days)
    close_cycles(rt)
    return ref


def shown(rt, sub):
    [view] = home(rt.session, sub.customer_id, rt.moment(), rt.shop.taxes).subscriptions
    rt.session.rollback()
    return view.next_box


def test_a_box_that_waits_names_what_it_waits_for(rt, clock, shop):
    (_first, second), _assam, _nutty = shop
    ref = lock(rt, clock)
    box = shown(rt, second)
    assert (box.state, box.waits_for) == ("held", ("Assam",))
    assert "Assam" in compose(rt, waiting_mails(rt, "box_waits")[0]).text
    rt.session.rollback()
    found = board(rt.session, ref, rt.today())
    assert [one.waits_for for one in found.held] == [(("Assam", 1, "", False),)]
    assert [(one.name, one.boxes, one.pieces) for one in found.waiting] == [("Assam", 1, 1)]
    rt.session.rollback()
    assert waiting_mails(rt, "box_short") == []


def test_the_board_says_which_other_product_was_not_tolerated(rt, clock, shop):
    (_first, second), assam, nutty = shop
    product = sa.select(ProductVariant.product_id).where(ProductVariant.id == nutty.id)
    rt.session.execute(
        sa.update(Product).where(Product.id == product.scalar_subquery()).values(allergens=["nuts"])
    )
    rt.session.add(
        AllergyAnswer(subscription_id=second.id, number=1, allergens=["nuts"], answered_at=rt.now())
    )
    rt.session.commit()
    set_rule(rt, assam.public_id, is_counted=True, policy=Policy.SUBSTITUTE, substitute="NUTTY")
    found = board(rt.session, lock(rt, clock), rt.today())
    assert [one.waits_for for one in found.held] == [(("Assam", 1, "Nutty", True),)]


def test_no_mail_of_a_box_that_waited_names_a_day_that_is_past(rt, clock, shop):
    _subs, assam, _nutty = shop
    ref = lock(rt, clock)
    clock.advance(days=60)
    set_rule(rt, assam.public_id, is_counted=True, policy=Policy.SUBSTITUTE, substitute="NUTTY")
    retry_boxes(rt, ref)
    assert rt.session.scalars(sa.select(Box.state).where(Box.state == BoxState.HELD)).all() == []
    rt.session.rollback()
    text = compose(rt, waiting_mails(rt, "box_short")[0]).text
    assert "Nutty" in text
    assert "Leaves on" not in text


def test_what_is_still_made_is_named_to_who_waits_and_on_the_board(rt, clock, shop):
    _subs, assam, _nutty = shop
    set_rule(rt, assam.public_id, is_counted=True, policy=Policy.MAKE, substitute="")
    ref = lock(rt, clock)
    assert "Assam" in compose(rt, waiting_mails(rt, "box_made")[0]).text
    rt.session.rollback()
    [made] = board(rt.session, ref, rt.today()).made
    assert (made.name, made.boxes, made.pieces) == ("Assam", 1, 1)


def test_a_box_that_got_its_stock_waits_for_nothing(rt, clock, shop):
    (_first, second), assam, _nutty = shop
    ref = lock(rt, clock)
    adjust_stock(rt, assam.public_id, "correction", 1, "")
    retry_boxes(rt, ref)
    assert shown(rt, second).waits_for == ()


def test_before_the_lock_the_board_lists_what_is_made_all_the_same(rt, shop):
    _subs, assam, _nutty = shop
    set_rule(rt, assam.public_id, is_counted=True, policy=Policy.MAKE, substitute="")
    cycle = rt.session.scalar(sa.select(BoxCycle).join(Box, Box.cycle_id == BoxCycle.id).limit(1))
    found = board(rt.session, cycle.public_id, rt.today())
    assert [(one.name, one.missing, one.is_made) for one in found.shortages] == [("Assam", 1, True)]
