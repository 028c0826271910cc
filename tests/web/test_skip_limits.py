"""What subscribers and the merchant read about limits of skips."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import BoxCycle, BoxSkip, Customer, Plan, Subscription
from storefront.models.base import table_of
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


def limit(rt: Runtime, **values: int) -> None:
    rt.session.execute(sa.update(table_of(Plan)).values(**values))
    rt.session.commit()


def skip_url(rt: Runtime, sub: Subscription, key: str) -> str:
    found = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == key)).one()
    rt.session.rollback()
    return f"/account/subscriptions/{sub.public_id}/boxes/{found}/skip"


def test_a_plan_without_limits_says_nothing_about_them(ada: Visitor, sub: Subscription) -> None:
    page = ada.get(f"/account/subscriptions/{sub.public_id}").text
    assert "in a row" not in page
    assert "calendar year" not in page


def test_the_limits_are_read_before_anything_is_skipped(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    limit(rt, skips_in_row=2, skips_per_year=4, skip_notice_days=1)
    page = ada.get(f"/account/subscriptions/{sub.public_id}").text
    assert "Not more than 2 boxes in a row can be skipped." in page
    assert "In a calendar year you can skip 4 boxes." in page
    assert "Skip at least 1 day before the cut-off." in page


@pytest.mark.parametrize("htmx", [False, True])
def test_a_refusal_names_the_limit_and_the_first_box_that_can_be_skipped(
    rt: Runtime, ada: Visitor, sub: Subscription, htmx: bool
) -> None:
    april, may = (skip_url(rt, sub, key) for key in ("2027-04", "2027-05"))
    limit(rt, skips_in_row=1)
    ada.post(april)
    answer = ada.post(may, htmx=htmx)
    page = answer.text if htmx else ada.get(f"/account/subscriptions/{sub.public_id}").text
    assert "Not more than 1 box in a row can be skipped." in page
    assert "The first one you can skip ships on Fri 18 June, until Fri 11 June." in page
    count = sa.select(sa.func.count()).select_from(BoxSkip)
    assert rt.session.scalar(count) == 1
    rt.session.rollback()


def test_a_box_beyond_the_limit_has_no_button_and_says_why(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    april, may, june = (skip_url(rt, sub, key) for key in ("2027-04", "2027-05", "2027-06"))
    limit(rt, skips_per_year=1)
    ada.post(april)
    for address in ("/account/", f"/account/subscriptions/{sub.public_id}"):
        page = ada.get(address).text
        assert may not in page
        assert june not in page
        assert "1 box of 2027 may be skipped, and is." in page


def test_where_nothing_may_be_skipped_the_next_box_can_still_be_changed(
    rt: Runtime, ada: Visitor, sub: Subscription
) -> None:
    limit(rt, skips_in_row=0)
    page = ada.get("/account/").text
    assert "Boxes of this plan cannot be skipped." in page
    assert "Change until" in page
    assert "/skip" not in page


def test_support_still_skips_what_the_customer_may_not(
    app: Flask, rt: Runtime, sub: Subscription
) -> None:
    limit(rt, skips_in_row=0)
    owner = desk(app, rt)
    customer = rt.session.get(Customer, sub.customer_id)
    assert customer is not None
    ref = customer.public_id
    rt.session.rollback()
    page = owner.get(f"/admin/subscribers/{ref}").text
    assert "/skip/" in page


def test_the_merchant_sets_the_limits_and_empties_them_again(app: Flask, rt: Runtime) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    owner = desk(app, rt)
    ref = rt.session.scalar(sa.select(Plan.public_id))
    rt.session.rollback()
    terms = {
        "trial_days": "0",
        "first_period": "full",
        "charge_day": "",
        "min_boxes": "0",
        "max_boxes": "",
        "ends_on": "",
        "at_term_end": "renew",
        "change_policy": "boxes",
        "past_due_shipping": "hold",
        "pause_unpaid": "credit",
        "skips_in_row": "2",
        "skips_per_year": "4",
        "skip_notice_days": "3",
    }
    address = f"/admin/plans/{ref}/terms"
    assert owner.post(address, terms).status_code == 303
    assert limits_of(rt) == (2, 4, 3)
    page = owner.get(address).text
    assert "Boxes that may be skipped in a row" in page

    owner.post(address, terms | {"skips_in_row": "", "skips_per_year": "0", "skip_notice_days": ""})
    assert limits_of(rt) == (None, 0, 0)
    wrong = owner.post(address, terms | {"skips_in_row": "-1"})
    assert wrong.status_code == 422
    assert "Enter a whole number from 0 to 60" in wrong.text
    assert limits_of(rt) == (None, 0, 0)


def limits_of(rt: Runtime) -> tuple[int | None, int | None, int]:
    rt.session.rollback()
    plan = rt.session.scalars(sa.select(Plan)).one()
    found = (plan.skips_in_row, plan.skips_per_year, plan.skip_notice_days)
    rt.session.rollback()
    return found


@pytest.mark.parametrize("address", ["/", "/plans/pot"])
def test_shoppers_read_the_limits_before_they_order(app: Flask, rt: Runtime, address: str) -> None:
    make.make_plan(rt, code="pot", name="Pot", skips_in_row=2)
    page = Visitor.of(app).get(address).text
    assert "Not more than 2 boxes in a row can be skipped." in page
    assert "until its cut-off" not in page
