"""Free stock and add-ons: of each subscription what comes with its next box, counted once."""

from datetime import timedelta

import pytest

from storefront.domain.addons import Cadence
from storefront.models import BoxItem, SubscriptionAddon
from storefront.models.base import public_id
from storefront.operations.places import free_stock
from storefront.queries.units import forecast
from storefront.testing.factories import make_addon, make_group, make_plan, make_variant, save
from tests.support.boxes import cycles_of, make_box, make_subscribed


@pytest.fixture
def group(rt):
    return make_group(rt)


@pytest.fixture
def plan(rt, group):
    return make_plan(rt, group=group)


@pytest.fixture
def honey(rt):
    return make_variant(rt, on_hand=30)


def bring(rt, sub, addon, pieces, cadence=Cadence.EVERY, **values):
    row = SubscriptionAddon(
        public_id=public_id("sad"),
        subscription_id=sub.id,
        addon_id=addon.id,
        quantity=pieces,
        unit_minor=900,
        cadence=cadence,
        created_at=rt.now(),
    )
    for name, value in values.items():
        setattr(row, name, value)
    save(rt, row)


def lay(rt, box, variant, pieces):
    save(rt, BoxItem(box_id=box.id, variant_id=variant.id, quantity=pieces, origin="addon"))


def standing(rt, variant):
    found = free_stock(rt.session, [variant.id], rt.moment())[variant.id]
    rt.session.rollback()
    return found.sold, found.running, found.held, found.free


def expected(rt, variant):
    """Return the pieces in the first cycle that needs any."""
    found = forecast(rt.session, rt.today(), 3).variants
    rt.session.rollback()
    own = [one.expected for one in found if one.sku == variant.sku]
    return next((pieces for each in own for pieces in each if pieces), 0)


def test_add_ons_of_running_subscribers_are_not_sold(rt, plan, honey):
    addon = make_addon(rt, variant=honey)
    for _each in range(4):
        bring(rt, make_subscribed(rt, plan, quantity=2), addon, 1)
    bring(rt, make_subscribed(rt, plan), addon, 3, Cadence.ONCE)
    bring(rt, make_subscribed(rt, plan), addon, 5, ended_at=rt.now())
    bring(rt, make_subscribed(rt, plan, cancel_on=rt.today()), addon, 6)

    assert standing(rt, honey) == (0, 7, 0, 23)
    assert expected(rt, honey) == 7


def test_of_a_paid_term_the_add_on_of_the_next_box_counts(rt, plan, group, honey):
    addon = make_addon(rt, variant=honey)
    sub = make_subscribed(rt, plan, next_on=rt.today() + timedelta(days=365))
    bring(rt, sub, addon, 2)
    for number, cycle in enumerate(cycles_of(rt, group)[:3]):
        lay(rt, make_box(rt, plan, cycle, subscription=sub, number=number), honey, 2)

    assert standing(rt, honey) == (2, 0, 0, 28)
    assert expected(rt, honey) == 2


def test_a_plan_that_ships_nothing_reserves_no_piece(rt, honey):
    bring(rt, make_subscribed(rt, make_plan(rt, ships=False)), make_addon(rt, variant=honey), 2)

    assert standing(rt, honey) == (0, 0, 0, 30)
