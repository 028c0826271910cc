"""An address is asked for as the post of its country writes it; another country loses nothing."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Address, Checkout
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import only
from tests.support.shopper import ADA, HTMX, Shopper, place
from tests.support.visitor import Visitor, customer_with_password

COUNTRIES = ["DE", "US", "GB", "NL", "JP", "CA", "HK", "IE"]


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    make.make_shop(rt, countries=COUNTRIES)
    make.make_plan(rt, code="pot", name="Pot")
    shopper = Shopper(client, demo_gateway)
    shopper.begin()
    return shopper


def turned(ada: Shopper, country: str, **typed: str) -> str:
    """Return step 2 after ``country`` was chosen where Austria stood."""
    fields = {**ADA, **typed, "country": country, "turn": "AT"}
    answer = ada.post(ada.at("delivery"), **fields)
    assert answer.status_code == 200
    return answer.text


def places(page: str) -> list[str]:
    wanted = "name|street|postcode|city|region"
    return re.findall(rf'<(?:input|select)[^>]* name="({wanted})"', page)


@pytest.mark.parametrize(
    ("country", "order"),
    [
        ("DE", ["name", "street", "postcode", "city"]),
        ("NL", ["name", "postcode", "street", "city"]),
        ("GB", ["name", "street", "city", "postcode"]),
        ("US", ["name", "street", "city", "region", "postcode"]),
        ("JP", ["postcode", "region", "city", "street", "name"]),
    ],
)
def test_the_fields_stand_as_the_post_of_the_country_writes_them(
    ada: Shopper, country: str, order: list[str]
):
    assert places(turned(ada, country)) == order


def test_the_parts_are_called_what_they_are_called_there(ada: Shopper):
    page = turned(ada, "US", region="california")
    for words in (
        ">ZIP code",
        ">City",
        ">State",
        '<option value="CA" selected="selected">California',
    ):
        assert words in page
    assert ">Prefecture" in turned(ada, "JP")
    assert ">Province" in turned(ada, "CA")
    assert ">Town" in turned(ada, "GB")


def test_another_country_loses_nothing_and_blames_nothing(rt: Runtime, ada: Shopper):
    page = turned(ada, "US", postcode="", company="Works", extra="Floor 2", region="CA")
    for typed in ("Lindenweg 4", "ada@example.org", "Ada Lovelace", "Jena", "Works", "Floor 2"):
        assert f'value="{typed}"' in page
    assert "There is a problem" not in page
    assert only(rt, Checkout).address == {}
    # Back in Germany nobody is asked for a state, and the one that was chosen waits.
    back = ada.post(ada.at("delivery"), **{**ADA, "region": "CA", "turn": "US"}).text
    assert '<input type="hidden" name="region" value="CA">' in back


def test_with_htmx_the_form_alone_is_shown_anew(ada: Shopper):
    ada.headers = HTMX
    page = turned(ada, "US")
    assert page.lstrip().startswith('<form id="delivery-form"')
    assert "hx-vals" in page
    assert "<html" not in page


def test_enter_in_a_line_saves_though_it_presses_the_first_button(rt: Runtime, ada: Shopper):
    assert place(ada.post(ada.at("delivery"), **ADA, turn="DE")) == "pay"
    assert only(rt, Checkout).address["street"] == "Lindenweg 4"


def test_a_state_of_the_country_before_is_not_kept(rt: Runtime, ada: Shopper):
    assert place(ada.deliver(region="CA")) == "pay"
    assert only(rt, Checkout).address["region"] == ""


@pytest.mark.parametrize(("country", "needed"), [("HK", False), ("IE", False), ("DE", True)])
def test_a_postcode_is_asked_for_where_the_country_has_some(
    ada: Shopper, country: str, needed: bool
):
    page = turned(ada, country)
    label = re.search(r'<label for="postcode">(.*?)</label>', page)
    assert label is not None
    assert ("(optional)" in label[1]) is not needed
    answer = ada.deliver(country=country, postcode="")
    assert ("Enter the postcode" in answer.text) is needed


def test_an_irish_order_needs_no_eircode_all_the_way(rt: Runtime, ada: Shopper):
    there = {"country": "IE", "postcode": "", "city": "Dublin", "street": "1 Parnell Square"}
    assert place(ada.deliver(**there)) == "pay"
    assert "1 Parnell Square" in ada.get(ada.at("pay")).text
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert only(rt, Address).postcode == ""


@pytest.mark.parametrize(
    ("country", "typed", "example"),
    [("CA", "9021", "K1A 0B1"), ("JP", "12", "100-0001"), ("US", "abc", "10001")],
)
def test_an_odd_postcode_is_doubted_and_can_be_kept(
    ada: Shopper, country: str, typed: str, example: str
):
    there = {"country": country, "postcode": typed, "region": "Ontario"}
    answer = ada.deliver(**there)
    assert answer.status_code == 422
    assert f"Postcodes there look like {example}. Check yours" in answer.text
    assert place(ada.deliver(**there, as_typed="y")) == "pay"


def test_a_gift_asks_for_the_address_of_its_country(ada: Shopper):
    page = ada.post(ada.at("gift"), country="US", turn="DE", where="known", to_name="Mia").text
    assert ">ZIP code" in page
    assert 'value="Mia"' in page
    assert "There is a problem" not in page


def test_the_account_shows_the_fields_of_another_country(app: Flask, rt: Runtime):
    make.make_shop(rt, countries=COUNTRIES)
    customer = rt.session.get_one(make.Customer, customer_with_password(rt, "ada@example.org"))
    rt.session.expunge(customer)
    rt.session.rollback()
    sub = make.make_subscription(rt, customer=customer)
    ada = Visitor.of(app).sign_in("ada@example.org")
    here = f"/account/subscriptions/{sub.public_id}/address"
    page = ada.get(here).text
    assert 'name="turn" value="DE"' in page

    typed = {**ADA, "street": "1 Main St", "country": "US"}
    page = ada.post(here, **typed, turn="DE").text

    assert ">ZIP code" in page
    assert 'value="1 Main St"' in page
    assert "There is a problem" not in page
    assert only(rt, Address).street != "1 Main St"
