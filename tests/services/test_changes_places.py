"""A change to a plan of which there are few takes a place by the rule of orders."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.changes import NotChangeable, Wish
from storefront.models import Customer, WaitingPlace
from storefront.operations.consents import Given
from storefront.operations.places import places_taken
from storefront.queries.invariants import broken
from storefront.services.changes import change, quote_change, withdraw
from storefront.services.places import set_places
from storefront.testing import factories as make
from tests.support.admin import make_staff

AGREED = Given("I agree to it.", "change-1", "192.0.2.7", "A browser")


@pytest.fixture(autouse=True)
def invariants(rt):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def who(rt):
    return make_staff(rt)


@pytest.fixture
def group(rt):
    return make.make_group(rt, cycles=30)


@pytest.fixture
def sub(rt, group):
    return make.make_subscription(rt, plan=make.make_plan(rt, group=group, code="cup"))


@pytest.fixture
def cellar(rt, group):
    """A plan of few boxes and its monthly price."""
    plan = make.make_plan(rt, group=group, code="cellar", name="Cellar")
    return plan, make.make_price(rt, plan, amount_minor=3200)


def limit(rt, who, plan, many):
    set_places(rt, who, plan.public_id, many, sells_by_stock=False)


def go(rt, sub, price, when="now", quantity=None):
    wish = Wish(price.public_id, quantity, None, when)
    quote = quote_change(rt, sub.customer_id, sub.public_id, wish)
    return change(rt, sub.customer_id, sub.public_id, wish, quote.quote_hash, AGREED)


def refused(rt, sub, price, when="now", quantity=None):
    with pytest.raises(NotChangeable) as caught:
        go(rt, sub, price, when, quantity)
    rt.session.rollback()
    return caught.value.params["reason"]


def taken(rt, plan):
    found = places_taken(rt.session, [plan.id], rt.now())[plan.id]
    rt.session.rollback()
    return found


def wait(rt, plan, email, hours=None):
    until = rt.now() + timedelta(hours=hours) if hours else None
    rt.session.add(
        WaitingPlace(public_id=f"wp_{email}", plan_id=plan.id, email=email, locale="en",
                     created_at=rt.now(), invited_at=until and rt.now(), until_at=until)
    )  # fmt: skip
    rt.session.commit()


@pytest.mark.parametrize("when", ["now", "boundary"])
def test_what_is_sold_out_is_not_changed_to(rt, who, sub, cellar, when):
    plan, price = cellar
    make.make_subscription(rt, plan=plan)
    limit(rt, who, plan, 1)
    assert refused(rt, sub, price, when) == "sold_out"
    limit(rt, who, plan, 2)
    assert go(rt, sub, price, when).outcome in ("applied", "scheduled")
    assert taken(rt, plan) == 2


def test_a_change_that_waits_holds_its_place_until_it_is_withdrawn(rt, who, sub, cellar, group):
    plan, price = cellar
    limit(rt, who, plan, 1)
    other = make.make_subscription(rt, plan=make.make_plan(rt, group=group, code="pot"))
    go(rt, sub, price, "boundary")
    assert taken(rt, plan) == 1
    assert refused(rt, other, price) == "sold_out"
    withdraw(rt, sub.customer_id, sub.public_id)
    assert taken(rt, plan) == 0
    assert go(rt, other, price).outcome == "applied"


def test_who_waits_comes_before_a_subscriber_who_does_not(rt, who, sub, cellar):
    plan, price = cellar
    limit(rt, who, plan, 1)
    wait(rt, plan, "ada@example.net")
    assert refused(rt, sub, price) == "sold_out"


def test_who_is_invited_changes_with_the_place_that_was_kept(rt, who, sub, cellar):
    plan, price = cellar
    limit(rt, who, plan, 1)
    email = rt.session.scalar(sa.select(Customer.email).where(Customer.id == sub.customer_id))
    wait(rt, plan, email, hours=48)
    assert go(rt, sub, price).outcome == "applied"
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(WaitingPlace)) == 0
    rt.session.rollback()
    assert taken(rt, plan) == 1


def test_more_boxes_of_a_plan_take_the_difference_and_another_interval_none(rt, who, sub, cellar):
    plan, price = cellar
    yearly = make.make_price(rt, plan, amount_minor=34560, unit="year")
    go(rt, sub, price)
    limit(rt, who, plan, 1)
    assert refused(rt, sub, price, quantity=2) == "sold_out"
    assert go(rt, sub, yearly).outcome == "applied"
    limit(rt, who, plan, 2)
    assert go(rt, sub, yearly, "boundary", quantity=2).outcome == "scheduled"
    assert taken(rt, plan) == 2
