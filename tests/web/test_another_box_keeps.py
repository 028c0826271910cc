"""Who adds another box in the middle of a step finds there what was typed."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from storefront.models import Checkout, Plan
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gateways import second_gateway
from tests.support.shopper import ADA, Shopper, place


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    pot = make.make_plan(rt, code="pot", name="Pot")
    make.make_options(rt, pot, choices=(("bitter", "Bitter", 0), ("sweet", "Sweet", 0)))
    make.make_plan(rt, code="tea", name="Leaf club", amount_minor=1900)
    return Shopper(client, demo_gateway)


def row_of(rt: Runtime) -> Checkout:
    rt.session.expire_all()
    row = rt.session.scalars(sa.select(Checkout)).one()
    rt.session.expunge(row)
    rt.session.rollback()
    return row


def test_a_half_typed_address_is_there_again(rt: Runtime, ada: Shopper) -> None:
    ada.begin(step="box", **{"option-taste": "sweet"})
    page = ada.get(ada.at("delivery")).text
    assert 'form="delivery-form" name="then" value="add"' in page

    half = {**ADA, "postcode": "", "city": ""}
    assert place(ada.post(ada.at("delivery"), then="add", **half)) == "add"

    page = ada.get(ada.at("delivery")).text
    for word in ("ada@example.org", "Ada Lovelace", "Lindenweg 4"):
        assert f'value="{word}"' in page
    assert place(ada.get(ada.at("pay"))) == "delivery"


def test_what_is_wrong_is_not_taken_for_right_on_the_way(rt: Runtime, ada: Shopper) -> None:
    ada.begin(step="box", **{"option-taste": "sweet"})
    wrong = {**ADA, "email": "nobody", "postcode": "1"}
    assert place(ada.post(ada.at("delivery"), then="add", **wrong)) == "add"
    row = row_of(rt)
    assert (row.email, row.address["postcode"], row.address["city"]) == ("", "", "Jena")
    assert place(ada.get(ada.at("pay"))) == "delivery"


def test_a_whole_address_is_saved_on_the_way(rt: Runtime, ada: Shopper) -> None:
    ada.begin(step="box", **{"option-taste": "sweet"})
    assert place(ada.post(ada.at("delivery"), then="add", **ADA)) == "add"
    assert ada.get(ada.at("pay")).status_code == 200


def test_a_chosen_answer_is_there_again_also_where_another_is_missing(
    rt: Runtime, ada: Shopper
) -> None:
    pot = rt.session.scalars(sa.select(Plan).where(Plan.code == "pot")).one()
    rt.session.expunge(pot)
    rt.session.rollback()
    make.make_options(rt, pot, code="size", choices=(("s", "Small", 0),))
    ada.begin()
    page = ada.get(ada.at("box")).text
    assert 'form="box-form" name="then" value="add"' in page

    assert place(ada.post(ada.at("box"), then="add", step="box", **{"option-taste": "sweet"})) == (
        "add"
    )

    assert row_of(rt).options == {"taste": "sweet"}


def test_the_way_to_pay_and_mails_stay_chosen_and_the_consent_does_not(
    rt: Runtime, ada: Shopper
) -> None:
    with second_gateway(rt):
        ada.begin(step="box", **{"option-taste": "sweet"})
        ada.post(ada.at("delivery"), **ADA)
        page = ada.get(ada.at("pay")).text
        assert 'form="pay-form" name="then" value="add"' in page
        chosen = {"gateway": "wallets", "offers": "y", "consent": "y", "quote": ada.quote}

        assert place(ada.post(ada.at("pay"), then="add", **chosen)) == "add"

        assert row_of(rt).state == "open"
        page = ada.get(ada.at("pay")).text
        assert is_checked(page, "gateway", "wallets")
        assert not is_checked(page, "gateway", "demo")
        assert is_checked(page, "offers", "y")
        assert not is_checked(page, "consent", "y")
        # Another order of the same browser begins with nothing chosen.
        ada.begin(step="box", **{"option-taste": "sweet"})
        ada.post(ada.at("delivery"), **ADA)
        assert not is_checked(ada.get(ada.at("pay")).text, "offers", "y")


def is_checked(page: str, name: str, value: str) -> bool:
    found = [one for one in re.findall(r"<input[^>]*>", page) if f'name="{name}"' in one]
    (one,) = [one for one in found if f'value="{value}"' in one]
    return " checked" in one
