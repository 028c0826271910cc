"""Giving a box away, from the checkout to the recipient's account, page by page."""

import json
import re
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from storefront.domain.shortages import Policy
from storefront.mails import compose
from storefront.models import Box, BoxCycle, Plan
from storefront.runtime import Runtime
from storefront.services.cycles import close_cycles
from storefront.services.finishing import expire_checkouts
from storefront.services.fulfilment import export_boxes, ship_batch
from storefront.services.gifts import run_gifts
from storefront.services.stock import set_rule
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gifts import code_of, make_gift, wish_for
from tests.support.paying import waiting_mails
from tests.support.shopper import HTMX, Shopper, place

GIFT = {
    "to_name": "Ada Lovelace",
    "to_email": "ada@example.org",
    "country": "DE",
    "send_on": "2027-03-20",
    "message": "Happy birthday!\nYours, Ben",
    "name": "Ben Babbage",
    "email": "ben@example.org",
}
HOME = {
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "street": "Lindenweg 4",
    "postcode": "07743",
    "city": "Jena",
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


def gave(ben: Shopper) -> TestResponse:
    ben.begin()
    ben.post(ben.at("gift"), **GIFT)
    ben.choose(ben.order())
    return ben.post(ben.at("finish"))


def test_the_delivery_step_offers_to_give_it_away(ben: Shopper) -> None:
    ben.begin()

    assert ben.at("gift") in ben.get(ben.at("delivery")).text


def test_the_review_names_who_gets_it_and_what_is_paid_once(ben: Shopper) -> None:
    ben.begin()
    words = "Happy birthday! Use 4242 4242 4242 4242"
    assert place(ben.post(ben.at("gift"), **GIFT | {"message": words})) == "pay"

    page = ben.get(ben.at("pay")).text

    assert "Ada Lovelace" in page
    assert "4242 4242 4242 4242" not in page
    assert "Happy birthday!" in page
    assert "You are charged €26.00 now, and not again." in page
    assert "Lindenweg" not in page
    assert "until you cancel" not in page


def test_a_gift_can_become_a_box_of_ones_own_again(ben: Shopper) -> None:
    ben.begin()
    ben.post(ben.at("gift"), **GIFT)
    ben.deliver()

    page = ben.get(ben.at("pay")).text
    assert "Lindenweg 4" in page
    assert "Happy birthday!" not in page


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("to_email", "ada", "Enter an e-mail like name@example.com"),
        ("send_on", "2027-03-01", "That day is over. Choose today or a later one"),
        ("send_on", "2028-03-01", "Choose a day within the next 180 days"),
        ("send_on", "soon", "Enter a day like"),
        ("country", "JP", "We do not deliver there yet. Choose another country"),
        ("message", "x" * 401, "The message must be 400 characters or fewer"),
        ("to_name", "", "Enter the name of who gets it"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    ben: Shopper, field: str, value: str, words: str
) -> None:
    ben.begin()

    page = ben.post(ben.at("gift"), **{**GIFT, field: value})

    assert page.status_code == 422
    assert words in page.text
    assert "ben@example.org" in page.text


def test_the_form_is_swapped_alone_with_the_script(ben: Shopper) -> None:
    ben.begin()
    ben.headers = HTMX

    page = ben.post(ben.at("gift"), **{**GIFT, "to_email": ""})

    assert page.text.lstrip().startswith('<form id="gift-form"')


def test_the_giver_finds_gift_and_receipt_in_their_account(ben: Shopper) -> None:
    assert place(gave(ben)) == "confirmation"
    assert "Your gift is paid." in ben.get(ben.at("confirmation")).text

    page = ben.get("/account/").text

    assert "Gifts you gave" in page
    assert "Ada Lovelace hears of it on" in page
    assert "/account/invoices/inv_" in page


def test_before_its_day_the_code_opens_nothing(rt: Runtime, plan: Plan, ada: Shopper) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today().replace(day=20)))

    assert ada.get(f"/gift/{code_of(rt, gift)}").status_code == 404
    assert ada.get("/gift/AAAAAA-AAAAAA-AAAAAA-AAAAAA").status_code == 404


