"""Credit and codes that staff give on a subscriber's page."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import CustomerCredit, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


def test_credit_is_given_and_shown(rt: Runtime, owner: Desk) -> None:
    customer = make.make_customer(rt)
    path = f"/admin/subscribers/{customer.public_id}"
    assert "None was given." in owner.get(path).text
    owner.post(f"{path}/credit", {"amount": "5", "reason": "The tea came late"})
    page = owner.get(path).text
    assert "€5.00" in page
    assert "The tea came late" in page
    for wrong in ({"amount": "0", "reason": "x"}, {"amount": "x", "reason": "x"}, {"amount": "5"}):
        owner.post(f"{path}/credit", wrong)
    assert rt.session.scalar(sa.select(CustomerCredit.balance_minor)) == 500


def once_of(page: str) -> str:
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_credit_that_is_posted_twice_is_given_once(rt: Runtime, owner: Desk) -> None:
    path = f"/admin/subscribers/{make.make_customer(rt).public_id}"
    sent = {"amount": "5", "reason": "late", "once": once_of(owner.get(path).text)}
    for _click in range(2):
        assert owner.post(f"{path}/credit", sent).status_code == 303
    assert rt.session.scalar(sa.select(CustomerCredit.balance_minor)) == 500
    rt.session.rollback()
    owner.post(f"{path}/credit", sent | {"once": once_of(owner.get(path).text)})
    assert rt.session.scalar(sa.select(CustomerCredit.balance_minor)) == 1000


@pytest.mark.parametrize(
    ("typed", "problem"),
    [("1000.01", "Enter €1,000.00 at most"), ("x", "Enter an amount like"), ("0", "above zero")],
)
def test_a_wrong_credit_is_asked_back_with_what_was_typed(
    rt: Runtime, owner: Desk, typed: str, problem: str
) -> None:
    path = f"/admin/subscribers/{make.make_customer(rt).public_id}"
    owner.get(path)
    answer = owner.post(f"{path}/credit", {"amount": typed, "reason": "The tea came late"})
    assert answer.status_code == 422
    assert problem in answer.text
    assert f'value="{typed}"' in answer.text
    assert 'value="The tea came late"' in answer.text
    assert rt.session.scalar(sa.select(CustomerCredit.balance_minor)) is None


def test_credit_is_in_a_currency_the_customer_pays(rt: Runtime, owner: Desk) -> None:
    customer = make.make_customer(rt)
    plan = make.make_plan(rt)
    price = make.make_price(rt, plan, currency="JPY", amount_minor=2900)
    sub = make.make_subscription(rt, customer=customer, plan=plan)
    rt.session.execute(
        sa.update(Subscription).where(Subscription.id == sub.id).values(price_id=price.id)
    )
    rt.session.commit()
    path = f"/admin/subscribers/{customer.public_id}"
    assert '<option value="JPY"' in owner.get(path).text
    owner.post(f"{path}/credit", {"amount": "500", "currency": "JPY", "reason": "late"})
    owner.post(f"{path}/credit", {"amount": "500", "currency": "CHF", "reason": "late"})
    given = rt.session.execute(sa.select(CustomerCredit.balance_minor, CustomerCredit.currency))
    assert given.all() == [(500, "JPY")]


def test_a_code_is_put_on_and_taken_off_for_a_customer(rt: Runtime, owner: Desk) -> None:
    customer = make.make_customer(rt)
    sub = make.make_subscription(rt, customer=customer)
    make.make_code(rt, "LEMON")
    path = f"/admin/subscribers/{customer.public_id}"
    owner.post(f"{path}/{sub.public_id}/code", {"code": "nope"})
    assert "We do not know nope" in owner.get(path).text
    owner.post(f"{path}/{sub.public_id}/code", {"code": "lemon"})
    assert "Code LEMON" in owner.get(path).text
    owner.post(f"{path}/{sub.public_id}/code/remove", {"code": "LEMON"})
    assert "Code LEMON" not in owner.get(path).text
    assert owner.post(f"{path}/sub_nope/code", {"code": "lemon"}).status_code == 404
