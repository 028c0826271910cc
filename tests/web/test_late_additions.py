"""A closed box that is not to be sent: what was paid apart for additions to it is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.addons import Reach
from storefront.models import BoxCycle, Customer
from storefront.operations.consents import Given
from storefront.runtime import Runtime
from storefront.services.additions import AdditionWish, add_to_boxes, quote_now
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import desk
from tests.support.visitor import Visitor, customer_with_password

pytestmark = pytest.mark.usefixtures("demo_gateway")

ADA = "ada@example.org"
YES = Given("I agree.", "add-on-2", "192.0.2.1", "UA")
SAID = "paid apart for additions to it, €5.00, goes back as well"


@pytest.mark.parametrize("adds", [True, False])
def test_who_asks_not_to_be_sent_a_box_reads_what_else_goes_back(
    app: Flask, rt: Runtime, clock: FrozenClock, *, adds: bool
) -> None:
    customer = rt.session.get(Customer, customer_with_password(rt, ADA))
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan)
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    if adds:
        honey = make.make_variant(rt, name="Honey", on_hand=5, price_minor=600)
        addon = make.make_addon(rt, 500, name="Honey", variant=honey)
        wish = AdditionWish(addon.public_id, 1, Reach.NEXT)
        shown = quote_now(rt, customer.id, sub.public_id, wish).quote_hash
        done = add_to_boxes(rt, customer.id, sub.public_id, wish, shown, "once-1", YES)
        assert done.outcome == "added"
    march = rt.session.scalars(sa.select(BoxCycle.public_id).where(BoxCycle.key == "2027-03")).one()
    rt.session.rollback()
    here = f"/account/subscriptions/{sub.public_id}/boxes/{march}/late"
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    ada = Visitor.of(app).sign_in(ADA)
    assert (SAID in ada.get(here).text) is adds
    assert ada.post(here, kind="keep_back").status_code == 303
    assert (SAID in desk(app, rt).get("/admin/late-changes").text) is adds
