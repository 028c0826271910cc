"""Codes whose first payment comes later: a trial's order holds a use until then."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.coupons import Refusal
from storefront.domain.lifecycle import SubscriptionState
from storefront.models import Coupon, Invoice, Plan, PromotionCode, Redemption, Subscription
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.added_codes import CodeRefused, add_code, remove_code
from storefront.services.checkout import Step
from storefront.services.coupons import use_code
from storefront.services.finishing import Outcome, expire_checkouts, finish_checkout
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import begin, choose, count, only, order, paid, quote_hash

FIRST_PAYMENT = date(2027, 4, 12)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    assert not any(broken(rt.session).values())
    rt.session.rollback()


@pytest.fixture
def trial(rt: Runtime) -> Plan:
    return make.make_plan(rt, trial_days=14)


def begun(rt: Runtime, plan: Plan, email: str) -> str:
    key = begin(rt, plan, email=email)
    use_code(rt, key, "HALF")
    return key


def used(rt: Runtime) -> tuple[int, int]:
    return only(rt, Coupon).used, only(rt, PromotionCode).used


def holds(rt: Runtime) -> list[bool]:
    found = rt.session.execute(sa.text("SELECT holds_use FROM subscription_discount")).scalars()
    held = [bool(each) for each in found]
    rt.session.rollback()
    return held


def pay_first(rt: Runtime, clock: FrozenClock) -> list[int]:
    while rt.today() < FIRST_PAYMENT:
        clock.advance(days=1)
        run_renewals(rt)
    rows = rt.session.scalars(
        sa.select(Invoice.total_minor)
        .where(Invoice.total_minor > 0, Invoice.number.is_not(None))
        .order_by(Invoice.total_minor)
    ).all()
    rt.session.rollback()
    return list(rows)


def test_the_last_use_goes_to_the_first_trial_and_the_second_is_told(
    rt: Runtime, trial: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    make.make_code(rt, "HALF", percent_bp=5000, max_uses=1)
    first, second = (begun(rt, trial, f"{name}@example.org") for name in ("ada", "grace"))
    agreed = quote_hash(rt, second)

    assert paid(rt, demo_gateway, first) is Outcome.DONE

    assert (used(rt), holds(rt), count(rt, Redemption)) == ((1, 1), [True], 0)
    assert order(rt, second, agreed).step is Step.CHANGED
    row = find_checkout(rt.session, second)
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    assert found.refused is Refusal.USED_UP
    assert found.first.quote is not None
    assert found.first.quote.charges[0].amount.minor == 2600
    choose(demo_gateway, order(rt, second), "0119")
    assert finish_checkout(rt, second).outcome is Outcome.DONE

    assert pay_first(rt, clock) == [1300, 2600]
    assert (used(rt), holds(rt), count(rt, Redemption)) == ((1, 1), [False], 1)


def test_an_order_that_expires_gives_its_hold_back(
    rt: Runtime, trial: Plan, clock: FrozenClock
) -> None:
    make.make_code(rt, "HALF", percent_bp=5000, max_uses=1)
    assert order(rt, begun(rt, trial, "ada@example.org")).step is Step.PAY
    assert used(rt) == (1, 1)

    clock.advance(days=1)

    assert expire_checkouts(rt) == 1
    assert used(rt) == (0, 0)


def test_a_declined_order_that_expires_gives_its_hold_back_once(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt, trial_days=14, amount_minor=None)
    make.make_price(rt, plan, sign_up_fee_minor=500)
    make.make_code(rt, "HALF", percent_bp=5000, max_uses=2)
    assert paid(rt, demo_gateway, begun(rt, plan, "ada@example.org"), "0002") is Outcome.DECLINED
    assert (used(rt), holds(rt)) == ((1, 1), [True])

    clock.advance(days=1)

    assert expire_checkouts(rt) == 1
    assert (used(rt), holds(rt)) == ((0, 0), [False])


def test_a_trial_that_ends_unpaid_gives_its_hold_back(rt: Runtime, clock: FrozenClock) -> None:
    plan = make.make_plan(rt, trial_days=14, trial_needs_card=False)
    make.make_code(rt, "HALF", percent_bp=5000, max_uses=1)
    key = begun(rt, plan, "ada@example.org")
    assert order(rt, key).step is Step.FREE
    assert finish_checkout(rt, key).outcome is Outcome.DONE
    assert (used(rt), holds(rt)) == ((1, 1), [True])

    assert pay_first(rt, clock) == []

    assert only(rt, Subscription).state == SubscriptionState.CANCELED
    assert (used(rt), holds(rt)) == ((0, 0), [False])


def test_a_code_taken_off_in_the_trial_gives_its_hold_back(
    rt: Runtime, trial: Plan, demo_gateway: DemoGateway
) -> None:
    make.make_code(rt, "HALF", percent_bp=5000, max_uses=1)
    assert paid(rt, demo_gateway, begun(rt, trial, "ada@example.org")) is Outcome.DONE
    row = only(rt, Subscription)

    assert remove_code(rt, row.customer_id, row.public_id, "HALF")

    assert (used(rt), holds(rt)) == ((0, 0), [False])


def test_a_held_use_is_the_customers_one(
    rt: Runtime, trial: Plan, demo_gateway: DemoGateway
) -> None:
    make.make_code(rt, "HALF", percent_bp=5000, max_per_customer=1)
    assert paid(rt, demo_gateway, begun(rt, trial, "ada@example.org")) is Outcome.DONE

    key = begin(rt, make.make_plan(rt, code="pot"))

    assert use_code(rt, key, "HALF").refused is Refusal.USED_BY_CUSTOMER


def test_a_code_once_per_customer_is_on_one_of_their_subscriptions(
    rt: Runtime, clock: FrozenClock
) -> None:
    plan, customer = make.make_plan(rt), make.make_customer(rt)
    subs = [make.make_subscription(rt, plan=plan, customer=customer) for _ in range(3)]
    make.make_code(rt, "HALF", percent_bp=5000, max_per_customer=1)

    add_code(rt, customer.id, subs[0].public_id, "HALF")

    for sub in subs[1:]:
        with pytest.raises(CodeRefused) as refused:
            add_code(rt, customer.id, sub.public_id, "HALF")
        assert refused.value.reason is Refusal.USED_BY_CUSTOMER
    assert remove_code(rt, customer.id, subs[0].public_id, "HALF")
    assert add_code(rt, customer.id, subs[1].public_id, "HALF") == "HALF"
    assert pay_first(rt, clock) == [1300, 2600, 2600, 2600, 2600, 2600]
