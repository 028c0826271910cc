"""K-16: the shop's name on the statement, and that a trial is over on its first charge."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from storefront.charges import charge_orders
from storefront.domain.gateways import ChargeAnswer, ChargeOrder
from storefront.models import ChargeAttempt
from storefront.operations.charging import orders
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.dunning import chase_due
from storefront.services.finishing import Outcome
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.days import renew_until
from tests.support.orders import begin, paid

BOTH = ["Nine TRIAL OVER", "Nine Kettles"]


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime) -> Iterator[None]:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def said(demo_gateway: DemoGateway, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the gateway is asked to put on the statement, charge by charge."""
    found: list[str] = []
    real = demo_gateway.charge

    def charge(order: ChargeOrder) -> ChargeAnswer:
        found.append(order.descriptor)
        return real(order)

    monkeypatch.setattr(demo_gateway, "charge", charge)
    return found


def test_only_the_first_charge_after_a_trial_says_that_it_is_over(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, said: list[str]
) -> None:
    plan = make.make_plan(rt, trial_days=14)
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    renew_until(rt, clock, date(2027, 6, 1))
    assert said == BOTH


def test_what_the_trial_itself_costs_does_not_say_so(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, said: list[str]
) -> None:
    plan = make.make_plan(rt, amount_minor=None, trial_days=14)
    make.make_price(rt, plan, sign_up_fee_minor=500)
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE
    renew_until(rt, clock, date(2027, 6, 1))
    assert said == ["Nine Kettles", *BOTH]


def test_without_a_trial_it_is_the_name_alone(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, said: list[str]
) -> None:
    assert paid(rt, demo_gateway, begin(rt, make.make_plan(rt))) is Outcome.DONE
    renew_until(rt, clock, date(2027, 5, 1))
    assert set(said) == {"Nine Kettles"}


def test_a_declined_first_charge_says_it_again_with_the_next_try(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, said: list[str]
) -> None:
    plan = make.make_plan(rt, trial_days=14)
    assert paid(rt, demo_gateway, begin(rt, plan), "0341") is Outcome.DONE
    renew_until(rt, clock, date(2027, 4, 12))
    clock.advance(days=4)
    chase_due(rt)
    run_renewals(rt)
    assert said == ["Nine TRIAL OVER"] * 2


@pytest.mark.parametrize(("room", "text"), [(0, ""), (10, "TRIAL OVER")])
def test_a_gateway_is_given_what_it_has_room_for(
    rt: Runtime,
    demo_gateway: DemoGateway,
    clock: FrozenClock,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    text: str,
) -> None:
    can = replace(demo_gateway.capabilities, descriptor_length=room)
    monkeypatch.setattr(demo_gateway, "capabilities", can)
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, trial_days=14)))
    renew_until(rt, clock, date(2027, 4, 20))
    assert said == [text]


def test_a_charge_that_is_repeated_says_the_same(
    rt: Runtime, demo_gateway: DemoGateway, clock: FrozenClock, said: list[str]
) -> None:
    """A gateway refuses a key that comes back with other words."""
    paid(rt, demo_gateway, begin(rt, make.make_plan(rt, trial_days=14)))
    demo_gateway.bank.set_fault("lost")
    renew_until(rt, clock, date(2027, 4, 12))
    demo_gateway.bank.set_fault("lost", is_on=False)
    keys = list(rt.session.scalars(sa.select(ChargeAttempt.id)))
    rows = orders(rt.session, keys)
    rt.session.rollback()
    charge_orders(rt, rows)
    assert said == ["Nine TRIAL OVER"] * 2
    assert demo_gateway.bank.executed_count() == 1
