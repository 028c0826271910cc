"""What shoppers read of the first box before they order, and how the merchant sets its rule."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from flask import Flask

from storefront.models import Plan
from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.visitor import Visitor

TERMS = {
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
}


def rule(rt: Runtime) -> tuple[str, str]:
    plan = rt.session.execute(sa.select(Plan.first_box, Plan.first_box_on)).one()
    rt.session.rollback()
    return plan.first_box, str(plan.first_box_on or "")


def test_the_merchant_says_when_first_boxes_leave_and_shoppers_read_it(
    app: Flask, rt: Runtime, clock: FrozenClock
) -> None:
    make.make_plan(rt, code="pot", name="Pot")
    clock.set(datetime(2027, 3, 24, 9, 0, tzinfo=UTC))
    owner, shopper = desk(app, rt), Visitor.of(app)
    ref = rt.session.scalar(sa.select(Plan.public_id))
    rt.session.rollback()
    address = f"/admin/plans/{ref}/terms"
    page = shopper.get("/plans/pot").text
    assert "Order after Sun 11 April, 23:59" in page

    assert owner.post(address, TERMS | {"first_box": "now"}).status_code == 303
    assert rule(rt) == ("now", "")
    page = shopper.get("/plans/pot").text
    assert "It leaves at once. The next payment is for the box after it." in page
    assert "It cannot be changed or skipped any more." in page
    assert "It cannot be changed or skipped any more." in shopper.get("/checkout?plan=pot").text
    assert "25 March" in page
    assert "Mon 12 April" in page
    assert "Change it until" not in page
    assert "Change it until" not in shopper.get("/").text

    later = {"first_box": "later", "first_box_on": "2027-06-01"}
    assert owner.post(address, TERMS | later).status_code == 303
    assert rule(rt) == ("later", "2027-06-01")
    page = shopper.get("/plans/pot").text
    assert "You pay with the order. Boxes of this plan leave from Fri 18 June on." in page
    assert "Mon 12 July" in page
    # Another rule has no day.
    owner.post(address, TERMS | {"first_box": "next", "first_box_on": "2027-06-01"})
    assert rule(rt) == ("next", "")

    wrong = owner.post(address, TERMS | {"first_box": "later"})
    assert (wrong.status_code, "Say from which day on boxes leave" in wrong.text) == (422, True)
    tried = owner.post(address, TERMS | {"first_box": "now", "trial_days": "14"})
    assert (tried.status_code, "After a trial or free days" in tried.text) == (422, True)
    assert rule(rt) == ("next", "")


def test_the_page_promises_no_box_after_it_where_an_order_behind_the_cut_off_gets_the_same_one(
    app: Flask, rt: Runtime, clock: FrozenClock
) -> None:
    clock.set(datetime(2027, 3, 10, 9, 0, tzinfo=UTC))
    make.make_plan(rt, code="pot", name="Pot", first_box="now")
    page = Visitor.of(app).get("/plans/pot").text
    assert "Thu 11 March" in page
    assert "you join the box after it" not in page
    assert "It leaves at once" not in page
