"""The page behind *Gifts*: what can be given and for how much, and where a code is opened."""

import re

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from storefront.runtime import Runtime
from storefront.services.gifts import run_gifts
from storefront.testing import factories as make
from storefront.testing.delivery import make_zone
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gifts import code_of, make_gift, wish_for
from tests.support.shopper import Shopper, place


@pytest.fixture
def ada(client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def test_a_shop_without_a_box_to_give_says_so(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, code="read", ships=False)
    page = client.get("/gifts").text
    assert "No box can be given today" in page
    assert "Give 1 box" not in page


def test_each_plan_is_offered_with_what_the_boxes_cost_once(rt: Runtime, client: FlaskClient):
    plan = make.make_plan(rt, code="pot", name="Pot")
    make.make_price(rt, plan, amount_minor=7410, count=3)

    page = client.get("/gifts").text

    assert 'href="/gifts"' in client.get("/").text
    assert re.findall(r"Give (\d) box(?:es)?<.*?<b>(€[\d.]+)</b>", page) == [
        ("1", "€26.00"),
        ("3", "€74.10"),
    ]
    assert 'href="/checkout?plan=pot&amp;interval=3m&amp;gift=1"' in page


def test_prices_say_what_they_hold_and_for_which_country(rt: Runtime, client: FlaskClient):
    make.make_plan(rt, code="pot", name="Pot")
    page = client.get("/gifts").text
    assert "incl. VAT and delivery" in page
    assert '<option value="DE" selected>Germany</option>' in page

    client.post("/country", data={"country": "AT", "to": "/gifts"})
    assert '<option value="AT" selected>Austria</option>' in client.get("/gifts").text


def test_delivery_that_is_paid_apart_is_said_beside_the_price_of_a_gift(
    rt: Runtime, client: FlaskClient
):
    make.make_plan(rt, code="pot", name="Pot")
    make_zone(rt, "DE")
    page = client.get("/gifts").text
    assert "incl. VAT, plus delivery" in page
    assert "for each box" in page.partition("Give 1 box")[2].partition("</article>")[0]


def test_the_price_of_the_page_is_the_price_that_is_paid(rt: Runtime, ada: Shopper):
    plan = make.make_plan(rt, code="pot", name="Pot")
    make.make_price(rt, plan, amount_minor=7410, count=3)
    box = ada.get("/checkout?plan=pot&interval=3m&gift=1")
    assert 'name="gift" value="1"' in box.text
    assert "Say who gets it" in box.text

    asked = ada.begin(interval="3m", gift="1", step="box")

    assert place(asked) == "gift"
    assert "€74.10" in ada.get(ada.at("gift")).text


def test_what_is_added_to_a_box_is_not_offered_with_a_gift(rt: Runtime, ada: Shopper):
    make.make_plan(rt, code="pot", name="Pot")
    make.make_addon(rt, name="Honey Biscuits")
    assert "Honey Biscuits" in ada.get("/checkout?plan=pot&interval=1m").text
    assert "Honey Biscuits" not in ada.get("/checkout?plan=pot&interval=1m&gift=1").text


def test_a_code_opens_its_gift(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway):
    gift = make_gift(rt, make.make_plan(rt, code="pot", name="Pot"), wish_for(rt.today()))
    run_gifts(rt)
    code = code_of(rt, gift)
    answer = client.post("/gifts/open", data={"code": f" {code} "})
    assert answer.status_code == 303
    assert answer.location == f"/gift/{code}"
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "Enter the code from the card or the mail"),
        ("nothing-like-it", "We do not know this code"),
        ("<script>", "We do not know this code"),
        ("é" * 500, "We do not know this code"),
    ],
)
def test_a_code_that_opens_nothing_is_kept_and_explained(
    rt: Runtime, client: FlaskClient, typed: str, said: str
):
    page = client.post("/gifts/open", data={"code": typed})
    assert page.status_code == 422
    assert said in page.text
    assert "<script>" not in page.text.partition("<main")[2]
    assert f'value="{escape(typed)}"' in page.text


def test_codes_are_not_tried_without_end(rt: Runtime, client: FlaskClient):
    answers = [
        client.post("/gifts/open", data={"code": f"guess{number}"}).status_code
        for number in range(32)
    ]
    assert set(answers[:30]) == {422}
    assert answers[-1] == 429
