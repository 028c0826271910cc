"""Several gateways at once: shoppers choose, merchants order and switch, what runs stays."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import ChargeAttempt, Checkout, GatewaySetup, PaymentMethod, Plan
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gateways import offer, second_gateway
from tests.support.orders import only
from tests.support.shopper import Shopper, place


@pytest.fixture
def wallets(app: Flask, rt: Runtime) -> Iterator[DemoGateway]:
    with second_gateway(rt) as gateway:
        yield gateway


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    shopper = Shopper(client, demo_gateway)
    shopper.begin()
    shopper.deliver()
    return shopper


def test_with_one_gateway_nobody_is_asked(ada: Shopper):
    assert "How would you like to pay?" not in ada.get(ada.at("pay")).text


def test_a_shopper_chooses_and_is_charged_there(rt: Runtime, ada: Shopper, wallets: DemoGateway):
    page = ada.get(ada.at("pay")).text
    assert "How would you like to pay?" in page
    assert page.index(">Card<") < page.index(">PayPal<")
    ada.gateway = wallets

    ada.choose(ada.order(gateway="wallets"))

    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert only(rt, Checkout).gateway == "wallets"
    method, attempt = only(rt, PaymentMethod), only(rt, ChargeAttempt)
    assert (method.gateway, method.account) == ("wallets", "acct_wallets")
    assert (attempt.gateway, wallets.bank.executed_count()) == ("wallets", 1)
    assert broken(rt.session) == {}


def test_who_comes_back_and_chooses_another_gateway_pays_there(
    rt: Runtime, ada: Shopper, wallets: DemoGateway
):
    ada.order(gateway="demo")
    again = ada.order(gateway="wallets")
    ada.gateway = wallets
    ada.choose(again)

    assert place(ada.post(ada.at("finish"))) == "confirmation"
    used = rt.session.scalars(sa.select(GatewaySetup.gateway).order_by(GatewaySetup.id)).all()
    rt.session.rollback()
    assert list(used) == ["demo", "wallets"]
    assert wallets.bank.executed_count() == 1


@pytest.mark.parametrize("typed", ["", "nobody"])
def test_a_choice_that_is_not_offered_is_asked_for_again(
    ada: Shopper, wallets: DemoGateway, typed: str
):
    refused = ada.order(gateway=typed)

    assert refused.status_code == 422
    assert "Choose how you would like to pay" in refused.text


def test_the_merchant_decides_which_come_first_and_which_not_at_all(
    rt: Runtime, ada: Shopper, wallets: DemoGateway
):
    offer(rt, "wallets", "demo")
    page = ada.get(ada.at("pay")).text
    assert page.index(">PayPal<") < page.index(">Card<")

    offer(rt, "wallets")
    page = ada.get(ada.at("pay")).text
    assert "How would you like to pay?" not in page
    assert "You confirm it on the next page: PayPal." in page
    ada.gateway = wallets
    ada.choose(ada.order(gateway="demo"))
    assert only(rt, Checkout).gateway == "wallets"


def test_a_gateway_that_does_not_take_the_currency_is_left_out(
    app: Flask, rt: Runtime, ada: Shopper
):
    with second_gateway(rt, "rupees", kinds=("card", "upi"), currencies=frozenset({"INR"})):
        assert "How would you like to pay?" not in ada.get(ada.at("pay")).text


def test_two_gateways_for_cards_are_told_apart(app: Flask, rt: Runtime, ada: Shopper):
    with second_gateway(rt, "authorize_net", kinds=("card",)):
        page = ada.get(ada.at("pay")).text
    assert "Card (Demo)" in page
    assert "Card (Authorize.net)" in page
