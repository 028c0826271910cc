"""A code at the checkout without scripts: what was typed in the step beside it stays."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import ADA, Shopper, place

GIFT = {
    "to_name": "Grace",
    "to_email": "grace@example.org",
    "country": "DE",
    "where": "ask",
    "tell": "mail",
    "send_on": "2027-03-20",
    "message": "Happy birthday!",
    "email": "ada@example.org",
    "name": "Ada",
}


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    make.make_plan(rt, code="pot", name="Pot", group=make.make_group(rt))
    make.make_code(rt, "LEMON")
    return Shopper(client, demo_gateway)


@pytest.mark.parametrize(("code", "status"), [("", 422), ("NOPE", 422), ("LEMON", 200)])
def test_what_is_typed_of_an_address_stays_when_a_code_is_used(
    ada: Shopper, code: str, status: int
) -> None:
    ada.begin()
    page = ada.get(ada.at("delivery")).text
    assert 'name="code" form="delivery-form"' in page
    assert 'name="typed" value="delivery" form="delivery-form"' in page

    answer = ada.post(ada.at("code"), typed="delivery", code=code, **ADA | {"postcode": ""})

    assert answer.status_code == status
    assert 'value="Lindenweg 4"' in answer.text
    assert 'value="ada@example.org"' in answer.text
    assert "Enter the postcode" not in answer.text
    assert ("€23.40" in answer.text) == (code == "LEMON")


def test_taking_a_code_off_keeps_what_is_typed(ada: Shopper) -> None:
    ada.begin()
    ada.post(ada.at("code"), code="LEMON", step="delivery")
    assert f'formaction="{ada.at("code/remove")}"' in ada.get(ada.at("delivery")).text

    answer = ada.post(ada.at("code/remove"), typed="delivery", **ADA)

    assert answer.status_code == 200
    assert 'value="Lindenweg 4"' in answer.text
    assert "€23.40" not in answer.text


def test_enter_in_the_code_tries_it_before_the_step_goes_on(ada: Shopper) -> None:
    ada.begin()

    answer = ada.post(ada.at("delivery"), typed="delivery", code="LEMON", **ADA)

    assert (answer.status_code, "€23.40" in answer.text) == (200, True)
    assert 'value="Lindenweg 4"' in answer.text
    assert place(ada.post(ada.at("delivery"), typed="delivery", code="", **ADA)) == "pay"


def test_what_is_typed_of_a_gift_stays_when_a_code_is_used(ada: Shopper) -> None:
    ada.begin()
    assert 'name="typed" value="gift" form="gift-form"' in ada.get(ada.at("gift")).text

    answer = ada.post(ada.at("code"), typed="gift", code="", **GIFT)

    assert answer.status_code == 422
    assert 'id="gift-form"' in answer.text
    assert "Happy birthday!" in answer.text
    assert 'value="grace@example.org"' in answer.text


def test_a_code_that_is_refused_leaves_the_consent_ticked_and_one_that_counts_asks_again(
    ada: Shopper,
) -> None:
    ada.begin()
    ada.deliver()
    ada.get(ada.at("pay"))
    ticked = {"typed": "pay", "consent": "y", "quote": ada.quote}

    refused = ada.post(ada.at("code"), code="", **ticked).text
    used = ada.post(ada.at("code"), code="LEMON", **ticked).text

    assert 'value="y" required checked' in refused
    assert "€23.40" in used
    assert 'value="y" required checked' not in used


def test_who_orders_with_a_code_typed_sees_the_new_amount_first(ada: Shopper) -> None:
    ada.begin()
    ada.deliver()

    answer = ada.order(typed="pay", code="LEMON")

    assert (answer.status_code, "€23.40" in answer.text) == (200, True)
