"""Promotion codes: what they take off, who gets the last one, and that uses come back once."""

from datetime import date

import pytest
from flask import Flask

from storefront.domain.coupons import Refusal
from storefront.models import Coupon, PaymentMethod, Plan, Redemption, SubscriptionDiscount
from storefront.operations.checkout import Market, Order, find_checkout, read_order
from storefront.runtime import Runtime
from storefront.services.checkout import Step
from storefront.services.coupons import drop_code, use_code
from storefront.services.finishing import Outcome, finish_checkout
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.orders import (
    begin,
    count,
    in_parallel,
    only,
    order,
    paid,
    quote_hash,
)


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


def shown(rt: Runtime, key: str) -> Order:
    row = find_checkout(rt.session, key)
    assert row is not None
    found = read_order(rt.session, row, Market.of(rt.shop), rt.moment())
    rt.session.rollback()
    return found


def charges(rt: Runtime, key: str) -> tuple[int, list[tuple[date, int]]]:
    quote = shown(rt, key).first.quote
    assert quote is not None
    return quote.due_today.minor, [(one.on, one.amount.minor) for one in quote.charges]


def test_once_lowers_the_first_payment_only(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    make.make_code(rt, "LEMON")
    key = begin(rt, plan)

    assert use_code(rt, key, " lemon ").refused is None
    assert charges(rt, key) == (2340, [(date(2027, 4, 12), 2600)])
    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert only(rt, SubscriptionDiscount).cycles_left == 0
    redemption = only(rt, Redemption)
    assert (redemption.amount_minor, redemption.counts) == (260, True)
    assert demo_gateway.bank.executed_total("EUR") == 2340


def test_three_cycles_end_on_a_named_day(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    make.make_code(rt, "SPRING", duration="cycles", cycles=3)
    key = begin(rt, plan)
    use_code(rt, key, "SPRING")

    assert charges(rt, key) == (2340, [(date(2027, 4, 12), 2340), (date(2027, 6, 12), 2600)])
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert only(rt, SubscriptionDiscount).cycles_left == 2


def test_for_ever_has_no_end(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    make.make_code(rt, "FRIEND", percent=None, amount_minor=500, duration="forever")
    key = begin(rt, plan)
    use_code(rt, key, "friend")

    assert charges(rt, key) == (2100, [(date(2027, 4, 12), 2100)])
    assert paid(rt, demo_gateway, key) is Outcome.DONE
    assert only(rt, SubscriptionDiscount).cycles_left is None


def test_nothing_to_pay_stores_the_card_and_charges_nothing(
    rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    make.make_code(rt, "GIFT", percent=100)
    key = begin(rt, plan)
    use_code(rt, key, "GIFT")

    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert demo_gateway.bank.executed_count() == 0
    assert count(rt, PaymentMethod) == 1
    assert finish_checkout(rt, key).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("values", "refused"),
    [
        ({"ends_on": date(2027, 3, 1)}, Refusal.ENDED),
        ({"starts_on": date(2027, 3, 3)}, Refusal.NOT_STARTED),
        ({"limits": {"plans": ["cup"]}}, Refusal.WRONG_PLAN),
        ({"limits": {"intervals": ["1 year"]}}, Refusal.WRONG_INTERVAL),
        ({"limits": {"countries": ["FR"]}}, Refusal.WRONG_COUNTRY),
        ({"max_uses": 0}, Refusal.USED_UP),
        ({"archived_at": None}, Refusal.UNKNOWN),
    ],
)
def test_a_code_that_does_not_fit_changes_nothing(
    rt: Runtime, plan: Plan, values: dict[str, object], refused: Refusal
):
    if "archived_at" in values:
        values = {"archived_at": rt.now()}
    make.make_code(rt, "LEMON", **values)
    key = begin(rt, plan)

    assert use_code(rt, key, "LEMON").refused is refused
    assert charges(rt, key)[0] == 2600


def test_an_unknown_code_and_none_at_all_are_unknown(rt: Runtime, plan: Plan):
    key = begin(rt, plan)

    assert use_code(rt, key, "LEMONN").refused is Refusal.UNKNOWN
    assert use_code(rt, key, "   ").refused is Refusal.UNKNOWN


def test_a_code_can_be_taken_off_again(rt: Runtime, plan: Plan):
    make.make_code(rt, "LEMON")
    key = begin(rt, plan)
    use_code(rt, key, "LEMON")

    drop_code(rt, key)

    assert charges(rt, key)[0] == 2600


def test_once_per_customer_is_kept(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    make.make_code(rt, "LEMON", max_per_customer=1)
    first = begin(rt, plan)
    use_code(rt, first, "LEMON")
    assert paid(rt, demo_gateway, first) is Outcome.DONE

    second = begin(rt, plan)

    assert use_code(rt, second, "LEMON").refused is Refusal.USED_BY_CUSTOMER


def test_for_newcomers_only(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    make.make_code(rt, "HELLO", first_time_only=True)
    assert paid(rt, demo_gateway, begin(rt, plan)) is Outcome.DONE

    again, other = begin(rt, plan), begin(rt, plan, email="eve@example.org")

    assert use_code(rt, again, "HELLO").refused is Refusal.NOT_FIRST
    assert use_code(rt, other, "HELLO").refused is None


def test_a_code_that_ends_while_the_order_is_open_is_asked_again(
    rt: Runtime, plan: Plan, clock: FrozenClock
):
    make.make_code(rt, "LEMON", ends_on=date(2027, 3, 2))
    key = begin(rt, plan)
    use_code(rt, key, "LEMON")
    agreed = quote_hash(rt, key)
    clock.advance(days=1)

    assert order(rt, key, agreed).step is Step.CHANGED
    assert shown(rt, key).refused is Refusal.ENDED
    assert charges(rt, key)[0] == 2600


def test_ordering_twice_takes_one_use(rt: Runtime, plan: Plan, demo_gateway: DemoGateway):
    make.make_code(rt, "LEMON", max_uses=5)
    key = begin(rt, plan)
    use_code(rt, key, "LEMON")

    order(rt, key)
    order(rt, key)
    assert only(rt, Coupon).used == 1
    assert paid(rt, demo_gateway, key, "9995") is Outcome.DECLINED
    assert paid(rt, demo_gateway, key) is Outcome.DONE

    assert only(rt, Coupon).used == 1
    assert count(rt, Redemption) == 1


def test_a_code_taken_off_after_ordering_gives_its_use_back(rt: Runtime, plan: Plan):
    make.make_code(rt, "LEMON", max_uses=1)
    key = begin(rt, plan)
    use_code(rt, key, "LEMON")
    order(rt, key)

    drop_code(rt, key)
    assert order(rt, key).step is Step.PAY

    assert only(rt, Coupon).used == 0


def test_the_last_use_goes_to_one_of_fifty(
    app: Flask, rt: Runtime, plan: Plan, demo_gateway: DemoGateway
):
    make.make_code(rt, "LEMON", max_uses=1)
    keys = [begin(rt, plan, email=f"shopper{n}@example.org") for n in range(50)]
    for key in keys:
        assert use_code(rt, key, "LEMON").refused is None
    agreed = {key: quote_hash(rt, key) for key in keys}

    placed = in_parallel(app, 50, lambda own, n: order(own, keys[n], agreed[keys[n]]))

    steps = [one.step for one in placed]
    assert sorted(steps) == [Step.CHANGED] * 49 + [Step.PAY]
    assert only(rt, Coupon).used == 1
    loser = keys[steps.index(Step.CHANGED)]
    winner = keys[steps.index(Step.PAY)]
    assert shown(rt, loser).refused is Refusal.USED_UP
    assert charges(rt, loser)[0] == 2600
    assert charges(rt, winner)[0] == 2340
    assert paid(rt, demo_gateway, loser) is Outcome.DONE
    assert paid(rt, demo_gateway, winner) is Outcome.DONE
    assert demo_gateway.bank.executed_total("EUR") == 4940
    assert only(rt, Coupon).used == 1
