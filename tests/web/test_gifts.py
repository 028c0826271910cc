"""A customer's own pages of codes, credit and recommending, and a friend's link."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from storefront.domain.money import Money
from storefront.models import Customer, Subscription
from storefront.runtime import Runtime
from storefront.services.credit import give_credit
from storefront.testing import factories as make
from tests.support.admin import Desk, desk, make_staff
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def customer(rt: Runtime) -> Customer:
    key = customer_with_password(rt, ADA)
    found = rt.session.get(Customer, key)
    assert found is not None
    rt.session.expunge(found)
    rt.session.rollback()
    return found


@pytest.fixture
def sub(rt: Runtime, customer: Customer) -> Subscription:
    return make.make_subscription(rt, plan=make.make_plan(rt, code="pot"), customer=customer)


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def test_a_code_is_added_and_taken_off(rt: Runtime, ada: Visitor, sub: Subscription) -> None:
    make.make_code(rt, "LEMON")
    path = f"/account/subscriptions/{sub.public_id}"
    wrong = ada.post(f"{path}/code", code="nope")
    assert wrong.status_code == 422
    assert "We do not know nope" in wrong.text
    assert ada.post(f"{path}/code", code="lemon").status_code == 303
    page = ada.get(path).text
    assert "Code LEMON" in page
    assert "€23.40" in page
    assert ada.post(f"{path}/code/remove", code="LEMON").status_code == 303
    assert "Code LEMON" not in ada.get(path).text
    assert ada.post("/account/subscriptions/sub_no/code", code="lemon").status_code == 404


def test_credit_is_shown_with_its_origin_and_rest(
    rt: Runtime, ada: Visitor, customer: Customer, sub: Subscription
) -> None:
    assert "Your credit" not in ada.get("/account/payment").text
    who = make_staff(rt)
    give_credit(rt, who, customer.public_id, Money(500, "EUR"), "The tea came late")
    page = ada.get("/account/payment").text
    assert "From us" in page
    assert "The tea came late" in page
    assert "€5.00 left" in page
    assert "€5.00, used before the card" in ada.get(f"/account/subscriptions/{sub.public_id}").text


def test_the_checkout_shows_the_credit_of_who_is_signed_in(
    rt: Runtime, ada: Visitor, customer: Customer
) -> None:
    give_credit(rt, make_staff(rt), customer.public_id, Money(500, "EUR"), "x")
    started = ada.post("/checkout?plan=pot&interval=1m")
    assert started.status_code == 303
    page = ada.get(started.location).text
    assert "Your credit" in page
    assert "To pay today" in page
    assert "€21.00" in page


def test_recommending_is_off_until_it_is_set(rt: Runtime, ada: Visitor) -> None:
    assert "We give nothing" in ada.get("/account/recommend").text
    ada.post("/account/recommend")
    assert "/r/" not in ada.get("/account/recommend").text


def test_a_friend_follows_a_link(app: Flask, rt: Runtime, ada: Visitor) -> None:
    make.make_shop(rt, referral_giver_minor=500, referral_friend_minor=300)
    ada.post("/account/recommend")
    page = ada.get("/account/recommend").text
    found = re.search(r"/r/([A-Z0-9]{8})", page)
    assert found is not None
    assert "€3.00" in page
    path = f"/r/{found.group(1)}"
    eve = Visitor.of(app)
    assert eve.get(path).status_code == 303
    assert "A friend sent you" in eve.get("/").text
    assert ada.get(path).status_code == 303
    assert "This is your own link" in ada.get("/account/").text
    assert Visitor.of(app).get("/r/NOBODY").status_code == 303


def test_what_recommending_gives_is_a_setting(app: Flask, rt: Runtime) -> None:
    owner: Desk = desk(app, rt)
    fields = {"referral_giver_minor": "5.00", "referral_friend_minor": ""}
    assert owner.post("/admin/settings/referral", fields).status_code == 303
    rt.forget_shop()
    assert (rt.shop.referral_giver_minor, rt.shop.referral_friend_minor) == (500, 0)
    rt.session.rollback()
    assert 'value="5.00"' in owner.get("/admin/settings").text
    assert "Nobody has come" in owner.get("/admin/referrals").text
