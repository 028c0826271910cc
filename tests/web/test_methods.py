"""The page of stored methods, with and without the script."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Customer, GatewaySetup, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.gateways import second_gateway
from tests.support.visitor import Visitor, customer_with_password, text_of

ADA = "ada@example.org"


@pytest.fixture
def owner(rt: Runtime) -> Customer:
    """Ada with two subscriptions, paid with one card."""
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    for code, name in (("pot", "Pot"), ("cup", "Cup")):
        make.make_subscription(rt, plan=make.make_plan(rt, code=code, name=name), customer=customer)
    first, second = rows(rt, PaymentMethod)
    rt.session.execute(sa.update(Subscription).values(payment_method_id=first.id))
    rt.session.execute(
        sa.update(PaymentMethod).where(PaymentMethod.id == second.id).values(detached_at=rt.now())
    )
    rt.session.commit()
    return customer


@pytest.fixture
def ada(app: Flask, owner: Customer) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def rows(rt: Runtime, model: type) -> list[sa.Row]:  # type: ignore[type-arg]
    table = table_of(model)
    found = rt.session.execute(sa.select(table).order_by(table.c.id)).all()
    rt.session.rollback()
    return list(found)


def wallet(rt: Runtime, owner: Customer, **values: object) -> PaymentMethod:
    known = {"kind": "paypal", "brand": "paypal", "last4": "", "label": "a…@example.org"}
    return make.make_method(
        rt, owner, is_default=False, exp_month=None, exp_year=None, **{**known, **values}
    )


def act(ada: Visitor, path: str, *, htmx: bool = False, **data: str) -> str:
    """Post and return what the customer reads then."""
    answer = ada.post(path, htmx=htmx, **data)
    if htmx:
        assert answer.status_code == 200, answer.text
        assert '<div class="stack loose" id="payment">' in answer.text
        return text_of(answer.text)
    assert answer.status_code == 303, answer.text
    return text_of(ada.get("/account/payment").text)


def test_each_method_says_what_it_is_and_what_it_pays_for(
    rt: Runtime, ada: Visitor, owner: Customer
) -> None:
    wallet(rt, owner, is_backup=True)
    page = text_of(ada.get("/account/payment").text)
    assert "Visa ending 4242 Pays now Good until 04/2034 · pays for Pot and Cup" in page
    assert "PayPal (a…@example.org) Backup" in page


@pytest.mark.parametrize("htmx", [True, False])
def test_another_method_is_let_pay(rt: Runtime, ada: Visitor, owner: Customer, htmx: bool) -> None:
    other = wallet(rt, owner)
    page = act(ada, f"/account/payment/methods/{other.public_id}/use", htmx=htmx)
    assert "PayPal (a…@example.org) pays from now on." in page
    assert "PayPal (a…@example.org) Pays now pays for Pot and Cup" in page


def test_a_backup_is_made_and_taken_back(rt: Runtime, ada: Visitor, owner: Customer) -> None:
    url = f"/account/payment/methods/{wallet(rt, owner).public_id}/backup"
    assert "is tried when the other is refused." in act(ada, url, htmx=True)
    assert rows(rt, PaymentMethod)[-1].is_backup
    assert "There is no backup any more." in act(ada, url, wanted="no")
    assert not rows(rt, PaymentMethod)[-1].is_backup


@pytest.mark.parametrize("htmx", [True, False])
def test_one_subscription_gets_a_method_of_its_own(
    rt: Runtime, ada: Visitor, owner: Customer, htmx: bool
) -> None:
    own = wallet(rt, owner)
    cup = rows(rt, Subscription)[-1]
    url = f"/account/payment/subscriptions/{cup.public_id}/method"
    assert url in ada.get("/account/payment").text
    page = act(ada, url, htmx=htmx, method=own.public_id)
    assert "PayPal (a…@example.org) pays for that subscription now." in page
    assert "pays for Pot Use" not in page
    assert [row.payment_method_id for row in rows(rt, Subscription)][-1] == own.id


@pytest.mark.parametrize("htmx", [True, False])
def test_the_only_method_of_what_runs_stays_and_the_way_out_is_said(
    rt: Runtime, ada: Visitor, htmx: bool
) -> None:
    only = rows(rt, PaymentMethod)[0]
    answer = ada.post(f"/account/payment/methods/{only.public_id}/remove", htmx=htmx)
    assert answer.status_code == 422
    page = text_of(answer.text)
    assert 'class="banner danger" role="alert"' in answer.text, "in its place, not beside it"
    assert "it is the only one that can pay for what runs or is open." in page
    assert "Add another one first, then remove this." in page
    assert rows(rt, PaymentMethod)[0].detached_at is None


def test_a_card_that_was_refused_is_told_as_a_problem_that_stays(
    rt: Runtime, ada: Visitor, demo_gateway: DemoGateway
) -> None:
    start = ada.post("/account/payment/card")
    demo_gateway.bank.choose(start.location.rpartition("/")[2], "0002")
    setup = rows(rt, GatewaySetup)[-1].public_id

    ada.post(f"/account/payment/card/{setup}")

    page = ada.get("/account/payment").text
    [told] = re.findall(r'<div class="toast problem" role="alert">.*?</div>', page, re.DOTALL)
    assert "That card was not saved: your bank declined. Nothing was charged." in text_of(told)
    assert len(rows(rt, PaymentMethod)) == 2


def test_a_removed_method_is_gone_and_the_page_says_what_pays_now(
    rt: Runtime, ada: Visitor, owner: Customer
) -> None:
    wallet(rt, owner)
    card = rows(rt, PaymentMethod)[0]
    page = act(ada, f"/account/payment/methods/{card.public_id}/remove")
    assert "Visa ending 4242 is removed. PayPal (a…@example.org) pays now." in page
    assert "Visa ending 4242 Pays now" not in page
    assert ada.post(f"/account/payment/methods/{card.public_id}/use").status_code == 404


def test_a_way_to_pay_is_chosen_for_one_subscription(
    rt: Runtime, ada: Visitor, owner: Customer
) -> None:
    with second_gateway(rt) as wallets:
        page = ada.get("/account/payment").text
        assert re.findall(r'choice-title">([^<]+)', page) == ["Card", "PayPal"]
        assert ">Cup only</option>" in page
        cup = rows(rt, Subscription)[-1]
        start = ada.post("/account/payment/card", gateway="wallets", subscription=cup.public_id)
        wallets.bank.choose(start.location.rpartition("/")[2], "4242")
        setup = rows(rt, GatewaySetup)[-1]
        back = f"/account/payment/card/{setup.public_id}"
        assert ada.get(back).status_code == 200
        page = act(ada, back)
    assert "Saved. Visa ending 4242 pays for that subscription now." in page
    pot, cup = rows(rt, Subscription)
    assert cup.payment_method_id != pot.payment_method_id
    assert rows(rt, PaymentMethod)[-1].gateway == "wallets"


def test_a_gateway_that_is_not_offered_takes_nothing(rt: Runtime, ada: Visitor) -> None:
    page = act(ada, "/account/payment/card", gateway="nobody")
    assert "That is no longer offered." in page
    assert [row.customer_id for row in rows(rt, GatewaySetup) if row.checkout_id is None] == []


def test_the_first_page_says_that_the_card_ends(
    rt: Runtime, clock: FrozenClock, ada: Visitor
) -> None:
    words = "is good until 03/2027. Add another card before"
    assert words not in text_of(ada.get("/account/").text)
    rt.session.execute(sa.update(PaymentMethod).values(exp_month=3, exp_year=2027))
    rt.session.commit()

    assert f"Your Visa ending 4242 {words}" in text_of(ada.get("/account/").text)
    assert "Ends soon" in ada.get("/account/payment").text
