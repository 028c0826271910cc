"""Why somebody leaves, as they are asked and as staff read it."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from storefront.models import Customer, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import desk
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def sub(rt: Runtime) -> Subscription:
    """Ada's subscription, ordered on 2 March."""
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    return make.make_subscription(rt, plan=make.make_plan(rt), customer=customer)


@pytest.fixture
def ada(app: Flask, sub: Subscription) -> Visitor:
    return Visitor.of(app).sign_in(ADA)


def words(page: str) -> str:
    """Return what a page says, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_why_is_asked_after_the_cancellation_and_need_not_be_answered(
    ada: Visitor, sub: Subscription
) -> None:
    own = f"/account/subscriptions/{sub.public_id}"
    assert "Why are you leaving?" not in ada.get(f"{own}/cancel").text
    done = ada.post(f"{own}/cancel").location
    page = words(ada.get(done).text)
    assert "Cancelled. You will not be charged again." in page
    assert "You have cancelled already" in page
    assert "Why are you leaving?" in page
    said = ada.post(f"{own}/cancelled/why", why="", note="")
    assert said.status_code == 303
    assert "Why are you leaving?" in words(ada.get(said.location).text)


def test_an_answer_is_thanked_for_and_not_asked_again(ada: Visitor, sub: Subscription) -> None:
    own = f"/account/subscriptions/{sub.public_id}"
    ada.post(f"{own}/cancel")
    said = ada.post(f"{own}/cancelled/why", why="price", note="Until spring <b>only</b>.")
    page = words(ada.get(said.location).text)
    assert "Thank you. We read every answer." in page
    assert "You have told us why. Thank you." in page
    assert "Why are you leaving?" not in page
    assert "You told us why you leave." in words(ada.get(own).text)


def test_staff_read_the_reason_on_the_page_of_the_subscriber_and_in_the_list(
    app: Flask, rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    own = f"/account/subscriptions/{sub.public_id}"
    ada.post(f"{own}/cancel")
    ada.post(f"{own}/cancelled/why", why="price", note="Until spring <b>only</b>.")
    owner = desk(app, rt)
    listed = words(owner.get("/admin/subscribers").text)
    assert "The price" in listed
    ref = rt.session.get(Customer, sub.customer_id)
    assert ref is not None
    rt.session.rollback()
    page = owner.get(f"/admin/subscribers/{ref.public_id}").text
    assert "Why they leave: The price Until spring &lt;b&gt;only&lt;/b&gt;." in words(page)
    assert "Said why they leave: The price." in words(page)
    rt.session.rollback()
    assert ada.post(f"{own}/cancel/undo").status_code == 303
    assert "The price" not in words(owner.get("/admin/subscribers").text)


def test_an_answer_for_somebody_elses_subscription_is_not_found(rt: Runtime, ada: Visitor) -> None:
    other = make.make_subscription(rt)
    answer = ada.post(f"/account/subscriptions/{other.public_id}/cancelled/why", why="price")
    assert answer.status_code == 404
