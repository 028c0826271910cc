"""Recommending the shop: who counts as a friend, and that both are credited once."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.domain.money import Money
from storefront.jobs.work import REFERRALS, run_job
from storefront.models import Customer, OutboxMessage, PaymentMethod, Plan, Referral
from storefront.operations.customer_credit import balance_of
from storefront.operations.referrals import Friend, Promise, note_referral
from storefront.queries.invariants import broken
from storefront.queries.referrals import report, sent_by
from storefront.runtime import Runtime
from storefront.services.checkout import change_delivery
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome
from storefront.services.referrals import code_for, giver_of, grant_referrals
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, count, in_parallel, only, paid

AWAY = {
    "name": "Eve",
    "street": "Am Hang 1",
    "postcode": "10115",
    "city": "Berlin",
    "country": "DE",
}


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


@pytest.fixture
def giver(rt: Runtime, plan: Plan) -> Customer:
    make.make_shop(rt, referral_giver_minor=500, referral_friend_minor=300)
    customer = make.make_customer(rt, email="ada@example.org")
    make.make_subscription(rt, plan=plan, customer=customer)
    return customer


def sent(
    rt: Runtime, plan: Plan, giver: Customer, email: str = "eve@example.org", **address: str
) -> str:
    key = begin(rt, plan, email=email, referrer_id=giver.id)
    assert change_delivery(rt, key, email, {**AWAY, **address})
    return key


def credit(rt: Runtime, email: str) -> int:
    key = rt.session.scalar(sa.select(Customer.id).where(Customer.email == email))
    assert key is not None
    minor = balance_of(rt.session, key, "EUR").minor
    rt.session.rollback()
    return minor


def own_card(rt: Runtime, email: str) -> None:
    """Give this customer's card a fingerprint of its own: every demo 4242 has the same."""
    key = rt.session.scalar(sa.select(Customer.id).where(Customer.email == email))
    rt.session.execute(
        sa.update(PaymentMethod)
        .where(PaymentMethod.customer_id == key)
        .values(fingerprint=f"card of {email}")
    )
    rt.session.commit()


def test_both_are_credited_once_after_the_first_paid_box(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    assert paid(rt, demo_gateway, sent(rt, plan, giver)) is Outcome.DONE
    assert only(rt, Referral).state == "waiting"

    assert run_job(rt, REFERRALS)
    assert run_job(rt, REFERRALS)

    assert only(rt, Referral).state == "granted"
    assert (credit(rt, giver.email), credit(rt, "eve@example.org")) == (500, 300)
    mails = count(rt, OutboxMessage, OutboxMessage.topic == "referral_credit")
    assert mails == 2
    found = report(rt.session, "EUR")
    assert (found.counts, found.given.minor) == ({"granted": 1}, 800)
    assert sent_by(rt.session, giver.id) == {"granted": 1}
    assert broken(rt.session) == {}


def test_a_free_first_box_is_credited_when_the_second_is_paid(
    rt: Runtime, plan: Plan, giver: Customer, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    make.make_code(rt, "FREE", percent=100)
    key = sent(rt, plan, giver)
    use_code(rt, key, "FREE")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert grant_referrals(rt) == {"granted": 0}
    assert only(rt, Referral).state == "waiting"
    clock.advance(days=41)
    run_renewals(rt)
    assert grant_referrals(rt) == {"granted": 1}


def test_the_same_mailbox_is_no_friend(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    assert paid(rt, demo_gateway, sent(rt, plan, giver, "Ada+2@example.org".lower()))
    refused(rt, "same_person")


def test_the_same_card_is_no_friend(rt: Runtime, plan: Plan, giver: Customer) -> None:
    own_card(rt, giver.email)
    eve = make.make_customer(rt, email="eve@example.org")
    sub = make.make_subscription(rt, plan=plan, customer=eve)
    friend = Friend(eve.id, eve.email, sub.id, f"card of {giver.email}", "Am Hang 1", "1", "DE")
    promise = Promise(Money(500, "EUR"), Money(300, "EUR"))
    note_referral(rt.session, giver.id, friend, promise, rt.moment())
    rt.session.commit()
    refused(rt, "same_card")


def test_the_same_address_is_no_friend(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    key = sent(rt, plan, giver, street="LINDENWEG  4", postcode="07743", city="Jena")
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    refused(rt, "same_address")


def test_who_had_a_subscription_is_no_friend(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    assert paid(rt, demo_gateway, begin(rt, plan, email="eve@example.org")) is Outcome.DONE
    assert paid(rt, demo_gateway, sent(rt, plan, giver)) is Outcome.DONE
    refused(rt, "not_new")


def refused(rt: Runtime, reason: str) -> None:
    row = only(rt, Referral)
    assert (row.state, row.reason) == ("refused", reason)
    assert grant_referrals(rt) == {"granted": 0}
    assert credit(rt, "ada@example.org") == 0


def test_an_order_for_oneself_is_not_kept(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    assert paid(rt, demo_gateway, sent(rt, plan, giver, giver.email)) is Outcome.DONE
    assert count(rt, Referral) == 0


def test_somebody_is_sent_once(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    other = make.make_customer(rt)
    assert paid(rt, demo_gateway, sent(rt, plan, giver)) is Outcome.DONE
    assert paid(rt, demo_gateway, sent(rt, plan, other)) is Outcome.DONE
    assert (only(rt, Referral).giver_id, only(rt, Referral).state) == (giver.id, "waiting")


def test_while_it_is_off_nobody_is_sent(
    rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    code = code_for(rt, giver.id)
    assert giver_of(rt, code) == giver.id
    make.make_shop(rt, referral_giver_minor=0, referral_friend_minor=0)
    assert giver_of(rt, code) is None
    assert paid(rt, demo_gateway, sent(rt, plan, giver)) is Outcome.DONE
    assert count(rt, Referral) == 0


def test_a_code_stays_and_is_found_however_it_is_typed(rt: Runtime, giver: Customer) -> None:
    code = code_for(rt, giver.id)
    assert code_for(rt, giver.id) == code
    assert giver_of(rt, f" {code.lower()} ") == giver.id
    assert giver_of(rt, "NOBODY") is None
    assert giver_of(rt, "") is None


def test_ten_workers_at_once_credit_once(
    app: Flask, rt: Runtime, plan: Plan, giver: Customer, demo_gateway: DemoGateway
) -> None:
    own_card(rt, giver.email)
    assert paid(rt, demo_gateway, sent(rt, plan, giver)) is Outcome.DONE
    granted = in_parallel(app, 10, lambda own, _n: grant_referrals(own)["granted"])
    assert sum(granted) == 1
    assert credit(rt, giver.email) == 500