def test_the_recipient_says_where_it_goes_and_never_sees_a_price(
    rt: Runtime, plan: Plan, ada: Shopper
) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    pages = [ada.get(url).text]
    assert "Ben has a gift for you" in pages[0]
    assert "Happy birthday!" in pages[0]

    answer = ada.post(url, **HOME)

    assert answer.status_code == 303
    assert answer.location.startswith("/account/subscriptions/sub_")
    pages += [ada.get(answer.location).text, ada.get("/account/").text]
    assert "Lindenweg 4" in pages[1]
    for page in pages:
        assert "€" not in page
        assert "26.00" not in page
    # No page about payment leads anywhere but back.
    assert ada.get(f"{answer.location}/plan").location == answer.location
    assert ada.get(f"{answer.location}/cancel").location == answer.location
    assert "We know where it goes." in ada.get(url).text
    # Nor does the file of their data; nobody keeps the pages.
    data = ada.get("/account/privacy/data").json
    assert data["boxes"]
    assert data["periods"]
    for word in ("_minor", "currency", "inv_"):
        assert word not in json.dumps(
            [data[part] for part in ("subscriptions", "boxes", "periods", "timeline")]
        )
    assert ada.get(url).headers["Cache-Control"] == "no-store"


def test_the_recipient_sees_of_a_box_what_a_subscriber_sees_but_what_it_costs(
    rt: Runtime, plan: Plan, ada: Shopper, clock: FrozenClock
) -> None:
    tea = make.make_variant(rt, name="Kukicha", on_hand=9)
    cup = make.make_variant(rt, name="Cup", sku="CUP", on_hand=0, price_minor=400)
    make.make_recipe(rt, plan, variants=[tea, cup])
    set_rule(rt, cup.public_id, is_counted=True, policy=Policy.DROP, substitute="")
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)
    mine = ada.post(url, **HOME).location

    for page in (ada.get(mine).text, ada.get("/account/").text):
        assert "Change until" in page
        assert "Kukicha" in page
        assert "Lindenweg 4" in page
        assert "Payment" not in page.partition('class="card next-box')[2].partition("<h3")[0]

    clock.set(datetime(2027, 3, 16, 9, tzinfo=UTC))
    close_cycles(rt)
    cycle = rt.session.scalars(
        sa.select(BoxCycle.public_id).where(BoxCycle.locked_at.is_not(None))
    ).one()
    rt.session.rollback()
    for page in (ada.get(mine).text, ada.get("/account/").text):
        assert "Cup had run out and was left out." in page
        assert "€" not in page
    batch = export_boxes(rt, cycle).public_id
    box = rt.session.scalars(sa.select(Box.public_id).where(Box.locked_at.is_not(None))).one()
    rt.session.rollback()
    ship_batch(rt, batch, carrier="DHL", tracking={box: "JJD0001"})
    for page in (ada.get(mine).text, ada.get("/account/").text):
        assert "Follow it: DHL JJD0001" in page
        assert "€" not in page


def test_the_recipient_s_buttons_after_the_cut_off_lead_somewhere(
    rt: Runtime, plan: Plan, ada: Shopper, clock: FrozenClock
) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)
    mine = ada.post(url, **HOME).location
    clock.set(datetime(2027, 3, 16, 9, tzinfo=UTC))

    page = ada.get(mine).text

    links = set(re.findall(rf'href="({mine}/[^"]+)"', page))
    assert [link for link in links if link.endswith("/late")]
    assert {link: ada.get(link).status_code for link in links} == dict.fromkeys(links, 200)
    [late] = [link for link in links if link.endswith("/late")]
    asked = {key: value for key, value in HOME.items() if key != "email"}
    assert ada.post(late, kind="address", **asked | {"street": "Am Ufer 1"}).status_code == 303
    assert "We are looking at it" in ada.get(late).text


def test_a_claim_under_another_new_e_mail_signs_nobody_in(
    rt: Runtime, plan: Plan, ada: Shopper
) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)

    assert ada.post(url, **HOME | {"email": "eve@example.org"}).location == url
    assert "Thank you. Your boxes go there." in ada.get(url).text
    assert "/sign-in" in ada.get("/account/").location


def test_an_address_that_is_not_whole_claims_nothing(rt: Runtime, plan: Plan, ada: Shopper) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)

    page = ada.post(url, **{**HOME, "street": "", "country": "FR"})

    assert page.status_code == 422
    assert "Enter street and house number" in page.text
    assert "Where should it go?" in page.text


