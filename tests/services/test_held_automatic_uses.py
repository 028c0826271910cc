"""Automatic discounts of which there are only so many: a trial's order holds what it shows."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.models import Coupon, Invoice, Plan, Redemption
from storefront.operations.audit import Who
from storefront.operations.checkout import Market, find_checkout, read_order
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import promotions
from storefront.services.checkout import Step
from storefront.services.finishing import Outcome, expire_checkouts, finish_checkout
from storefront.services.promotions import CouponDraft
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff
from tests.support.days import renew_until
from tests.support.orders import begin, choose, count, only, order, paid, quote_hash

FIRST_PAYMENT = date(2027, 4, 12)


@pytest.fixture(autouse=True)
def nothing_is_broken(rt: Runtime):
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


@pytest.fixture
def trial(rt: Runtime) -> Plan:
    return make.make_plan(rt, trial_days=14)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


def spring(rt: Runtime, who: Who, **values: Any) -> str:
    defaults = {"name": "Spring", "is_automatic": True, "percent_bp": 5000, "max_uses": 1}
    return promotions.add_coupon(rt, who, CouponDraft("", **{**defaults, **values}))


def shown(rt: Runtime, key: str) -> int:
    """Return the first charge that an order shows after its trial."""
    found = read_order(rt.session, find_checkout(rt.session, key), Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return found.first.quote.charges[0].amount.minor


def used(rt: Runtime) -> int:
    return only(rt, Coupon).used


def pay_first(rt: Runtime, clock: FrozenClock) -> list[int]:
    renew_until(rt, clock, FIRST_PAYMENT)
    found = rt.session.scalars(
        sa.select(Invoice.total_minor).where(Invoice.total_minor > 0).order_by(Invoice.total_minor)
    ).all()
    rt.session.rollback()
    return list(found)


def test_the_last_use_goes_to_the_first_trial_and_the_second_is_shown_the_full_price(
    rt: Runtime, who: Who, trial: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    spring(rt, who)
    first, second = (begin(rt, trial, email=f"{name}@example.org") for name in ("ada", "grace"))
    agreed = quote_hash(rt, second)
    assert (shown(rt, first), shown(rt, second)) == (1300, 1300)

    assert paid(rt, demo_gateway, first) is Outcome.DONE

    assert (used(rt), count(rt, Redemption)) == (1, 0)
    assert order(rt, second, agreed).step is Step.CHANGED
    assert shown(rt, second) == 2600
    choose(demo_gateway, order(rt, second), "0119")
    assert finish_checkout(rt, second).outcome is Outcome.DONE
    assert pay_first(rt, clock) == [1300, 2600]
    assert (used(rt), count(rt, Redemption)) == (1, 1)


def test_switched_off_in_the_trial_it_still_lowers_what_was_shown(
    rt: Runtime, who: Who, trial: Plan, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    coupon = spring(rt, who)
    assert paid(rt, demo_gateway, begin(rt, trial)) is Outcome.DONE

    promotions.archive_coupon(rt, who, coupon)

    assert pay_first(rt, clock) == [1300]


def test_an_order_that_expires_gives_the_use_back_once(
    rt: Runtime, who: Who, trial: Plan, clock: FrozenClock
) -> None:
    spring(rt, who)
    assert order(rt, begin(rt, trial)).step is Step.PAY
    assert used(rt) == 1

    clock.advance(days=1)

    assert expire_checkouts(rt) == 1
    assert used(rt) == 0


def test_one_for_each_customer_counts_while_it_is_held(
    rt: Runtime, who: Who, trial: Plan, demo_gateway: DemoGateway
) -> None:
    spring(rt, who, max_uses=None, max_per_customer=1)
    other = make.make_plan(rt, amount_minor=3000)
    assert paid(rt, demo_gateway, begin(rt, trial)) is Outcome.DONE

    key = begin(rt, other)

    found = read_order(rt.session, find_checkout(rt.session, key), Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    assert found.quote.due_today.minor == 3000


def test_one_for_a_later_payment_that_is_used_up_is_not_shown_and_stops_no_order(
    rt: Runtime, who: Who, demo_gateway: DemoGateway
) -> None:
    plan = make.make_plan(rt)
    spring(rt, who, from_billed=2, duration="once")
    first, second = (begin(rt, plan, email=f"{name}@example.org") for name in ("ada", "grace"))
    assert paid(rt, demo_gateway, first) is Outcome.DONE
    assert used(rt) == 1

    assert shown(rt, second) == 2600
    assert paid(rt, demo_gateway, second, "0119") is Outcome.DONE
    assert used(rt) == 1
