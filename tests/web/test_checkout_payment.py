"""Paying, and all that can come between: declines, lost answers, second tabs, second thoughts."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Checkout, Customer, LoginSession, Plan, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import count, only
from tests.support.shopper import HTMX, Shopper, place


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ada(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("0002", "Your bank declined the card. Nothing was charged."),
        ("9995", "The card does not have enough money for €26.00. Nothing was charged."),
        ("0069", "The card has expired. Nothing was charged."),
    ],
)
def test_a_declined_card_is_said_above_payment(ada: Shopper, card: str, words: str):
    assert place(ada.buy(card)) == "pay"

    page = ada.get(ada.at("pay"))
    assert words in page.text
    assert "Lindenweg 4" in page.text

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert ada.gateway.bank.executed_count() == 1


def test_after_a_declined_card_the_email_can_still_be_changed(ada: Shopper):
    ada.buy("0002")
    row = ada.get(ada.at("pay")).text.partition("<dt>E-mail</dt>")[2].partition("</div>")[0]
    assert f'href="{ada.at("delivery")}"' in row

    ada.deliver(email="ada.right@example.org")
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert "on its way to ada.right@example.org" in ada.get(ada.at("confirmation")).text


def test_a_lost_answer_is_waited_for(ada: Shopper):
    assert place(ada.buy("0408")) == "waiting"

    page = ada.get(ada.at("waiting")).text
    assert "Please do not pay again" in page
    assert 'hx-trigger="every 3s"' in page
    assert "Check again" in page
    for step in ("box", "delivery", "pay", "confirmation"):
        found = ada.get(ada.at(step))
        assert place(found) in ("waiting", ada.key)

    assert place(ada.post(ada.at("finish"))) == "confirmation"
    assert place(ada.get(ada.at("waiting"))) == ada.key
    assert ada.gateway.bank.executed_count() == 1


def test_after_two_minutes_it_is_asked_less_often(ada: Shopper, clock: FrozenClock):
    ada.buy("0408")
    clock.advance(minutes=3)

    assert 'hx-trigger="every 15s"' in ada.get(ada.at("waiting")).text


def test_the_waiting_page_leads_on_by_itself(rt: Runtime, ada: Shopper):
    ada.buy("0408")
    ada.post(ada.at("finish"))

    polled = ada.client.get(ada.at("waiting"), headers=HTMX)

    assert polled.headers["HX-Redirect"] == f"/checkout/{ada.key}"


def test_a_bank_that_asks_gets_its_own_page(ada: Shopper):
    assert place(ada.buy("3220")) == "waiting"

    page = ada.get(ada.at("waiting")).text
    assert "Your bank wants to know it is you" in page
    confirm = re.search(r'href="([^"]*/confirm/[^"]+)"', page)
    assert confirm
    ada.gateway.bank.confirm_charge(confirm[1].rpartition("/")[2], True)

    assert place(ada.post(ada.at("finish"))) == "confirmation"


def test_another_card_instead_of_the_bank(ada: Shopper):
    ada.buy("3220")

    assert place(ada.post(ada.at("other-card"))) == "pay"
    assert "Nothing was charged" in ada.get(ada.at("pay")).text


def test_a_gateway_that_is_down_keeps_everything(ada: Shopper):
    ada.begin()
    ada.deliver()
    ada.gateway.bank.set_fault("down")

    answer = ada.order()

    assert answer.status_code == 503
    assert "Our payment partner is not answering" in answer.text
    assert "Lindenweg 4" in answer.text


def test_going_back_from_the_gateway_leads_to_payment(ada: Shopper):
    ada.begin()
    ada.deliver()
    ada.order()

    assert place(ada.post(ada.at("finish"))) == "pay"


def test_refresh_and_back_never_charge_again(rt: Runtime, ada: Shopper):
    ada.buy()

    for _ in range(3):
        stale = ada.post(ada.at("finish"))
        assert place(ada.get(stale.location) if place(stale) == ada.key else stale) == (
            "confirmation"
        )
        assert ada.get(ada.at("confirmation")).status_code == 200
        assert place(ada.get(ada.at("pay"))) == "confirmation"
        assert place(ada.get(ada.at("finish"))) == "confirmation"
    assert ada.gateway.bank.executed_count() == 1
    assert count(rt, Subscription) == 1


def test_two_tabs_are_one_order(rt: Runtime, ada: Shopper):
    ada.begin()
    ada.deliver()
    first = ada.order()
    second = ada.order()
    assert first.location == second.location
    ada.choose(first)

    ada.post(ada.at("finish"))
    ada.post(ada.at("finish"))

    assert count(rt, Subscription) == 1


def test_an_address_changed_in_another_tab_is_shown_before_anything_is_charged(
    rt: Runtime, ada: Shopper
):
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))
    shown = ada.quote
    ada.deliver(street="Am Markt 1", postcode="07745")

    answer = ada.post(ada.at("pay"), quote=shown, consent="y")
    assert answer.status_code == 422
    assert "Your order changed meanwhile" in answer.text
    assert "Am Markt 1" in answer.text
    ada.choose(ada.post(ada.at("pay"), quote=ada.quote, consent="y"))

    ada.deliver(street="Lindenweg 4", postcode="07743")
    assert place(ada.post(ada.at("finish"))) == "pay"
    assert "Lindenweg 4" in ada.get(ada.at("pay")).text
    assert ada.gateway.bank.executed_count() == 0


def test_whoever_orders_anew_is_signed_in_where_they_ordered(app: Flask, rt: Runtime, ada: Shopper):
    ada.buy()
    assert only(rt, LoginSession).method == "checkout"
    assert only(rt, LoginSession).customer_id == only(rt, Customer).id

    other = Shopper(app.test_client(), ada.gateway, key=ada.key)
    other.post(other.at("finish"))

    assert count(rt, LoginSession) == 1


def test_an_account_that_was_there_is_not_opened(rt: Runtime, ada: Shopper):
    make.make_customer(rt, email="ada@example.org", name="Augusta Secret")

    assert place(ada.buy()) == "confirmation"

    assert count(rt, LoginSession) == 0
    page = ada.get(ada.at("confirmation")).text
    assert "Augusta Secret" not in page
    assert "Sign in to your account" in page


def test_an_order_that_ran_out_begins_again(rt: Runtime, ada: Shopper):
    ada.begin()
    rt.session.execute(sa.update(Checkout).values(state="expired"))
    rt.session.commit()

    again = ada.get(ada.at("delivery"))

    assert again.status_code == 303
    assert "/checkout?plan=pot" in again.location
    assert "start again" in ada.get(again.location).text


def test_where_the_shopper_came_from_is_kept(rt: Runtime, ada: Shopper):
    page = ada.get("/checkout?plan=pot&utm_source=letter&utm_medium=mail").text
    assert 'name="utm_source" value="letter"' in page

    ada.begin(utm_source="letter", utm_medium="ma\u200bil")
    assert only(rt, Checkout).source == {"utm_source": "letter", "utm_medium": "mail"}


def test_nothing_of_an_order_may_be_stored_by_a_browser(ada: Shopper):
    ada.begin()
    assert ada.get(ada.at("delivery")).headers["Cache-Control"] == "no-store"


def test_a_post_without_its_token_begins_no_order(client: FlaskClient, plan: Plan, rt: Runtime):
    answer = client.post("/checkout", data={"plan": "pot", "interval": "1m"})
    assert answer.status_code == 422
    assert "Your session had ended" in answer.text
    assert count(rt, Checkout) == 0


def test_nothing_to_pay_asks_for_the_card_only(rt: Runtime, ada: Shopper):
    make.make_code(rt, "GIFT", percent=100)
    ada.begin()
    ada.deliver()
    ada.post(ada.at("code"), code="GIFT", step="pay")
    assert "Nothing is charged now" in ada.get(ada.at("pay")).text

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"

    assert "Nothing was charged today" in ada.get(ada.at("confirmation")).text
    assert ada.gateway.bank.executed_count() == 0