def test_a_claim_under_somebody_s_e_mail_signs_nobody_in(
    rt: Runtime, plan: Plan, ada: Shopper
) -> None:
    make.make_customer(rt, email="ada@example.org")
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)

    assert ada.post(url, **HOME).location == url
    assert "/sign-in" in ada.get("/account/").location


def test_the_mails_of_a_gift_name_no_price_but_to_who_paid(
    rt: Runtime, plan: Plan, clock: FrozenClock
) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    clock.advance(days=7)
    run_gifts(rt)

    for topic in ("gift_received", "gift_reminder"):
        [mail] = [compose(rt, one) for one in waiting_mails(rt, topic)]
        assert mail is not None
        assert mail.to == "ada@example.org"
        assert "€" not in mail.text
        assert "26.00" not in mail.text
        assert code_of(rt, gift) in mail.text
        assert "Happy birthday!" in mail.text
        assert "you have a subscription" not in mail.text + (mail.html or "")
    for topic, words in (("gift_ordered", "€26.00"), ("gift_unclaimed", "has not said yet")):
        [mail] = [compose(rt, one) for one in waiting_mails(rt, topic)]
        assert mail is not None
        assert mail.to == "ben@example.org"
        assert words in mail.text
        assert code_of(rt, gift) not in mail.text


def claim(rt: Runtime, plan: Plan, ada: Shopper) -> str:
    """Return the page of the gift that Ada has claimed and is signed in for."""
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)
    return ada.post(url, **HOME).location


def test_a_recipient_asks_what_going_on_costs_and_agrees_at_the_checkout(
    rt: Runtime, plan: Plan, ada: Shopper
) -> None:
    mine = claim(rt, plan, ada)
    assert f"{mine}/go-on" in ada.get(mine).text

    page = ada.get(f"{mine}/go-on").text

    assert "€26.00" in page
    assert "incl. 19% VAT (€4.15)" in page
    assert "First payment Mon 12 April." in page
    price = re.search(r'name="price" value="(pri_[^"]+)"', page)
    assert price is not None
    answer = ada.post(f"{mine}/go-on", price=price[1])
    assert ada.post(f"{mine}/go-on", price=price[1]).location == answer.location
    ada.key = answer.location.rpartition("/")[2]
    assert place(ada.get(answer.location)) == "pay"
    review = ada.get(ada.at("pay")).text
    assert "after your gift, with the first payment on 12 April 2027" in review
    assert "Nothing is charged now. Your card is stored for the next payment." in review
    assert "first on 12 April 2027, until I cancel" in review
    assert "Add another box" not in review
    assert place(ada.get(f"{ada.at('add')}?plan=pot")) == "pay"
    assert "This box cannot be paid together with the others." in ada.get(ada.at("pay")).text
    assert ada.at("gift") not in ada.get(ada.at("delivery")).text
    assert ada.post(ada.at("gift"), **GIFT).status_code == 422
    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"

    assert "After it you go on with your own subscription." in ada.get(mine).text
    assert "Its first payment is on Mon 12 April." in ada.get(f"{mine}/go-on").text
    again = ada.post(f"{mine}/go-on", price=price[1]).location
    assert again != mine
    assert "€26.00 on Mon 12 April" in ada.get(again).text


def test_an_order_to_go_on_that_ran_out_leads_home_and_not_to_a_charge_at_once(
    rt: Runtime, plan: Plan, ada: Shopper, clock: FrozenClock
) -> None:
    mine = claim(rt, plan, ada)
    price = re.search(r'name="price" value="(pri_[^"]+)"', ada.get(f"{mine}/go-on").text)
    assert price is not None
    order = ada.post(f"{mine}/go-on", price=price[1]).location
    clock.advance(hours=3)
    expire_checkouts(rt)

    assert ada.get(order).location == "/account/"
    assert ada.post(f"{mine}/go-on", price=price[1]).location != order


def test_who_claims_a_gift_late_reads_nothing_of_its_waiting(
    rt: Runtime, plan: Plan, ada: Shopper, clock: FrozenClock
) -> None:
    gift = make_gift(rt, plan, wish_for(rt.today()))
    run_gifts(rt)
    clock.advance(days=40)
    close_cycles(rt)
    url = f"/gift/{code_of(rt, gift)}"
    ada.get(url)

    page = ada.get(ada.post(url, **HOME).location).text

    assert "Boxes go to Jena now." in page
    assert "skipped" not in page
    assert "Your subscription" not in page
