"""What subscribers see in the account once nothing is sent to their address any more."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask

from storefront.models import Customer, Plan
from storefront.runtime import Runtime
from storefront.services.cycles import close_cycles
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.visitor import Visitor, customer_with_password

ADA = "ada@example.org"


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    plan = make.make_plan(rt)
    make.make_recipe(rt, plan, variants=[make.make_variant(rt)])
    return plan


@pytest.fixture
def page(app: Flask, rt: Runtime, plan: Plan) -> str:
    key = customer_with_password(rt, ADA)
    customer = rt.session.get(Customer, key)
    assert customer is not None
    rt.session.expunge(customer)
    rt.session.rollback()
    sub = make.make_subscription(rt, plan=plan, customer=customer)
    return f"/account/subscriptions/{sub.public_id}"


def test_the_account_says_why_a_paid_box_waits_and_that_no_other_is_charged(
    app: Flask, rt: Runtime, page: str, clock: FrozenClock
) -> None:
    ada = Visitor.of(app).sign_in(ADA)
    assert "We do not deliver to" not in ada.get(page).text
    make.make_zone(rt, "DE 07", None)
    clock.set(datetime(2027, 3, 16, 9, 0, tzinfo=UTC))
    assert close_cycles(rt).boxes.held == {"no_address": 1}
    shown = Visitor.of(app).sign_in(ADA).get(page).text
    assert "We do not deliver to Lindenweg 4, Jena now." in shown
    assert "We cannot deliver to its address now. Give another one" in shown
    assert "We have no address for it" not in shown
