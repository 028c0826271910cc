"""The summary beside step 1 follows what is picked, and nothing is written by looking."""

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.models import Checkout
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import Shopper

PART = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    plan = make.make_plan(rt, code="pot", name="Pot")
    make.make_price(rt, plan, amount_minor=7410, count=3)
    return Shopper(client, demo_gateway)


def test_the_summary_follows_interval_and_add_on(rt: Runtime, ada: Shopper):
    addon = make.make_addon(rt, name="Honey Biscuits")
    at = "/checkout/summary?plan=pot&interval="
    assert "€26.00" in ada.client.get(f"{at}1m", headers=PART).text

    part = ada.client.get(
        f"{at}3m&addon-{addon.public_id}=y&number-{addon.public_id}=2", headers=PART
    ).text

    assert part.lstrip().startswith('<section class="summary')
    assert "2 × Honey Biscuits" in part
    assert "Pot, every 3 months" in part
    assert rt.session.scalar(sa.select(sa.func.count(Checkout.id))) == 0
    rt.session.rollback()


def test_an_order_that_was_begun_shows_what_it_would_be_and_stays_as_it_is(ada: Shopper):
    ada.begin()
    box = ada.get(ada.at("box")).text
    address = box.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")
    join = "&" if "?" in address else "?"

    part = ada.client.get(f"{address}{join}interval=3m", headers=PART).text

    assert "€74.10" in part
    assert "€74.10" not in ada.get(ada.at("delivery")).text


def test_one_more_box_is_followed_beside_what_is_in_the_order(rt: Runtime, ada: Shopper):
    cup = make.make_plan(rt, code="cup", name="Cup", amount_minor=1600)
    make.make_price(rt, cup, amount_minor=4560, count=3)
    addon = make.make_addon(rt, name="Honey Biscuits")
    ada.begin()
    ada.deliver()
    page = ada.get(f"{ada.at('add')}?plan=cup").text
    address = page.partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")

    picked = f"&interval=3m&addon-{addon.public_id}=y&number-{addon.public_id}=2"
    part = ada.client.get(f"{address}{picked}", headers=PART).text

    for words in ("Pot, monthly", "Cup, every 3 months", "2 × Honey Biscuits"):
        assert words in part
    assert "€89.60" in part
    assert "Cup" not in ada.get(ada.at("pay")).text
    # What the page opens without, since the box is not in the order yet.
    for button in ("Remove", "Add another box"):
        assert button not in page.partition('id="summary"')[2].partition("</section>")[0]
        assert button not in part


def test_what_is_picked_wrongly_is_left_out(ada: Shopper):
    part = ada.client.get("/checkout/summary?plan=pot&interval=7d&option-x=1", headers=PART)
    assert part.status_code == 200
    assert "€26.00" in part.text
    assert ada.client.get("/checkout/summary?plan=none", headers=PART).status_code == 404


def test_a_gift_is_asked_for_boxes_and_never_says_that_it_renews(ada: Shopper):
    page = ada.get("/checkout?plan=pot&interval=3m&gift=1").text
    assert "How many boxes you give" in page
    assert "How often you pay" not in page
    assert "Pot, 3 boxes" in page
    assert "Nothing renews" in page
    assert "It renews" not in page
    assert "Then €" not in page
    part = ada.client.get("/checkout/summary?plan=pot&interval=1m&gift=1", headers=PART).text
    assert "Pot, 1 box" in part
    assert "It renews" not in part


def test_the_review_names_what_was_added_to_the_box(rt: Runtime, ada: Shopper):
    addon = make.make_addon(rt, name="Honey Biscuits")
    picks = {f"addon-{addon.public_id}": "y", f"number-{addon.public_id}": "2"}
    ada.begin(step="box", interval="1m", **picks)
    ada.deliver()
    review = (
        ada.get(ada.at("pay")).text.partition('id="review-title"')[2].partition("</section>")[0]
    )
    assert "+ 2 × Honey Biscuits" in review
