"""Mails about offers, asked for with an order: apart, not ticked before, and by who reads them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from storefront.models import Consent, Customer, OutboxMessage
from storefront.models.base import table_of
from storefront.operations.consents import MARKETING, MARKETING_OFF, MARKETING_WISH, Given
from storefront.operations.secrets import one_time
from storefront.queries.profile import wants_marketing
from storefront.runtime import Runtime
from storefront.services import signin
from storefront.services.marketing import set_marketing
from storefront.testing import factories as make
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.shopper import Shopper
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"
WORDS = "Mail me about new boxes and offers. I can stop that at any time with one click."
HINT = "It counts once you have confirmed your e-mail, and your order does not need it."
NO = Given("No more mails about offers", "offers 1 en", "192.0.2.7", "a browser")


@pytest.fixture
def ada(rt: Runtime, client: FlaskClient, demo_gateway: DemoGateway) -> Shopper:
    make.make_plan(rt, code="pot")
    return Shopper(client, demo_gateway)


def said(rt: Runtime) -> list[str]:
    chosen = sa.select(Consent.kind).where(Consent.kind != "renewal").order_by(Consent.id)
    found = list(rt.session.scalars(chosen))
    rt.session.rollback()
    return found


def ada_id(rt: Runtime) -> int:
    found = rt.session.scalars(sa.select(Customer.id).where(Customer.email == ADA)).one()
    rt.session.rollback()
    return found


def wants(rt: Runtime) -> bool:
    found = wants_marketing(rt.session, ada_id(rt))
    rt.session.rollback()
    return found


def prove_mailbox(rt: Runtime) -> None:
    signin.request_link(rt, ADA)
    newest = sa.select(OutboxMessage.payload).where(OutboxMessage.topic == "sign_in")
    payload = rt.session.scalars(newest.order_by(OutboxMessage.id.desc()).limit(1)).one()
    rt.session.rollback()
    signin.take_code(rt, ADA, one_time(rt.settings.secret_key, payload["nonce"]).code)


def order(shopper: Shopper, *cards: str, **data: str) -> None:
    shopper.begin()
    shopper.deliver()
    for card in cards or ("4242",):
        shopper.choose(shopper.order(**data), card)
        shopper.post(shopper.at("finish"))


def signed_in(app: Flask, rt: Runtime, gateway: DemoGateway) -> Shopper:
    customer_with_password(rt, ADA)
    rt.session.execute(sa.update(table_of(Customer)).values(email_verified_at=rt.now()))
    rt.session.commit()
    return Shopper(Visitor.of(app).sign_in(ADA).client, gateway)


def test_the_box_is_apart_and_not_ticked_and_the_order_goes_without_it(
    rt: Runtime, ada: Shopper
) -> None:
    ada.begin()
    ada.deliver()
    page = ada.get(ada.at("pay")).text
    assert WORDS in page
    assert HINT in page
    assert "checked" not in page[page.index('name="offers"') : page.index(WORDS)]
    assert page.index(WORDS) < page.index('name="consent"')
    # Ticked alone it agrees to nothing else, and stays ticked.
    refused = ada.post(ada.at("pay"), quote=ada.quote, offers="y")
    assert refused.status_code == 422
    text = refused.text
    assert "checked" in text[text.index('name="offers"') : text.index(WORDS)]
    ada.choose(ada.order())
    ada.post(ada.at("finish"))
    assert said(rt) == []


def test_a_tick_waits_until_somebody_reads_the_mailbox_and_then_counts_with_its_words(
    rt: Runtime, ada: Shopper
) -> None:
    order(ada, "0002", "4242", offers="y")
    assert said(rt) == [MARKETING_WISH]
    assert not wants(rt)
    assert "before your e-mail was confirmed" in ada.get("/account/privacy").text
    prove_mailbox(rt)
    assert said(rt) == [MARKETING_WISH, MARKETING]
    texts = set(rt.session.scalars(sa.select(Consent.text).where(Consent.kind != "renewal")))
    rt.session.rollback()
    assert texts == {WORDS}
    assert wants(rt)
    # Once confirmed, nothing comes of it a second time.
    set_marketing(rt, ada_id(rt), NO, wants=False)
    prove_mailbox(rt)
    assert said(rt) == [MARKETING_WISH, MARKETING, MARKETING_OFF]


def test_who_is_signed_in_gets_them_at_once_and_is_not_asked_again(
    app: Flask, rt: Runtime, ada: Shopper, demo_gateway: DemoGateway
) -> None:
    shopper = signed_in(app, rt, demo_gateway)
    order(shopper, offers="y")
    assert said(rt) == [MARKETING]
    assert WORDS in shopper.get("/account/privacy").text
    shopper.begin()
    shopper.deliver()
    page = shopper.get(shopper.at("pay")).text
    assert 'name="consent"' in page
    assert 'name="offers"' not in page


def test_under_the_confirmed_e_mail_of_somebody_else_a_tick_counts_for_nothing(
    app: Flask, rt: Runtime, ada: Shopper, demo_gateway: DemoGateway
) -> None:
    signed_in(app, rt, demo_gateway)
    order(ada, offers="y")
    prove_mailbox(rt)
    assert said(rt) == []
    assert not wants(rt)
