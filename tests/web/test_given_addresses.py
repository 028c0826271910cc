"""The giver knows the address: said at the checkout, corrected by the recipient, page by page."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.mails import compose
from storefront.models import Plan, Product
from storefront.runtime import Runtime
from storefront.services.gifts import run_gifts
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gifts import HOME as AT_HOME
from tests.support.gifts import code_of, make_gift, wish_for
from tests.support.paying import waiting_mails
from tests.support.shopper import HTMX, Shopper, place

GIFT = {
    "to_name": "Ada Lovelace",
    "to_email": "ada@example.org",
    "country": "DE",
    "where": "known",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
    "tell": "mail",
    "send_on": "2027-03-20",
    "message": "Happy birthday!",
    "name": "Ben Babbage",
    "email": "ben@example.org",
}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def ben(plan: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


@pytest.fixture
def ada(app: Flask, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(app.test_client(), demo_gateway)


def test_a_quiet_gift_from_the_checkout_to_the_card_its_giver_prints(
    rt: Runtime, plan: Plan, ben: Shopper
) -> None:
    make.make_recipe(rt, plan, variants=[make.make_variant(rt, sku="NUTTY")])
    rt.session.execute(sa.update(Product).values(allergens=["nuts"]))
    rt.session.commit()
    ben.begin()
    assert "something they do not tolerate" in ben.get(ben.at("gift")).text
    wish = GIFT | {"tell": "giver", "to_email": "", "avoid": "nuts"}
    assert "Tick that we may keep this" in ben.post(ben.at("gift"), **wish).text
    assert place(ben.post(ben.at("gift"), **wish | {"agree": "y"})) == "pay"
    review = ben.get(ben.at("pay")).text
    assert "Lindenweg 4" in review
    assert "from you; the code opens on" in review
    # Whatever is changed, it stays a gift.
    main = review[review.index("order-review") : review.index("order-terms")]
    assert ben.at("delivery") not in main
    assert "the e-mail</span>" in main
    again = ben.get(ben.at("gift")).text
    assert 'value="07743"' in again
    ben.choose(ben.order())
    assert place(ben.post(ben.at("finish"))) == "confirmation"
    assert "the code to hand over is in your account" in ben.get(ben.at("confirmation")).text
    [mail] = [compose(rt, one) for one in waiting_mails(rt, "gift_ordered")]
    assert mail is not None
    assert "We write nothing to Ada Lovelace." in mail.text
    rt.session.rollback()

    home = ben.get("/account/").text
    assert "for Jena." in home
    link = re.search(r'href="(/account/gifts/gft_[^"]+)"', home)
    assert link is not None
    card = ben.get(link[1])

    assert card.headers["Cache-Control"] == "no-store"
    assert "Ben Babbage has a gift for you" in card.text
    assert "/gift/" in card.text
    assert "€" not in card.text
    assert ben.get("/account/gifts/gft_unknown").status_code == 404


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"street": ""}, "Enter street and house number"),
        ({"postcode": "7"}, "Postcodes there look like 07743. Check yours"),
        ({"postcode": "27498"}, "We do not deliver to this postcode"),
        ({"to_email": ""}, "Enter the e-mail of who gets it"),
    ],
)
def test_what_is_wrong_with_it_is_said_beside_it(
    rt: Runtime, ben: Shopper, values: dict[str, str], words: str
) -> None:
    make.make_zone(rt, "DE 27498", None)
    ben.begin()
    ben.headers = HTMX

    page = ben.post(ben.at("gift"), **GIFT | values)

    assert page.status_code == 422
    assert words in page.text
    assert "Happy birthday!" in page.text


def test_who_does_not_know_the_address_is_asked_for_none(ben: Shopper) -> None:
    ben.begin()
    asked = {**GIFT, "where": "ask", "street": "", "postcode": "x", "city": ""}

    assert place(ben.post(ben.at("gift"), **asked)) == "pay"
    assert "They say themselves where it goes." in ben.get(ben.at("pay")).text


def test_the_recipient_finds_the_address_and_corrects_it(
    rt: Runtime, plan: Plan, ada: Shopper
) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today(), address=AT_HOME))
    run_gifts(rt)
    [mail] = [compose(rt, one) for one in waiting_mails(rt, "gift_received")]
    assert mail is not None
    assert "It goes to the address in Jena that Ben gave us." in mail.text
    # Of the address only the town is shown, so nobody is asked to look at it.
    assert "Tell us your address" in mail.text
    assert "Lindenweg" not in mail.text
    rt.session.rollback()
    url = f"/gift/{code_of(rt, gift)}"
    page = ada.get(url).text
    assert "Is the address right?" not in page
    assert "Tell us your address" in page
    assert "you can do so until" in page
    # Whoever the mail reached by mistake reads no more than it says.
    assert 'value="Jena"' in page
    assert "Lindenweg" not in page
    assert "07743" not in page

    changed = {**AT_HOME, "email": "ada@example.org", "street": "Am Ufer 1"}
    mine = ada.post(url, **changed).location

    assert "Am Ufer 1" in ada.get(mine).text


@pytest.mark.parametrize(
    ("language", "words"), [("de", "Ich kenne die Adresse"), ("fr", "Je connais l’adresse")]
)
def test_the_form_speaks_the_shopper_s_language(ben: Shopper, language: str, words: str) -> None:
    ben.begin()
    page = ben.client.get(ben.at("gift"), headers={"Accept-Language": language})

    assert words in page.text
