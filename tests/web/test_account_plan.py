"""Changing the plan on the account's pages, as page and as partial."""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import Consent, Customer, Price, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = factories.make_plan(rt, group=factories.make_group(rt, cycles=30))
    return factories.make_subscription(rt, plan=plan, customer=customer)


@pytest.fixture
def yearly(rt: Runtime, sub: Subscription) -> Price:
    from storefront.models import Plan

    plan = rt.session.get(Plan, sub.plan_id)
    rt.session.expunge(plan)
    rt.session.rollback()
    return factories.make_price(rt, plan, amount_minor=28080, unit="year")


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def hash_of(page: str) -> str:
    return re.search(r'name="quote_hash" value="([^"]*)"', page)[1]


@pytest.mark.parametrize("htmx", [False, True])
def test_the_preview_names_what_is_due_and_the_button_pays_exactly_that(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, demo_gateway, htmx: bool
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert "early" in ada.get(url).text

    page = ada.get(f"{url}?price={yearly.public_id}").text
    assert "Change and pay €254.80" in page
    answer = ada.post(url, htmx=htmx, price=yearly.public_id, quote_hash=hash_of(page))

    assert answer.status_code == (200 if htmx else 303)
    rt.session.expire_all()
    assert rt.session.scalar(sa.select(Subscription.price_id)) == yearly.id
    assert demo_gateway.bank.executed_total("EUR") == 28080


def test_a_stale_preview_is_shown_again_instead_of_booked(
    ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    ada.get(f"{url}?price={yearly.public_id}")
    answer = ada.post(url, price=yearly.public_id, quote_hash="old")
    assert answer.status_code == 409
    assert "This changed meanwhile" in answer.text
    assert "Change and pay €254.80" in answer.text


def test_an_unknown_price_or_subscription_is_not_there(
    ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    assert ada.get(f"{url}?price=pri_nothing").status_code == 404
    assert ada.get("/account/subscriptions/sub_nothing/plan").status_code == 404
    assert ada.get("/account/payment/back/inv_nothing").status_code == 404


def test_a_waiting_change_is_shown_and_can_be_taken_back(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price, clock
) -> None:
    clock.advance(days=3)
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={yearly.public_id}").text
    assert "Change on Mon 12 April" in page
    ada.post(url, price=yearly.public_id, quote_hash=hash_of(page))

    assert "Until then nothing changes" in ada.get(url).text
    ada.post(f"{url}/keep")
    assert "Show what changes" in ada.get(url).text


def test_the_words_above_the_button_are_kept_as_they_were_shown(
    rt: Runtime, ada: Visitor, sub: Subscription, yearly: Price
) -> None:
    url = f"/account/subscriptions/{sub.public_id}/plan"
    page = ada.get(f"{url}?price={yearly.public_id}").text
    said = (
        "With the button below you agree that Pot renews every year for €280.80 in total, "
        "next on 12 March 2028, until you cancel. You can cancel online at any time."
    )
    assert said in page

    ada.post(url, price=yearly.public_id, quote_hash=hash_of(page))

    kept = rt.session.scalars(sa.select(Consent).order_by(Consent.id.desc()).limit(1)).one()
    assert (kept.text, kept.subscription_id, kept.ip) == (said, sub.id, "127.0.0.1")
