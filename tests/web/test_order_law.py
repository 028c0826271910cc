"""What stands at the order button, country by country: its words, the terms, the consent."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from hashlib import sha256

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.models import Checkout, Consent, Plan
from storefront.operations.consents import Given
from storefront.queries.own_data import everything_of
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import Shopper
from tests.support.withdrawal import mark_products

OBLIGED, SUBSCRIBE = "Order with obligation to pay", "Subscribe and pay"
#: Country, region, postcode, button, name of the law that is kept, words about tax.
TABLE = [
    ("DE", "", "07743", OBLIGED, "EU", "incl. VAT and delivery"),
    ("FR", "", "75001", OBLIGED, "EU", "incl. VAT and delivery"),
    ("AT", "", "1010", OBLIGED, "EU", "incl. VAT and delivery"),
    ("NL", "", "1012 AB", OBLIGED, "EU", "incl. VAT and delivery"),
    ("GB", "", "SW1A 1AA", OBLIGED, "GB", "incl. VAT and delivery"),
    ("CH", "", "8001", SUBSCRIBE, "CH", "incl. VAT and delivery"),
    ("US", "CA", "94103", SUBSCRIBE, "US-CA", "incl. tax and delivery"),
    ("US", "NY", "10001", SUBSCRIBE, "US-NY", "incl. tax and delivery"),
    ("US", "MA", "02108", SUBSCRIBE, "US-MA", "incl. tax and delivery"),
    ("US", "TX", "73301", SUBSCRIBE, "US", "incl. tax and delivery"),
]
#: What is ordered -> words of the consent, and what the terms say beside it. Today is 12 March.
KINDS = {
    "plain": (
        ["renews every month for €26.00", "first on 12 April 2027", "until I cancel."],
        ["Due today €26.00", "Then €26.00 on Mon 12 April", "First box ships Thu 18 March"],
    ),
    "trial": (
        [
            "renews every month for €26.00",
            "first on 12 April 2027",
            "until I cancel.",
            "If I cancel by 11 April 2027, I pay nothing.",
        ],
        [
            "with a free trial until 12 April 2027",
            "Due today €0.00",
            "Then €26.00 on Mon 12 April",
            "Free trial Cancel by Sun 11 April and you pay nothing.",
        ],
    ),
    "promotion": (
        ["from 12 April 2027 for €9.00 and from 12 May 2027 for €26.00", "until I cancel."],
        ["Due today €9.00", "Then €9.00 on Mon 12 April", "Later €26.00 from Wed 12 May"],
    ),
}


def sells(rt: Runtime, country: str, kind: str) -> None:
    make.make_shop(
        rt, seller_country=country if country in ("CH", "US") else "DE", countries=[country]
    )
    trial = {"trial_days": 14} if kind == "trial" else {}
    plan = make.make_plan(rt, code="pot", name="Pot", amount_minor=None, **trial)
    phases = [{"boxes": 2, "amount_minor": 900}] if kind == "promotion" else []
    make.make_price(rt, plan, amount_minor=2600, tax_inclusive=True, phases=phases)
    rt.forget_shop()


def plain(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup)).strip()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("country", "region", "postcode", "button", "law", "included"), TABLE)
def test_button_terms_and_consent_are_those_of_the_country(
    rt: Runtime,
    client: FlaskClient,
    demo_gateway: DemoGateway,
    *,
    country: str,
    region: str,
    postcode: str,
    button: str,
    law: str,
    included: str,
    kind: str,
):
    sells(rt, country, kind)
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver(country=country, region=region, postcode=postcode)

    page = ada.get(ada.at("pay")).text
    terms, _, rest = page.partition('id="terms-title"')[2].partition('<label class="check order-c')
    box, _, rest = rest.partition("</label>")
    asked = plain(box.partition(">")[2])
    agreed, beside = KINDS[kind]

    assert [words for words in beside if words not in plain(terms)] == []
    assert "To cancel online in your account" in plain(terms)
    assert [words for words in agreed if words not in asked] == []
    assert f"({included})" in asked
    assert ("VAT" in page) is ("VAT" in included)
    assert asked.startswith("I agree that Pot renews")
    assert " checked" not in box
    pressed = re.findall(r"<button[^>]*type=\"submit\"[^>]*>(.*?)</button>", rest, re.S)
    assert plain(pressed[0]) == button
    assert ({OBLIGED, SUBSCRIBE} - {button}).pop() not in page

    ada.order()
    kept = rt.session.scalars(sa.select(Checkout.consent)).one()
    assert kept["text"] == asked
    assert kept["hash"] == sha256(asked.encode()).hexdigest()
    assert kept["version"] == f"renewal-3 {law}"
    assert kept["button"] == button
    assert kept["page"].startswith("What you agree to ")
    assert [words for words in [*beside, asked] if words not in kept["page"]] == []


def test_a_bill_to_a_country_of_the_law_has_its_button(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
):
    sells(rt, "CH", "plain")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver(country="CH", postcode="8001")
    bill = {"name": "Ada Lovelace", "street": "Lindenweg 4", "city": "Jena", "country": "DE"}
    rt.session.execute(sa.update(Checkout).values(billing=bill | {"postcode": "07743"}))
    rt.session.commit()

    page = ada.get(ada.at("pay")).text
    assert OBLIGED in page
    assert SUBSCRIBE not in page


def test_the_words_of_the_page_and_its_button_stay_with_the_consent(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway
):
    sells(rt, "DE", "plain")
    ada = Shopper(client, demo_gateway)
    ada.buy()

    consent = rt.session.scalars(sa.select(Consent)).one()
    assert consent.button == OBLIGED
    assert f"{consent.text} {OBLIGED} You are charged €26.00 now." in consent.page
    assert "Then €26.00 on Mon 12 April" in consent.page
    assert consent.page_hash == sha256(f"{consent.page}\n{OBLIGED}".encode()).hexdigest()
    # Nothing of it says who it was, so it stays when the person is erased; and theirs it is.
    assert [word for word in ("Lovelace", "Lindenweg", "Jena") if word in consent.page] == []
    exported = everything_of(rt.session, consent.customer_id)["consents"]
    assert [(row["button"], row["page"]) for row in exported] == [(OBLIGED, consent.page)]
    changed = sa.update(Consent).values(page="Something else")
    with pytest.raises(sa.exc.DatabaseError, match="consent is append-only"):
        rt.session.execute(changed)
    rt.session.rollback()


@pytest.mark.parametrize(("country", "may"), [("DE", True), ("GB", True), ("CH", False)])
def test_the_right_to_withdraw_and_what_it_does_not_hold_for_stand_beside_the_button(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, country: str, *, may: bool
):
    sells(rt, country, "plain")
    mark_products(rt, "perishable")
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver(country=country, postcode={"GB": "SW1A 1AA", "CH": "8001"}.get(country, "07743"))
    right = (
        "To withdraw within 14 days of the first box's arrival, without giving a reason. It does"
        " not hold for: things that spoil quickly."
    )

    page = ada.get(ada.at("pay")).text
    terms = page.partition('id="terms-title"')[2].partition('<label class="check order-c')[0]
    assert (right in html.unescape(plain(terms))) is may

    ada.order()
    kept = rt.session.scalars(sa.select(Checkout.consent)).one()
    assert (right in " ".join(html.unescape(kept["page"]).split())) is may


@pytest.mark.parametrize("second", [True, False])
def test_a_second_right_after_a_trial_stands_beside_the_button_where_the_plan_gives_it(
    rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway, *, second: bool
):
    sells(rt, "GB", "trial")
    rt.session.execute(sa.update(Plan).values(second_withdrawal=second))
    rt.session.commit()
    ada = Shopper(client, demo_gateway)
    ada.begin()
    ada.deliver(country="GB", postcode="SW1A 1AA")

    page = ada.get(ada.at("pay")).text

    again = "After a free trial you may withdraw once more, within 14 days of its end."
    assert (again in page) is second


def test_other_words_are_another_rendering():
    given = Given("I agree.", "1", "", "", "Order", "What you agree to")
    assert given.page_hash != replace(given, button="Buy").page_hash
    assert given.page_hash != replace(given, page="What it is").page_hash
    assert Given("I agree.", "1", "", "").page_hash == ""
