"""A phone number for the carrier, and the state where a parcel needs one."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.database import reading
from storefront.models import Address, BoxCycle, Customer, Plan, Subscription
from storefront.queries.checkout import known_delivery
from storefront.runtime import Runtime
from storefront.services.addresses import PostalAddress
from storefront.services.box_addresses import send_box
from storefront.services.gifts import run_gifts
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gifts import code_of, make_gift, wish_for
from tests.support.shopper import ADA as HOME
from tests.support.shopper import Shopper, place
from tests.support.visitor import Visitor, customer_with_password

PHONE = "+49 3641 12-34"


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def ask(rt: Runtime, wish: str, *countries: str) -> None:
    listed = ", ".join(f'"{each}"' for each in countries or ("DE",))
    rt.session.execute(
        sa.text("UPDATE shop_settings SET phone = :wish, countries = :to"),
        {"wish": wish, "to": f"[{listed}]"},
    )
    rt.session.commit()
    rt.forget_shop()


def phones(rt: Runtime) -> list[str]:
    found = rt.session.scalars(sa.select(Address.phone).order_by(Address.id)).all()
    rt.session.rollback()
    return list(found)


def test_a_phone_number_typed_at_the_checkout_stands_in_the_address(rt: Runtime, ada: Shopper):
    ada.begin()
    wrong = ada.post(ada.at("delivery"), **HOME, phone="ring twice")
    assert wrong.status_code == 422
    assert "Enter a phone number like" in wrong.text
    assert 'value="ring twice"' in wrong.text
    assert place(ada.post(ada.at("delivery"), **HOME, phone=PHONE)) == "pay"
    ada.choose(ada.order())
    ada.post(ada.at("finish"))

    assert phones(rt) == [PHONE]


@pytest.mark.parametrize(("wish", "is_shown"), [("no", False), ("may", True), ("must", True)])
def test_the_shop_says_whether_a_number_is_asked_and_needed(
    rt: Runtime, ada: Shopper, wish: str, is_shown: bool
):
    ask(rt, wish)
    ada.begin()
    assert ('name="phone"' in ada.get(ada.at("delivery")).text) == is_shown
    answer = ada.post(ada.at("delivery"), **HOME)
    assert answer.status_code == (422 if wish == "must" else 303)
    assert ("Enter a phone number; the carrier needs it" in answer.text) == (wish == "must")


def test_a_number_stays_when_only_the_street_changes_and_can_be_changed_alone(
    app: Flask, rt: Runtime
):
    owner = rt.session.get_one(Customer, customer_with_password(rt, "ada@example.org"))
    rt.session.expunge(owner)
    rt.session.rollback()
    sub = make.make_subscription(rt, customer=owner, address={"phone": PHONE})
    ada = Visitor.of(app).sign_in("ada@example.org")
    page = f"/account/subscriptions/{sub.public_id}/address"
    assert f'value="{PHONE}"' in ada.get(page).text
    moved = {**HOME, "street": "Am Markt 1", "phone": PHONE}
    assert ada.post(page, **moved).status_code == 303
    assert ada.post(page, **{**moved, "phone": ""}).status_code == 303
    assert phones(rt) == [PHONE, PHONE, ""]


def test_a_parcel_to_a_country_of_states_needs_the_state_also_where_no_tax_depends_on_it(
    rt: Runtime, ada: Shopper
):
    ask(rt, "may", "DE", "CA")
    ada.begin()
    assert 'name="region"' not in ada.get(ada.at("delivery")).text
    page = ada.post(ada.at("delivery"), **{**HOME, "country": "CA"}, turn="DE").text
    assert ">Province<" in page
    assert "Taxes depend on it" not in page
    there = {**HOME, "country": "CA", "postcode": "K1A 0B1", "city": "Ottawa"}
    refused = ada.post(ada.at("delivery"), **there)
    assert refused.status_code == 422
    assert "Enter the province; the carrier needs it" in refused.text
    assert ada.post(ada.at("delivery"), **there, region="ON").status_code == 303
    assert ada.post(ada.at("delivery"), **HOME).status_code == 303


def test_who_gets_a_gift_can_leave_a_number(rt: Runtime, plan: Plan, ada: Shopper):
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    ask(rt, "must")
    at = f"/gift/{code_of(rt, gift)}"
    assert ada.post(at, **HOME).status_code == 422
    assert ada.post(at, **HOME, phone=PHONE).status_code == 303
    assert PHONE in phones(rt)


def signed_in(app: Flask, rt: Runtime, **address: str) -> tuple[Visitor, Subscription]:
    owner = rt.session.get_one(Customer, customer_with_password(rt, "ada@example.org"))
    rt.session.expunge(owner)
    rt.session.rollback()
    sub = make.make_subscription(rt, customer=owner, address=address)
    return Visitor.of(app).sign_in("ada@example.org"), sub


def test_a_customer_whose_address_lacks_the_number_is_asked_before_the_next_order(
    app: Flask, rt: Runtime
):
    ada, _sub = signed_in(app, rt)
    ask(rt, "must")
    plan = make.make_plan(rt, code="cup", name="Cup")
    ada.get(f"/checkout?plan={plan.code}")
    key = urlsplit(ada.post("/checkout", plan=plan.code).location).path.split("/")[2]
    asked = ada.get(f"/checkout/{key}/pay")
    assert place(asked) == "delivery"
    page = ada.get(f"/checkout/{key}/delivery").text
    assert "Enter a phone number; the carrier needs it" in page
    assert ada.post(f"/checkout/{key}/delivery", **HOME, phone=PHONE).status_code == 303
    assert ada.get(f"/checkout/{key}/pay").status_code == 200


def test_nobody_is_asked_for_a_number_where_nothing_is_sent(app: Flask, rt: Runtime):
    ask(rt, "must", "DE", "CA")
    plan = make.make_plan(rt, code="club", name="Club", ships=False)
    visitor = Visitor.of(app)
    visitor.get(f"/checkout?plan={plan.code}")
    key = urlsplit(visitor.post("/checkout", plan=plan.code).location).path.split("/")[2]
    page = visitor.get(f"/checkout/{key}/delivery").text
    assert 'name="phone"' not in page
    assert 'name="region"' not in page
    assert visitor.post(f"/checkout/{key}/delivery", **HOME).status_code == 303


def test_a_number_that_is_not_asked_any_more_stays_with_its_address(app: Flask, rt: Runtime):
    ada, sub = signed_in(app, rt, phone=PHONE)
    ask(rt, "no")
    page = f"/account/subscriptions/{sub.public_id}/address"
    assert 'name="phone"' not in ada.get(page).text
    assert ada.post(page, **HOME).status_code == 303
    assert phones(rt) == [PHONE]


def test_the_next_order_goes_home_and_not_where_one_box_went(app: Flask, rt: Runtime):
    _ada, sub = signed_in(app, rt)
    april = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-04")).one()
    rt.session.rollback()
    island = PostalAddress("Ada", "Am Hafen 1", "18565", "Hiddensee", "DE")
    assert sub.customer_id is not None
    send_box(rt, sub.customer_id, sub.public_id, april, island)
    with reading():
        assert known_delivery(rt.session, sub.customer_id).address["city"] == "Jena"
    rt.session.rollback()
