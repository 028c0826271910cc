"""Somebody else gets the invoice: asked at the checkout, shown, changed in the account."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Checkout, Customer, Invoice
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import only
from tests.support.shopper import ADA, Shopper, place
from tests.support.visitor import Visitor, customer_with_password

WORKS = {
    "apart": "y",
    "billing-name": "Analytical Works",
    "billing-street": "Rue de Rivoli 1",
    "billing-postcode": "75001",
    "billing-city": "Paris",
    "billing-country": "FR",
}


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    make.make_plan(rt, code="pot", name="Pot")
    shopper = Shopper(client, demo_gateway)
    shopper.begin()
    return shopper


def test_the_invoice_goes_elsewhere_from_the_checkout_to_the_document(rt: Runtime, ada: Shopper):
    page = ada.get(ada.at("delivery")).text
    assert 'name="apart"' in page
    assert "checked" not in page.partition('name="apart"')[2].partition(">")[0]
    assert place(ada.deliver(**WORKS)) == "pay"
    review = ada.get(ada.at("pay")).text
    assert "Invoice to" in review
    assert "Rue de Rivoli 1" in review
    again = ada.get(ada.at("delivery")).text
    assert 'value="Rue de Rivoli 1"' in again
    assert '<option selected value="FR">' in again

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert only(rt, Invoice).snapshot["buyer"]["street"] == "Rue de Rivoli 1"
    assert only(rt, Customer).billing["name"] == "Analytical Works"


def test_what_is_missing_of_it_is_said_beside_it_and_nothing_is_lost(rt: Runtime, ada: Shopper):
    answer = ada.deliver(**{**WORKS, "billing-street": "", "billing-postcode": ""})
    assert answer.status_code == 422
    assert 'href="#billing-street"' in answer.text
    assert 'href="#billing-postcode"' in answer.text
    assert 'value="Analytical Works"' in answer.text
    assert only(rt, Checkout).address == {}


def test_without_the_tick_what_stands_there_counts_for_nothing(rt: Runtime, ada: Shopper):
    assert place(ada.deliver(**{**WORKS, "apart": "", "billing-street": ""})) == "pay"
    assert only(rt, Checkout).billing == {}
    assert "Invoice to" not in ada.get(ada.at("pay")).text


def test_its_country_shows_its_fields_too(rt: Runtime, ada: Shopper):
    typed = {**ADA, **WORKS, "billing-country": "US", "billing-turn": "FR"}
    page = ada.post(ada.at("delivery"), **typed).text
    assert '<label for="billing-postcode">ZIP code' in page
    assert '<label for="postcode">Postcode' in page
    assert "There is a problem" not in page
    assert only(rt, Checkout).address == {}


def test_a_gift_is_billed_to_who_gives_it(ada: Shopper):
    assert 'name="apart"' not in ada.get(ada.at("gift")).text


def test_the_account_names_changes_and_removes_it(app: Flask, rt: Runtime):
    customer_with_password(rt, "ada@example.org")
    ada = Visitor.of(app).sign_in("ada@example.org")
    assert "Invoices go to where your boxes go" in ada.get("/account/billing").text
    refused = ada.post("/account/billing", **{**WORKS, "billing-city": ""})
    assert refused.status_code == 422
    assert 'href="#billing-city"' in refused.text
    turned = ada.post("/account/billing", **WORKS, **{"billing-turn": "DE"})
    assert turned.status_code == 200
    assert only(rt, Customer).billing == {}

    assert ada.post("/account/billing", **WORKS).status_code == 303
    assert only(rt, Customer).billing["city"] == "Paris"
    page = ada.get("/account/billing").text
    assert 'value="Rue de Rivoli 1"' in page
    assert "/account/billing" in ada.get("/account/invoices").text

    assert ada.post("/account/billing", remove="1").status_code == 303
    assert only(rt, Customer).billing == {}
