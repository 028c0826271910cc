"""A browser that lost its session in the middle of an order: told, and nothing typed is lost."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Checkout
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import Shopper, place
from tests.support.visitor import Visitor, customer_with_password

SAID = "Nothing you typed is lost"


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    plan = make.make_plan(rt, code="pot", name="Pot")
    make.make_price(rt, plan, amount_minor=7410, count=3)
    return Shopper(client, demo_gateway)


def lose_session(ada: Shopper) -> None:
    ada.client._cookies.clear()  # type: ignore[union-attr] - the client names no other way


def test_an_address_typed_into_a_lost_session_is_shown_again_and_goes_through(ada: Shopper):
    ada.begin()
    ada.get(ada.at("delivery"))
    lose_session(ada)

    told = ada.deliver(street="Lindenweg 4 <b>")

    assert told.status_code == 422
    assert SAID in told.text
    assert 'value="Lindenweg 4 &lt;b&gt;"' in told.text
    assert 'value="ada@example.org"' in told.text
    # With the token of the page that was just shown.
    assert place(ada.deliver(street="Lindenweg 4")) == "pay"


def test_what_was_typed_is_not_written_on_the_word_of_such_a_form(rt: Runtime, ada: Shopper):
    ada.begin()
    ada.get(ada.at("delivery"))
    lose_session(ada)
    ada.deliver()
    assert place(ada.get(ada.at("pay"))) == "delivery"


def test_a_gift_typed_into_a_lost_session_is_shown_again(ada: Shopper):
    ada.begin()
    ada.get(ada.at("gift"))
    lose_session(ada)
    told = ada.post(ada.at("gift"), to_name="Grace", message="For you\nfrom me", name="Ada")
    assert told.status_code == 422
    assert SAID in told.text
    assert 'value="Grace"' in told.text
    assert "For you\nfrom me</textarea>" in told.text


def test_a_box_chosen_in_a_lost_session_stays_chosen(ada: Shopper):
    ada.begin()
    ada.get(ada.at("box"))
    lose_session(ada)

    told = ada.post(ada.at("box"), interval="3m", step="box")

    assert told.status_code == 422
    assert SAID in told.text
    assert place(ada.post(ada.at("box"), interval="3m", step="box")) == "delivery"


def test_an_order_begun_in_a_lost_session_begins_with_the_second_try(ada: Shopper):
    ada.get("/checkout?plan=pot&interval=1m")
    lose_session(ada)
    told = ada.post("/checkout", plan="pot", interval="3m", step="box")
    assert told.status_code == 422
    assert SAID in told.text
    assert place(ada.begin(interval="3m", step="box")) == "delivery"


def test_a_form_of_another_site_is_refused_as_ever(ada: Shopper):
    ada.begin()
    ada.headers["Sec-Fetch-Site"] = "cross-site"
    answer = ada.deliver()
    assert answer.status_code in (400, 403)
    assert "Lindenweg" not in answer.text


def test_an_order_sent_from_a_lost_session_shows_its_terms_anew_and_orders_nothing(
    rt: Runtime, ada: Shopper
):
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))
    lose_session(ada)

    told = ada.post(ada.at("pay"), quote=ada.quote, consent="y")

    assert told.status_code == 422
    assert "Your session had ended. Nothing was ordered. Please agree once more." in told.text
    assert 'id="pay-form"' in told.text
    assert 'id="consent" value="y" required checked' not in told.text
    assert rt.session.scalars(sa.select(Checkout.state)).one() == "open"
    rt.session.rollback()
    assert ada.order().status_code in (302, 303)


@pytest.mark.parametrize("htmx", [False, True], ids=["page", "part"])
def test_who_lost_all_cookies_in_the_account_is_asked_to_sign_in(
    rt: Runtime, app: Flask, htmx: bool
):
    customer_with_password(rt, "ada@example.org")
    visitor = Visitor.of(app).sign_in("ada@example.org")
    visitor.client._cookies.clear()  # type: ignore[union-attr] - the client names no other way
    here = "http://localhost/account/security"
    visitor.headers = {"Referer": here, "HX-Current-URL": here} if htmx else {"Referer": here}

    told = visitor.post("/account/security/sessions/end-others", htmx=htmx)

    assert told.status_code == (401 if htmx else 303)
    way = told.headers["HX-Redirect" if htmx else "Location"]
    assert way.endswith("/sign-in?next=/account/security")


def test_a_token_that_is_wrong_is_refused_to_who_is_signed_in(rt: Runtime, app: Flask):
    customer_with_password(rt, "ada@example.org")
    visitor = Visitor.of(app).sign_in("ada@example.org")
    told = visitor.post("/account/security/sessions/end-others", csrf_token="of nobody")
    assert told.status_code == 400
