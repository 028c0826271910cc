"""More than one box in an order, as a browser with and without JavaScript walks it."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from storefront.models import Invoice, Plan, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import count, only
from tests.support.shopper import ADA, HTMX, Shopper, place


@pytest.fixture
def pot(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot", name="Pot")


@pytest.fixture
def tea(rt: Runtime, pot: Plan) -> Plan:
    return make.make_plan(rt, code="tea", name="Leaf club", amount_minor=1900)


@pytest.fixture
def ada(pot: Plan, tea: Plan, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    return Shopper(client, demo_gateway)


def version(text: str) -> str:
    """Return the order's version as the page's forms carry it."""
    found = re.search(r'name="version" value="(\d+)"', text)
    assert found is not None
    return found[1]


def add(ada: Shopper, plan: str, **answers: str) -> str:
    form = ada.get(f"{ada.at('add')}?plan={plan}")
    assert form.status_code == 200
    done = ada.post(ada.at("add"), plan=plan, step="box", version=version(form.text), **answers)
    return place(done)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_a_second_box_is_chosen_shown_and_paid_with_the_first(rt: Runtime, ada: Shopper):
    ada.begin()
    ada.deliver()
    assert "Add another box" in ada.get(ada.at("pay")).text
    plans = ada.get(ada.at("add")).text
    assert "Choose Leaf club" in plans
    assert f"{ada.at('add')}?plan=tea" in plans
    assert add(ada, "tea") == "pay"

    page = ada.get(ada.at("pay")).text
    said = text_of(page)
    assert "2 boxes" in said
    for words in ("This box today €26.00", "This box today €19.00", "Due today €45.00"):
        assert words in said
    assert said.count("Thu 18 March") >= 2
    assert "I agree that Pot renews every month for €26.00" in said
    assert "I agree that Leaf club renews every month for €19.00" in said

    ada.choose(ada.order())
    assert place(ada.post(ada.at("finish"))) == "confirmation"
    done = text_of(ada.get(ada.at("confirmation")).text)
    assert "Paid. €45.00 from Visa •••• 4242." in done
    assert "Pot, monthly" in done
    assert "This box today €19.00" in done
    assert count(rt, Subscription) == 2
    assert only(rt, Invoice).total_minor == 4500


def test_a_box_is_taken_off_again(ada: Shopper):
    ada.begin()
    ada.deliver()
    add(ada, "tea")
    page = ada.get(ada.at("pay")).text

    assert place(ada.post(ada.at("remove"), box="2", version=version(page))) == "pay"
    page = ada.get(ada.at("pay")).text
    assert "Leaf club" not in page
    assert 'name="box"' not in page


def test_taking_a_box_off_without_scripts_keeps_what_is_typed_beside_it(ada: Shopper):
    ada.begin()
    add(ada, "tea")
    page = ada.get(ada.at("delivery")).text
    assert f'value="2" form="delivery-form" formaction="{ada.at("remove")}"' in page
    fields = {"typed": "delivery", "box": "2", "version": version(page), **ADA, "postcode": ""}

    answer = ada.post(ada.at("remove"), **fields)

    assert answer.status_code == 200
    assert 'value="Lindenweg 4"' in answer.text
    assert "Enter the postcode" not in answer.text
    assert "Leaf club" not in answer.text


def test_with_htmx_the_summary_and_the_form_to_pay_are_priced_again(ada: Shopper):
    ada.begin()
    ada.deliver()
    add(ada, "tea")
    page = ada.get(ada.at("pay")).text

    ada.headers = HTMX
    removed = ada.post(ada.at("remove"), box="2", version=version(page), step="pay")

    assert removed.status_code == 200
    assert 'id="summary"' in removed.text
    assert 'hx-target="#pay-form"' in removed.text
    assert "<html" not in removed.text
    assert "€19.00" not in removed.text


def test_with_htmx_a_box_is_added_and_leads_on(ada: Shopper):
    ada.begin()
    ada.deliver()
    form = ada.client.get(f"{ada.at('add')}?plan=tea", headers=HTMX)
    assert "<html" not in form.text

    ada.headers = HTMX
    added = ada.post(ada.at("add"), plan="tea", version=version(form.text))

    assert added.headers["HX-Redirect"] == ada.at("pay")


def test_a_second_click_on_add_adds_no_third_box(ada: Shopper):
    ada.begin()
    ada.deliver()
    seen = version(ada.get(f"{ada.at('add')}?plan=tea").text)
    for _ in range(2):
        assert place(ada.post(ada.at("add"), plan="tea", version=seen)) == "pay"

    page = ada.get(ada.at("pay")).text
    assert "Your order changed meanwhile" in page
    assert "3 boxes" not in page
    assert "2 boxes" in page


def test_each_box_has_its_own_questions(rt: Runtime, ada: Shopper, tea: Plan):
    make.make_options(rt, tea, choices=[("mild", "Mild", 0), ("rare", "Rare", 300)])
    ada.begin()
    ada.deliver()
    missing = ada.post(ada.at("add"), plan="tea", version="1")
    assert missing.status_code == 422
    assert "Choose one: How do you like it?" in missing.text
    assert add(ada, "tea", **{"option-taste": "rare"}) == "pay"
    assert "€48.00" in ada.get(ada.at("pay")).text

    second = f"{ada.at('box')}/2"
    assert "Rare" in ada.get(second).text
    assert place(ada.post(second, **{"option-taste": "mild"})) == "pay"
    assert "€45.00" in ada.get(ada.at("pay")).text


def test_what_cannot_be_paid_together_is_said_before_it_is_added(rt: Runtime, ada: Shopper):
    other = make.make_plan(rt, code="net", name="Net", amount_minor=None)
    make.make_price(rt, other, tax_inclusive=False)
    ada.begin()
    ada.deliver()

    seen = version(ada.get(f"{ada.at('add')}?plan=net").text)
    refused = ada.post(ada.at("add"), plan="net", version=seen)
    assert refused.status_code == 422
    assert "cannot be paid together" in refused.text


@pytest.mark.parametrize(("path", "status"), [("add?plan=poison", 404), ("box/9", 303)])
def test_odd_addresses_lead_back_or_nowhere(ada: Shopper, path: str, status: int):
    ada.begin()
    ada.deliver()
    assert ada.get(f"/checkout/{ada.key}/{path}").status_code == status


def test_what_it_would_cost_is_shown_before_it_is_added(ada: Shopper):
    ada.begin()
    ada.deliver()
    said = text_of(ada.get(f"{ada.at('add')}?plan=tea").text)

    assert "Due today €45.00" in said
    assert "Add to the order" in said
    assert "Remove" not in said
    assert "€45.00" not in ada.get(ada.at("pay")).text


def test_odd_fields_change_nothing(ada: Shopper):
    ada.begin()
    ada.deliver()
    for fields in ({"box": "x" * 500}, {"box": "2", "version": "-1"}, {"version": "9" * 40}):
        assert place(ada.post(ada.at("remove"), **fields)) == "pay"
    assert "Pot" in ada.get(ada.at("pay")).text
    assert place(ada.post(ada.at("add"), plan="tea", version="ten")) == "pay"
    assert "Leaf club" not in ada.get(ada.at("pay")).text


def test_a_code_lowers_one_box_and_is_shown_beside_it(rt: Runtime, ada: Shopper):
    make.make_code(rt, "LEMON")
    ada.begin()
    ada.deliver()
    add(ada, "tea")
    assert place(ada.post(ada.at("code"), code="lemon")) == "pay"

    said = text_of(ada.get(ada.at("pay")).text)
    assert "Code LEMON" in said
    assert "€42.40" in said
    assert "This box today €19.00" in said
