"""What the page after an order leads to: contents to choose while it is fresh, else the account."""

import re
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.domain.choices import Rule
from storefront.models import Customer, Plan
from storefront.runtime import Runtime
from storefront.services.packing import Ingredient, save_recipe
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import Shopper

CHOOSE = re.compile(r'<a class="button filled" href="([^"]*/choose)"')


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def lets_choose(rt: Runtime, plan: Plan) -> None:
    """Let subscribers choose two of three teas."""
    teas = [make.make_variant(rt, name=name, on_hand=50) for name in ("Sencha", "Assam", "Oolong")]
    pool = [Ingredient(one.public_id, 1, is_choice=True) for one in teas]
    save_recipe(rt, plan.public_id, None, "", pool, rule=Rule(pieces=2))


def order(ada: Shopper) -> str:
    ada.begin()
    ada.deliver()
    ada.choose(ada.order())
    ada.post(ada.at("finish"))
    return ada.get(ada.at("confirmation")).text


def test_who_may_choose_is_led_to_the_choice_first(rt: Runtime, plan: Plan, ada: Shopper):
    lets_choose(rt, plan)

    page = order(ada)

    (address,) = CHOOSE.findall(page)
    assert "You choose 2 things. If you do not, we choose for you." in page
    assert ada.get(address).status_code == 200
    assert 'class="button outline" href="/account/"' in page


def test_where_nothing_is_chosen_the_account_is_the_next_step(ada: Shopper):
    page = order(ada)
    assert CHOOSE.findall(page) == []
    assert 'class="button filled" href="/account/"' in page


def test_after_the_cut_off_nothing_is_offered_to_choose(
    rt: Runtime, plan: Plan, ada: Shopper, clock: FrozenClock
):
    lets_choose(rt, plan)
    order(ada)
    clock.advance(days=(date(2027, 3, 12) - rt.today()).days)
    page = ada.get(ada.at("confirmation")).text
    assert "Order confirmed" in page
    assert CHOOSE.findall(page) == [], "the box of this order is fixed; the next is for the account"


def test_another_customer_with_the_link_is_offered_no_choice(
    rt: Runtime, plan: Plan, ada: Shopper, app: Flask
):
    lets_choose(rt, plan)
    order(ada)
    stranger = app.test_client()
    page = stranger.get(ada.at("confirmation")).text
    assert CHOOSE.findall(page) == []


def test_a_new_customer_learns_how_to_sign_in_next_time(rt: Runtime, ada: Shopper):
    page = order(ada)
    assert "We send you a code whenever you sign in; you need no password." in page
    assert 'href="/account/security"' in page


def test_who_has_a_password_is_not_told_to_set_one(rt: Runtime, ada: Shopper):
    order(ada)
    customer = rt.session.scalars(sa.select(Customer)).one()
    customer.password_hash = "kept elsewhere"
    rt.session.commit()
    assert "you need no password" not in ada.get(ada.at("confirmation")).text
