"""Staff move a subscriber to something cheaper today; what is left becomes credit."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.models import AuditEntry, Customer, CustomerCredit, Plan, Subscription
from storefront.runtime import Runtime
from storefront.testing import factories as make
from tests.support.admin import Desk, desk


@pytest.fixture
def owner(app: Flask, rt: Runtime) -> Desk:
    return desk(app, rt)


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, group=make.make_group(rt, cycles=30), amount_minor=7800, count=3)


@pytest.fixture
def path(rt: Runtime, plan: Plan) -> str:
    sub = make.make_subscription(rt, plan=plan)
    customer = rt.session.scalar(
        sa.select(Customer.public_id).where(Customer.id == sub.customer_id)
    )
    rt.session.rollback()
    return f"/admin/subscribers/{customer}/{sub.public_id}/downgrade"


def cheaper(rt: Runtime, plan: Plan) -> str:
    group = make.make_plan(
        rt, amount_minor=6000, count=3, cycle_group_id=plan.cycle_group_id, name="Cup"
    )
    return make.price_of(rt, group).public_id


def test_the_credit_is_shown_first_and_given_as_shown(
    rt: Runtime, owner: Desk, plan: Plan, path: str
) -> None:
    price = cheaper(rt, plan)
    assert "Move down today" in owner.get(path.rpartition("/")[0].rpartition("/")[0]).text
    page = owner.get(f"{path}?price={price}").text
    assert "Credit for the customer" in page
    assert "€18.00" in page
    shown = re.search(r'name="quote_hash" value="([^"]*)"', page)
    assert shown is not None

    stale = owner.post(path, {"price": price, "quote_hash": "old"})
    assert (stale.status_code, "meanwhile" in stale.text) == (409, True)
    answer = owner.post(path, {"price": price, "quantity": "1", "quote_hash": shown[1]})

    assert answer.status_code == 303
    rt.session.expire_all()
    assert rt.session.scalar(sa.select(CustomerCredit.balance_minor)) == 1800
    assert "subscription.downgraded" in rt.session.scalars(sa.select(AuditEntry.action)).all()


def test_something_dearer_or_unknown_is_refused(
    rt: Runtime, owner: Desk, plan: Plan, path: str
) -> None:
    now = make.price_of(rt, plan).public_id
    dearer = owner.get(f"{path}?price={now}&quantity=3")
    assert "gives nothing back today" in dearer.text
    assert owner.get(f"{path}?price=pri_nothing").status_code == 404
    assert owner.get(path.replace("/sub_", "/sub_x")).status_code == 404
    assert rt.session.scalar(sa.select(Subscription.quantity)) == 1
