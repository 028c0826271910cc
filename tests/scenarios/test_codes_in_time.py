"""Codes once, three times and for ever, through skips, failed payments and voids.

What is charged, how many payments the code still lowers, and that it holds one use all along.
"""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from storefront.domain.invoices import CreditReason, InvoiceState
from storefront.models import (
    BoxCycle,
    Coupon,
    Customer,
    Invoice,
    Redemption,
    Subscription,
    SubscriptionDiscount,
)
from storefront.operations.credits import credit_invoices
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.added_codes import add_code
from storefront.services.renewals import run_renewals
from storefront.services.skips import skip_box
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from tests.support.orders import count, only

FULL, LOWERED = 2600, 2340
DURATIONS = [("once", 1), ("cycles", 3), ("forever", None)]


@pytest.fixture
def customer(rt: Runtime) -> Customer:
    return make.make_customer(rt)


def start(
    rt: Runtime, customer: Customer, duration: str, lasts: int | None, card: str = "4242"
) -> Subscription:
    plan = make.make_plan(rt, code="pot")
    make.make_code(rt, "LEMON", duration=duration, cycles=lasts or 1, max_uses=1)
    return make.make_subscription(rt, plan=plan, customer=customer, code="LEMON", card=card)


def renew(rt: Runtime, clock: FrozenClock) -> None:
    """Go to the day of the next charge and renew."""
    row = rt.session.execute(sa.select(Subscription.next_on, Subscription.anchor_on)).one()
    rt.session.rollback()
    clock.advance(days=(max(row.next_on, row.anchor_on) - rt.today()).days)
    run_renewals(rt)


def totals(rt: Runtime) -> list[int]:
    rows = rt.session.scalars(sa.select(Invoice.total_minor).order_by(Invoice.id)).all()
    rt.session.rollback()
    return list(rows)


def expected(lasts: int | None, payments: int) -> list[int]:
    return [LOWERED if lasts is None or n < lasts else FULL for n in range(payments)]


def left_after(lasts: int | None, payments: int) -> int | None:
    return None if lasts is None else max(lasts - payments, 0)


def whole(rt: Runtime) -> None:
    found = broken(rt.session)
    rt.session.rollback()
    assert found == {}


@pytest.mark.parametrize(("duration", "lasts"), DURATIONS)
def test_five_payments(
    rt: Runtime, customer: Customer, clock: FrozenClock, duration: str, lasts: int | None
) -> None:
    start(rt, customer, duration, lasts)
    for _ in range(4):
        renew(rt, clock)
    assert totals(rt) == expected(lasts, 5)
    assert only(rt, SubscriptionDiscount).cycles_left == left_after(lasts, 5)
    assert only(rt, Coupon).used == 1
    assert count(rt, Redemption) == (5 if lasts is None else lasts)
    whole(rt)


@pytest.mark.parametrize(("duration", "lasts"), DURATIONS)
def test_a_skipped_box_spends_nothing(
    rt: Runtime, customer: Customer, clock: FrozenClock, duration: str, lasts: int | None
) -> None:
    sub = start(rt, customer, duration, lasts)
    cycle = rt.session.scalars(
        sa.select(BoxCycle.public_id).where(BoxCycle.charge_on == date(2027, 4, 12))
    ).one()
    rt.session.rollback()
    skip_box(rt, customer.id, sub.public_id, cycle)
    for _ in range(3):
        renew(rt, clock)
    assert totals(rt) == expected(lasts, 3)
    assert only(rt, SubscriptionDiscount).cycles_left == left_after(lasts, 3)
    whole(rt)


@pytest.mark.parametrize(("duration", "lasts"), DURATIONS)
def test_a_declined_payment_that_is_given_up_gives_its_cycle_back(
    rt: Runtime, customer: Customer, clock: FrozenClock, duration: str, lasts: int | None
) -> None:
    start(rt, customer, duration, lasts, card="0341")
    renew(rt, clock)
    open_one = rt.session.execute(
        sa.select(Invoice.id, Invoice.total_minor).where(Invoice.state == InvoiceState.OPEN)
    ).one()
    rt.session.rollback()
    assert open_one.total_minor == expected(lasts, 2)[1]
    assert only(rt, SubscriptionDiscount).cycles_left == left_after(lasts, 2)

    for _ in range(2):
        credit_invoices(rt.session, [open_one.id], CreditReason.CANCELLATION, rt.moment())
        rt.session.commit()

    assert only(rt, SubscriptionDiscount).cycles_left == left_after(lasts, 1)
    assert only(rt, Coupon).used == 1
    given_back = count(rt, Redemption, Redemption.given_back_at.is_not(None))
    assert given_back == (0 if lasts == 1 else 1)
    whole(rt)


def test_the_use_of_a_code_added_later_comes_back_with_its_void_invoice(
    rt: Runtime, customer: Customer, clock: FrozenClock
) -> None:
    """It was the first invoice that it lowered, so coupon and code can be used again."""
    plan = make.make_plan(rt, code="pot")
    sub = make.make_subscription(rt, plan=plan, customer=customer, card="0341")
    make.make_code(rt, "LEMON", duration="forever", max_uses=1)
    add_code(rt, customer.id, sub.public_id, "LEMON")
    renew(rt, clock)
    assert only(rt, Coupon).used == 1
    open_id = rt.session.scalars(
        sa.select(Invoice.id).where(Invoice.state == InvoiceState.OPEN)
    ).one()
    rt.session.rollback()

    for _ in range(2):
        credit_invoices(rt.session, [open_id], CreditReason.CANCELLATION, rt.moment())
        rt.session.commit()

    assert only(rt, Coupon).used == 0
    whole(rt)


@pytest.mark.parametrize(("duration", "lasts"), DURATIONS)
def test_a_trial_holds_its_use_and_spends_no_payment(
    rt: Runtime, customer: Customer, clock: FrozenClock, duration: str, lasts: int | None
) -> None:
    plan = make.make_plan(rt, code="pot", trial_days=14)
    make.make_code(rt, "LEMON", duration=duration, cycles=lasts or 1, max_uses=1)
    make.make_subscription(rt, plan=plan, customer=customer, code="LEMON")
    assert (only(rt, Coupon).used, count(rt, Redemption)) == (1, 0)
    for _ in range(4):
        renew(rt, clock)
    paid = [total for total in totals(rt) if total]
    assert paid == expected(lasts, len(paid))
    assert len(paid) >= 3
    assert only(rt, Coupon).used == 1
    whole(rt)
