"""An address that nothing is sent to is answered beside the part of it that is to blame."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Customer
from storefront.runtime import Runtime
from storefront.services.signin import change_password
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import desk
from tests.support.shopper import Shopper, place
from tests.support.visitor import PASSWORD, Visitor

POSTCODE = "We do not deliver to this postcode."
COUNTRY = "We do not deliver there yet. Choose another country"
CASES = [
    ({"postcode": "27498", "city": "Helgoland"}, "postcode", POSTCODE),
    ({"postcode": "1010", "city": "Wien", "country": "AT"}, "country", COUNTRY),
]
HOME = {
    "name": "Ada Weber",
    "street": "Am Markt 1",
    "postcode": "07745",
    "city": "Jena",
    "country": "DE",
}


@pytest.fixture(autouse=True)
def zones(rt: Runtime) -> None:
    make.make_zone(rt, "DE 27498, AT", None)


def error_of(page: str, field: str) -> str:
    found = re.search(rf'id="{field}-error"[^>]*>(.*?)</p>', page, re.S)
    return found[1] if found else ""


@pytest.mark.parametrize(("typed", "field", "message"), CASES)
def test_at_the_checkout(
    rt: Runtime,
    client: FlaskClient,
    demo_gateway: DemoGateway,
    typed: dict[str, str],
    field: str,
    message: str,
) -> None:
    make.make_plan(rt, code="pot")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    answer = ada.deliver(**typed)
    assert answer.status_code == 422
    assert message in error_of(answer.text, field)
    assert place(ada.deliver()) == "pay"


def test_nothing_is_refused_before_an_address_is_typed(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    make.make_plan(rt, code="pot")
    make.make_zone(rt, "DE", None)
    ada = Shopper(client, demo_gateway)
    ada.begin()
    page = ada.get(ada.at("delivery"))
    assert error_of(page.text, "country") == ""
    assert COUNTRY in error_of(ada.deliver().text, "country")


def test_one_that_was_blocked_after_it_was_typed_leads_back_to_it(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
) -> None:
    make.make_plan(rt, code="pot")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver()
    make.make_zone(rt, "DE 077", None)
    assert place(ada.get(ada.at("pay"))) == "delivery"
    assert POSTCODE in error_of(ada.get(ada.at("delivery")).text, "postcode")


@pytest.mark.parametrize(("typed", "field", "message"), CASES)
def test_in_the_account_and_for_staff(
    app: Flask, rt: Runtime, typed: dict[str, str], field: str, message: str
) -> None:
    sub = make.make_subscription(rt)
    ada = rt.session.get_one(Customer, sub.customer_id)
    email, ref = ada.email, ada.public_id
    change_password(rt, ada.id, "", PASSWORD)
    visitor = Visitor.of(app).sign_in(email)
    mine = visitor.post(f"/account/subscriptions/{sub.public_id}/address", **(HOME | typed))
    theirs = desk(app, rt).post(f"/admin/subscribers/{ref}/{sub.public_id}/address", HOME | typed)
    for answer in (mine, theirs):
        assert answer.status_code == 422
        assert message in error_of(answer.text, field)
