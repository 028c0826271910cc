"""Staff see which charges wait and why, and which gateway is stopped; customers stop a debit."""

import re
from dataclasses import replace
from datetime import date
from functools import partial

import pytest
import sqlalchemy as sa

from storefront.domain.charging import AnswerStatus
from storefront.domain.gateways import ChargeAnswer
from storefront.mails import compose
from storefront.models import ChargeAttempt, Customer, ShopSettings, Subscription
from storefront.services.outbox import deliver_due
from storefront.services.renewals import run_renewals
from storefront.services.signin import change_password
from storefront.testing import factories as make
from storefront.testing.population import populate
from tests.support.admin import desk
from tests.support.orders import only
from tests.support.visitor import PASSWORD, Visitor

DUE = date(2027, 3, 12)


@pytest.fixture
def due(rt, clock):
    """One subscriber whose renewal is due."""
    plan = make.make_plan(rt)
    populate(rt, plan, make.price_of(rt, plan), 1, DUE)
    clock.advance(days=(DUE - rt.today()).days)


@pytest.fixture
def stopped(rt, due, clock, demo_gateway, monkeypatch):
    """The gateway refused our key an hour and a half ago."""
    refused = ChargeAnswer(AnswerStatus.UNKNOWN, reason="unauthorized")
    with monkeypatch.context() as patch:
        patch.setattr(demo_gateway, "charge", lambda _order: refused)
        run_renewals(rt)
    clock.advance(minutes=90)


def test_a_stopped_gateway_is_on_the_first_page_and_in_the_health(app, rt, client, stopped):
    page = desk(app, rt).get("/admin/").text

    assert "Nothing is sent to 1 payment partner any more" in page
    assert "1 charge waits and is not sent" in page
    assert client.get("/readyz").json["gateways_stopped"] == ["demo"]


def test_staff_see_why_it_is_stopped_and_let_it_go_on(app, rt, client, stopped):
    owner = desk(app, rt)
    page = owner.get("/admin/jobs").text
    assert "Nothing is sent to demo" in page
    assert "the payment partner refused our key" in page
    [action] = re.findall(r'action="(/admin/jobs/parked/\d+/try-again)"', page)

    owner.post(action)

    assert "gateways_stopped" not in client.get("/readyz").json
    assert run_renewals(rt).charges.settled == 1


def test_the_list_and_the_subscriber_s_page_say_why_a_charge_waits(app, rt, stopped):
    owner = desk(app, rt)

    assert "the payment partner is stopped" in owner.get("/admin/today/waiting").text

    customer = rt.session.get(Customer, only(rt, Subscription).customer_id)
    page = owner.get(f"/admin/subscribers/{customer.public_id}").text
    assert "not sent: the payment partner is stopped" in page


def test_where_the_merchant_holds_all_charging_that_is_why(app, rt, stopped):
    rt.session.execute(sa.update(ShopSettings).values(charging_held_at=rt.now()))
    rt.session.commit()
    rt.forget_shop()

    page = desk(app, rt).get("/admin/today/waiting").text

    assert "not sent: on hold" in page
    assert "the payment partner is stopped" not in page


def test_an_announced_debit_stands_in_the_account_and_is_stopped_there(
    app, rt, due, demo_gateway, monkeypatch
):
    rules = replace(demo_gateway.capabilities, minimum_notice_seconds=24 * 3600)
    monkeypatch.setattr(demo_gateway, "capabilities", rules)
    run_renewals(rt)
    ada = rt.session.get(Customer, only(rt, Subscription).customer_id)
    email = ada.email
    change_password(rt, ada.id, "", PASSWORD)
    deliver_due(rt, partial(compose, rt))
    visitor = Visitor.of(app).sign_in(email)
    page = visitor.get("/account/payment").text
    assert "26.00" in page
    assert "will be debited" in page
    attempt = only(rt, ChargeAttempt).public_id

    done = visitor.post(f"/account/payment/debits/{attempt}/stop")

    assert done.status_code == 303
    assert only(rt, ChargeAttempt).reason == "opted_out"
    assert "will be debited" not in visitor.get("/account/payment").text
