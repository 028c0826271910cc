"""Codes put on a running subscription: what they lower, why they are refused, taking them off."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.coupons import Refusal
from storefront.domain.events import EventKind
from storefront.models import (
    AuditEntry,
    Coupon,
    Customer,
    Invoice,
    Plan,
    Redemption,
    Subscription,
    SubscriptionEvent,
)
from storefront.queries.account import subscription as account_view
from storefront.runtime import Runtime
from storefront.services.added_codes import CodeRefused, NoSubscription, add_code, remove_code
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.admin import make_staff
from tests.support.orders import count, only


@pytest.fixture
def plan(rt: Runtime) -> Plan:
    return make.make_plan(rt, code="pot")


@pytest.fixture
def customer(rt: Runtime) -> Customer:
    return make.make_customer(rt)


@pytest.fixture
def sub(rt: Runtime, plan: Plan, customer: Customer) -> Subscription:
    return make.make_subscription(rt, plan=plan, customer=customer)


def renew(rt: Runtime, clock: FrozenClock, days: int = 41) -> None:
    clock.advance(days=days)
    run_renewals(rt)


def totals(rt: Runtime) -> list[int]:
    rows = rt.session.scalars(
        sa.select(Invoice.__table__.c.total_minor).order_by(Invoice.__table__.c.id)
    ).all()
    rt.session.rollback()
    return list(rows)


def next_amount(rt: Runtime, customer: Customer, sub: Subscription) -> int:
    view = account_view(rt.session, customer.id, sub.public_id, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    assert view is not None
    assert view.next_amount is not None
    return view.next_amount.minor


def test_the_next_invoices_are_lowered(
    rt: Runtime, customer: Customer, sub: Subscription, clock: FrozenClock
) -> None:
    make.make_code(rt, "LEMON", duration="cycles", cycles=2, max_uses=1)

    assert add_code(rt, customer.id, sub.public_id, " lemon ") == "LEMON"

    assert next_amount(rt, customer, sub) == 2340
    assert only(rt, Coupon).used == 0
    renew(rt, clock)
    renew(rt, clock, 30)
    renew(rt, clock, 31)
    assert totals(rt) == [2600, 2340, 2340, 2600]
    assert only(rt, Coupon).used == 1
    assert count(rt, Redemption) == 2
    assert count(rt, SubscriptionEvent, SubscriptionEvent.kind == EventKind.CODE_ADDED) == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"ends_on": date(2027, 3, 1)}, Refusal.ENDED),
        ({"starts_on": date(2027, 3, 3)}, Refusal.NOT_STARTED),
        ({"limits": {"plans": ["cup"]}}, Refusal.WRONG_PLAN),
        ({"limits": {"intervals": ["1 year"]}}, Refusal.WRONG_INTERVAL),
        ({"limits": {"countries": ["FR"]}}, Refusal.WRONG_COUNTRY),
        ({"max_uses": 0}, Refusal.USED_UP),
        ({"first_time_only": True}, Refusal.NOT_FIRST),
        ({"kind": "free_first_box", "percent_bp": 0}, Refusal.FIRST_ONLY),
        ({"applies_to": "fee"}, Refusal.FIRST_ONLY),
        ({"percent": None, "amount_minor": 100, "currency": "USD"}, Refusal.WRONG_COUNTRY),
    ],
)
def test_a_code_that_does_not_fit_is_refused_with_its_reason(
    rt: Runtime,
    customer: Customer,
    sub: Subscription,
    values: dict[str, object],
    reason: Refusal,
) -> None:
    make.make_code(rt, "LEMON", **values)
    with pytest.raises(CodeRefused) as error:
        add_code(rt, customer.id, sub.public_id, "LEMON")
    assert error.value.reason is reason
    assert next_amount(rt, customer, sub) == 2600


def test_an_unknown_code_is_refused(rt: Runtime, customer: Customer, sub: Subscription) -> None:
    for typed in ("NOPE", "", "   "):
        with pytest.raises(CodeRefused) as error:
            add_code(rt, customer.id, sub.public_id, typed)
        assert error.value.reason is Refusal.UNKNOWN


def test_codes_are_not_stacked(
    rt: Runtime, customer: Customer, sub: Subscription, clock: FrozenClock
) -> None:
    make.make_code(rt, "LEMON")
    make.make_code(rt, "MINT")
    add_code(rt, customer.id, sub.public_id, "LEMON")

    assert refused(rt, customer, sub, "LEMON") is Refusal.HAS_IT
    assert refused(rt, customer, sub, "MINT") is Refusal.HAS_ANOTHER
    renew(rt, clock)
    assert refused(rt, customer, sub, "LEMON") is Refusal.HAS_IT
    assert add_code(rt, customer.id, sub.public_id, "MINT") == "MINT"


def refused(rt: Runtime, customer: Customer, sub: Subscription, code: str) -> Refusal:
    with pytest.raises(CodeRefused) as error:
        add_code(rt, customer.id, sub.public_id, code)
    return error.value.reason


def test_a_code_not_used_yet_can_be_taken_off_and_put_on_again(
    rt: Runtime, customer: Customer, sub: Subscription, clock: FrozenClock
) -> None:
    make.make_code(rt, "LEMON", duration="forever")
    add_code(rt, customer.id, sub.public_id, "LEMON")

    assert remove_code(rt, customer.id, sub.public_id, "LEMON")
    assert not remove_code(rt, customer.id, sub.public_id, "LEMON")
    assert next_amount(rt, customer, sub) == 2600

    add_code(rt, customer.id, sub.public_id, "LEMON")
    renew(rt, clock)
    assert not remove_code(rt, customer.id, sub.public_id, "LEMON")
    assert totals(rt) == [2600, 2340]


def test_somebody_elses_subscription_is_not_there(rt: Runtime, sub: Subscription) -> None:
    other = make.make_customer(rt)
    make.make_code(rt, "LEMON")
    with pytest.raises(NoSubscription):
        add_code(rt, other.id, sub.public_id, "LEMON")
    with pytest.raises(NoSubscription):
        remove_code(rt, other.id, sub.public_id, "LEMON")


def test_what_staff_do_is_in_the_log(rt: Runtime, customer: Customer, sub: Subscription) -> None:
    who = make_staff(rt)
    make.make_code(rt, "LEMON")
    add_code(rt, customer.id, sub.public_id, "LEMON", who)
    remove_code(rt, customer.id, sub.public_id, "LEMON", who)
    table = AuditEntry.__table__
    actions = rt.session.scalars(sa.select(table.c.action).order_by(table.c.id)).all()
    rt.session.rollback()
    assert actions[-2:] == ["subscription.code_added", "subscription.code_removed"]
