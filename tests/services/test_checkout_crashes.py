"""The process dies on the way: the shopper tries again and pays once, or not at all."""

from collections.abc import Iterator

import pytest

from storefront.adapters import failpoints
from storefront.domain.charging import AttemptState
from storefront.models import (
    Box,
    ChargeAttempt,
    Checkout,
    GatewaySetup,
    PaymentMethod,
    Plan,
    Subscription,
)
from storefront.runtime import Runtime
from storefront.services.finishing import Outcome, expire_checkouts, finish_checkout
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, choose, count, only, order


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt)


@pytest.fixture(autouse=True)
def _disarm() -> Iterator[None]:
    yield
    failpoints.arm("")


def dies_at(rt: Runtime, key: str, point: str) -> None:
    failpoints.arm(f"{point}:raise")
    with pytest.raises(failpoints.FailpointReached):
        finish_checkout(rt, key)
    rt.session.rollback()
    failpoints.arm("")


def test_after_the_card_was_stored_at_the_gateway(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))

    dies_at(rt, key, "checkout.after_setup")
    assert count(rt, Subscription) == 0
    assert only(rt, Checkout).state == "open"

    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert count(rt, PaymentMethod) == 1
    assert demo_gateway.bank.executed_count() == 1


def test_after_the_charge_was_marked_sent(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))

    dies_at(rt, key, "checkout.after_sent")
    assert only(rt, ChargeAttempt).state == AttemptState.SENT
    assert demo_gateway.bank.executed_count() == 0
    assert finish_checkout(rt, key, lambda _seconds: None).outcome is Outcome.WAITING

    clock.advance(minutes=1)
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert (count(rt, ChargeAttempt), count(rt, Box)) == (1, 1)
    assert demo_gateway.bank.executed_count() == 1


def test_after_the_gateway_answered(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, clock: FrozenClock
):
    key = begin(rt, plan)
    choose(demo_gateway, order(rt, key))

    dies_at(rt, key, "renewal.after_answer")
    assert demo_gateway.bank.executed_count() == 1
    assert only(rt, ChargeAttempt).state == AttemptState.SENT

    clock.advance(hours=3)
    assert expire_checkouts(rt) == 0
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert demo_gateway.bank.executed_count() == 1
    assert count(rt, Box) == 1


def test_before_the_gateways_page_was_noted(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch
):
    key = begin(rt, plan)
    real = demo_gateway.begin_setup

    def opened_and_lost(asked):
        real(asked)
        raise ConnectionError

    monkeypatch.setattr(demo_gateway, "begin_setup", opened_and_lost)
    assert order(rt, key).url == ""
    monkeypatch.undo()

    choose(demo_gateway, order(rt, key))
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert count(rt, GatewaySetup) == 1
