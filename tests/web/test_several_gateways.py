"""Several gateways at once: shoppers choose, merchants order and switch, what runs stays."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import ChargeAttempt, Checkout, GatewaySetup, PaymentMethod, Plan
from storefront.operations.gateway_states import stop
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import Desk, desk
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


# ------------------------------------------------------------------------------ the merchant


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


URL = "/admin/settings/gateways"


def kept(rt: Runtime) -> list[str]:
    rt.forget_shop()
    found = list(rt.shop.sign_up_gateways)
    rt.session.rollback()
    return found


def test_the_page_says_how_each_gateway_stands_and_what_stays(
    rt: Runtime, owner: Desk, wallets: DemoGateway
):
    stop(rt.session, "wallets", "acct_wallets", "unauthorized", rt.moment())
    rt.session.commit()

    page = owner.get(URL).text

    assert "stay with their gateway and are charged there" in page
    assert "PayPal" in page
    assert "the payment partner refused our key" in page
    assert "none yet" in page
    assert f'href="{URL}"' in owner.get("/admin/settings").text


@pytest.mark.parametrize("partial", [True, False])
def test_gateways_are_put_in_order_and_closed(
    rt: Runtime, owner: Desk, wallets: DemoGateway, partial: bool
):
    owner.get(URL)
    both = {"open-demo": "y", "place-demo": "2", "open-wallets": "y", "place-wallets": "1"}
    answer = owner.post(URL, both, partial=partial)
    assert answer.status_code == (200 if partial else 303)
    assert kept(rt) == ["wallets", "demo"]
    page = owner.get(URL).text
    assert page.index("way-wallets") < page.index("way-demo")

    owner.post(URL, {"open-wallets": "y", "place-demo": "1", "place-wallets": "x"})
    assert kept(rt) == ["wallets"]
    assert "Settings changed" in owner.get("/admin/log").text
    assert "Nothing to save" in owner.post(URL, {"open-wallets": "y"}, partial=True).text


def test_the_last_gateway_is_not_closed(rt: Runtime, owner: Desk, wallets: DemoGateway):
    owner.get(URL)
    refused = owner.post(URL, {"place-demo": "1"}, partial=True)

    assert refused.status_code == 422
    assert "Leave one open at least." in refused.text
    assert kept(rt) == []


def test_only_who_may_change_settings_closes_gateways(app: Flask, rt: Runtime):
    support = desk(app, rt, "support")
    assert support.get(URL).status_code == 403
    assert support.post(URL, {"open-demo": "y"}).status_code == 403
