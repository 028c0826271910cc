"""Orders that nobody finishes: what they held comes back, once."""

import pytest

from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodState, SubscriptionState
from storefront.models import (
    Checkout,
    Coupon,
    Invoice,
    Plan,
    Redemption,
    Subscription,
    SubscriptionPeriod,
)
from storefront.runtime import Runtime
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome, expire_checkouts, finish_checkout, standing
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, choose, only, order, paid


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt)


def test_an_order_that_ran_out_gives_everything_back_once(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    make.make_code(rt, "LEMON", max_uses=1)
    key = begin(rt, plan)
    use_code(rt, key, "lemon")
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert only(rt, Coupon).used == 1

    clock.advance(hours=1)
    assert expire_checkouts(rt) == 0
    clock.advance(hours=2)
    assert expire_checkouts(rt) == 1
    assert expire_checkouts(rt) == 0

    assert only(rt, Coupon).used == 0
    assert only(rt, Redemption).given_back_at is not None
    assert only(rt, Subscription).state == SubscriptionState.EXPIRED
    assert only(rt, SubscriptionPeriod).state == PeriodState.VOID
    assert only(rt, Invoice).state == InvoiceState.DISCARDED
    assert finish_checkout(rt, key).outcome is Outcome.EXPIRED


def test_an_order_being_paid_does_not_run_out(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    key = begin(rt, plan)
    assert paid(rt, demo_gateway, key, "0408") is Outcome.WAITING
    clock.advance(hours=5)

    assert expire_checkouts(rt) == 0
    assert finish_checkout(rt, key).outcome is Outcome.DONE


def test_money_for_an_order_that_ran_out_goes_back(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))
    clock.advance(hours=3)
    assert expire_checkouts(rt) == 1

    assert finish_checkout(rt, key).outcome is Outcome.EXPIRED
    assert demo_gateway.bank.executed_count() == 0
    assert only(rt, Checkout).state == "expired"


def test_standing_writes_nothing(rt: Runtime, plan: Plan):
    key = begin(rt, plan)
    order(rt, key)
    before = only(rt, Checkout)

    assert standing(rt, key).outcome is Outcome.UNFINISHED
    assert only(rt, Checkout) == before
