"""How subscriptions begin and end by themselves: trials, introductory prices, terms."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import EndReason, PeriodKind, SubscriptionState
from storefront.models import (
    Box,
    Customer,
    Invoice,
    Movement,
    PaymentMethod,
    Plan,
    ScheduledChange,
    Subscription,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.checkout import Step
from storefront.services.finishing import Outcome, finish_checkout
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.days import renew_until
from tests.support.orders import begin, choose, count, only, order, paid


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


def amounts(rt: Runtime) -> list[int]:
    found = rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)).all()
    rt.session.rollback()
    return list(found)


def kinds(rt: Runtime) -> list[str]:
    found = rt.session.scalars(
        sa.select(SubscriptionPeriod.kind).order_by(SubscriptionPeriod.number)
    ).all()
    rt.session.rollback()
    return [PeriodKind(kind).value for kind in found]


def test_a_trial_is_free_brings_no_box_and_is_paid_at_its_end(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    plan = make.make_plan(rt, trial_days=14)

    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE

    subscription = only(rt, Subscription)
    assert subscription.state == SubscriptionState.TRIALING
    assert (subscription.anchor_on, subscription.billed_count) == (date(2027, 4, 12), 0)
    assert (subscription.mrr_minor, subscription.cohort) == (0, "")
    assert (count(rt, Box), count(rt, Movement)) == (0, 0)
    assert demo_gateway.bank.executed_count() == 0

    renew_until(rt, clock, date(2027, 4, 12))

    subscription = only(rt, Subscription)
    assert subscription.state == SubscriptionState.ACTIVE
    assert (subscription.billed_count, subscription.boxes_billed) == (1, 1)
    assert subscription.cohort == "2027-04"
    assert kinds(rt) == ["trial", "billed"]
    assert (count(rt, Box), count(rt, Movement)) == (1, 1)
    assert demo_gateway.bank.executed_total("EUR") == 2600


def test_the_sign_up_fee_is_paid_when_the_trial_begins(rt: Runtime, demo_gateway: DemoGateway):
    plan = make.make_plan(rt, amount_minor=None, trial_days=14)
    make.make_price(rt, plan, sign_up_fee_minor=500)

    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE

    assert demo_gateway.bank.executed_total("EUR") == 500
    assert only(rt, Subscription).state == SubscriptionState.TRIALING


def test_a_person_has_one_trial(rt: Runtime, demo_gateway: DemoGateway):
    plan = make.make_plan(rt, trial_days=14)
    paid(rt, demo_gateway, begin(rt, plan))

    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE

    assert demo_gateway.bank.executed_total("EUR") == 2600


def test_a_card_has_one_trial_whatever_the_e_mail(
    rt: Runtime, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
):
    real = demo_gateway.finish_setup

    def same_card(*values: Any) -> Any:
        answer = real(*values)
        return replace(answer, method=replace(answer.method, fingerprint="the same card"))

    monkeypatch.setattr(demo_gateway, "finish_setup", same_card)
    plan = make.make_plan(rt, trial_days=14)
    paid(rt, demo_gateway, begin(rt, plan))
    again = begin(rt, plan, email="somebody.else@example.org")

    assert paid(rt, demo_gateway, again) is Outcome.CHANGED
    assert demo_gateway.bank.executed_count() == 0

    assert paid(rt, demo_gateway, again) is Outcome.DONE
    assert demo_gateway.bank.executed_total("EUR") == 2600


@pytest.fixture
def cardless(rt: Runtime) -> Plan:
    return make.make_plan(rt, trial_days=14, trial_needs_card=False)


def test_a_trial_may_ask_for_no_card(rt: Runtime, cardless: Plan):
    key = begin(rt, cardless)

    assert order(rt, key).step is Step.FREE
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert finish_checkout(rt, key).outcome is Outcome.DONE

    assert only(rt, Subscription).state == SubscriptionState.TRIALING
    assert count(rt, PaymentMethod) == 0


def test_a_trial_that_got_no_card_ends_by_itself(rt: Runtime, cardless: Plan, clock: FrozenClock):
    key = begin(rt, cardless)
    order(rt, key)
    finish_checkout(rt, key)

    renew_until(rt, clock, date(2027, 4, 12))

    subscription = only(rt, Subscription)
    assert subscription.state == SubscriptionState.CANCELED
    assert (subscription.end_reason, subscription.ended_on) == (
        EndReason.ABANDONED,
        date(2027, 4, 12),
    )
    assert count(rt, Box) == 0


def test_a_trial_that_got_a_card_meanwhile_goes_on(
    rt: Runtime, cardless: Plan, clock: FrozenClock, demo_gateway: DemoGateway
):
    key = begin(rt, cardless)
    order(rt, key)
    finish_checkout(rt, key)
    make.make_method(rt, rt.session.get(Customer, only(rt, Customer).id))

    renew_until(rt, clock, date(2027, 4, 12))

    assert only(rt, Subscription).state == SubscriptionState.ACTIVE
    assert demo_gateway.bank.executed_total("EUR") == 2600


def test_an_introductory_price_ends_after_its_boxes(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    plan = make.make_plan(rt, amount_minor=None)
    make.make_price(rt, plan, phases=[{"boxes": 2, "amount_minor": 900}])
    paid(rt, demo_gateway, begin(rt, plan))

    renew_until(rt, clock, date(2027, 6, 12))

    assert amounts(rt) == [900, 900, 2600, 2600]
    assert only(rt, Subscription).boxes_billed == 4


def test_a_plan_ends_after_its_boxes_and_ships_each(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, max_boxes=2)))

    renew_until(rt, clock, date(2027, 6, 12))

    subscription = only(rt, Subscription)
    assert subscription.state == SubscriptionState.CANCELED
    assert (subscription.end_reason, subscription.ended_on) == (
        EndReason.COMPLETED,
        date(2027, 5, 12),
    )
    assert (amounts(rt), count(rt, Box)) == ([2600, 2600], 2)


def test_a_plan_ends_on_its_day(rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock):
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, ends_on=date(2027, 5, 1))))

    renew_until(rt, clock, date(2027, 6, 12))

    assert only(rt, Subscription).end_reason == EndReason.COMPLETED
    assert amounts(rt) == [2600, 2600]


def test_a_prepaid_term_may_stop_at_its_end(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    plan = make.make_plan(rt, amount_minor=7410, count=3, at_term_end="stop")
    paid(rt, demo_gateway, begin(rt, plan))

    renew_until(rt, clock, date(2027, 6, 12))

    assert only(rt, Subscription).end_reason == EndReason.COMPLETED
    assert (amounts(rt), count(rt, Box)) == ([7410], 3)


def test_a_prepaid_term_may_fall_to_a_box_at_a_time(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    plan = make.make_plan(rt, amount_minor=7410, count=3, at_term_end="monthly")
    make.make_price(rt, plan, amount_minor=2700)
    paid(rt, demo_gateway, begin(rt, plan))
    assert only(rt, ScheduledChange).effective_on == date(2027, 6, 12)

    renew_until(rt, clock, date(2027, 7, 12))

    assert amounts(rt) == [7410, 2700, 2700]
    assert count(rt, Box) == 5


def test_days_up_to_the_billing_day_are_free_where_the_plan_says_so(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, first_period="free")))
    assert only(rt, Subscription).state == SubscriptionState.ACTIVE
    assert demo_gateway.bank.executed_count() == 0

    renew_until(rt, clock, date(2027, 3, 12))

    assert kinds(rt) == ["free", "billed"]
    assert (amounts(rt), count(rt, Box)) == ([0, 2600], 1)


def test_a_service_is_paid_by_the_day_up_to_its_billing_day(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    plan = make.make_plan(rt, amount_minor=3100, ships=False, charge_day=1, first_period="prorated")
    paid(rt, demo_gateway, begin(rt, plan))

    renew_until(rt, clock, date(2027, 5, 1))

    assert amounts(rt) == [3000, 3100, 3100]
    assert only(rt, Subscription).next_on == date(2027, 6, 1)


def test_a_declined_first_payment_after_a_trial_is_chased(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock
):
    plan = make.make_plan(rt, trial_days=14)
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key), "0341")
    finish_checkout(rt, key)

    renew_until(rt, clock, date(2027, 4, 12))

    assert only(rt, Subscription).state == SubscriptionState.PAST_DUE
    opened = rt.session.scalars(sa.select(Invoice.state).order_by(Invoice.id)).all()
    rt.session.rollback()
    assert opened == [InvoiceState.PAID, InvoiceState.OPEN]
