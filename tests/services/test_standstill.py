"""A week in which nothing ran: what fell due meanwhile is done later, once, and after a look."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from storefront.jobs.ticker import Ticker
from storefront.jobs.worker import TICKS
from storefront.models import (
    Box,
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    ShopSettings,
    Subscription,
    SubscriptionPeriod,
)
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services import holds
from storefront.services.renewals import run_renewals
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront.testing.population import populate
from storefront_demo_gateway.gateway import DemoGateway
from tests.support.admin import make_staff

#: The last tick before, and the first one after.
STOPPED = datetime(2027, 3, 11, 9, 0, tzinfo=UTC)
BACK = datetime(2027, 3, 20, 9, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def invariants(rt: Runtime) -> Any:
    yield
    rt.session.rollback()
    assert broken(rt.session) == {}


def due_on(rt: Runtime, day: date, count: int, **plan: Any) -> list[int]:
    made = make.make_plan(rt, **plan)
    return populate(rt, made, make.price_of(rt, made), count, day)


def tick(rt: Runtime) -> None:
    Ticker(TICKS["charges"][0]).tick(rt)


def charged(rt: Runtime, ids: list[int]) -> dict[int, list[datetime]]:
    """When each of the subscriptions was charged."""
    rows = rt.session.execute(
        sa.select(InvoiceLine.subscription_id, ChargeAttempt.sent_at)
        .distinct()
        .join(Invoice, Invoice.id == InvoiceLine.invoice_id)
        .join(ChargeAttempt, ChargeAttempt.invoice_id == Invoice.id)
        .where(ChargeAttempt.sent_at.is_not(None))
        .order_by(ChargeAttempt.sent_at)
    ).all()
    rt.session.rollback()
    found: dict[int, list[datetime]] = {key: [] for key in ids}
    for row in rows:
        if row.subscription_id in found:
            found[row.subscription_id].append(row.sent_at)
    return found


def fates(rt: Runtime, ids: list[int]) -> list[tuple[int, str]]:
    """Numbers and kinds of the periods opened since, of all together."""
    rows = rt.session.execute(
        sa.select(SubscriptionPeriod.number, SubscriptionPeriod.kind)
        .where(SubscriptionPeriod.subscription_id.in_(ids), SubscriptionPeriod.number > 0)
        .distinct()
        .order_by(SubscriptionPeriod.number)
    ).all()
    rt.session.rollback()
    return [(row.number, row.kind.value) for row in rows]


def live_on(rt: Runtime, clock: FrozenClock, days: int) -> None:
    for _ in range(days * 4):
        tick(rt)
        clock.advance(hours=6)
    rt.session.rollback()


def test_t08_t10_after_a_week_nothing_late_is_charged_before_the_owner_says_so_and_then_once(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    clock.set(STOPPED)
    lost = due_on(rt, date(2027, 3, 11), 1, ships=False)
    demo_gateway.bank.set_fault("lost")
    run_renewals(rt)
    demo_gateway.bank.set_fault("lost", is_on=False)
    monthly = due_on(rt, date(2027, 3, 13), 100, ships=False)
    boxes = due_on(rt, date(2027, 3, 12), 100)
    fresh = due_on(rt, date(2027, 3, 19), 99, ships=False)

    clock.set(BACK)
    tick(rt)

    assert set(map(len, charged(rt, monthly).values())) == {0}
    assert set(map(len, charged(rt, fresh).values())) == {1}
    # Locked on the 15th: those boxes can no longer ship, and are not charged.
    assert fates(rt, boxes) == [(1, "skipped")]
    held = rt.session.scalars(sa.select(Subscription.id).where(Subscription.held_at.is_not(None)))
    assert sorted(held) == sorted(monthly)
    assert rt.session.scalar(sa.select(ShopSettings.charging_held_reason)) == "late"
    assert {state.value for state in rt.session.scalars(sa.select(ChargeAttempt.state))} == {
        "succeeded"
    }
    rt.session.rollback()

    assert holds.release_outage(rt, make_staff(rt)) == 100
    live_on(rt, clock, 2)

    assert set(map(len, charged(rt, monthly).values())) == {1}
    assert set(map(len, charged(rt, [*lost, *fresh]).values())) == {1}
    assert demo_gateway.bank.double_charges() == []
    assert demo_gateway.bank.executed_count() == 200
    assert rt.session.scalar(sa.select(ShopSettings.charging_held_reason)) == ""


def test_what_was_not_set_aside_yet_when_the_owner_said_so_goes_on(
    rt: Runtime, clock: FrozenClock
) -> None:
    clock.set(STOPPED)
    due_on(rt, date(2027, 3, 12), 3, ships=False)
    clock.set(BACK)
    run_renewals(rt, limit=1)
    assert holds.release_outage(rt, make_staff(rt)) == 1
    clock.advance(minutes=1)
    report = run_renewals(rt)
    assert (report.billed, report.held) == (3, 0)


def test_another_standstill_waits_for_the_owner_again(rt: Runtime, clock: FrozenClock) -> None:
    make_shop_released(rt, BACK)
    clock.set(BACK)
    due_on(rt, date(2027, 3, 25), 2, ships=False)
    clock.advance(days=9)
    assert run_renewals(rt).held == 2


def make_shop_released(rt: Runtime, at: datetime) -> None:
    make.make_shop(rt, late_released_at=at)
    rt.forget_shop()


@pytest.mark.parametrize(
    ("choice", "kinds"),
    [("skip", {"skipped", "billed"}), ("bill", {"billed"})],
)
def test_t09_weekly_periods_missed_are_left_out_or_billed_a_day_apart(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway, choice: str, kinds: set[str]
) -> None:
    make.make_shop(rt, catch_up=choice, late_released_at=BACK)
    rt.forget_shop()
    clock.set(STOPPED)
    weekly = due_on(rt, date(2027, 3, 12), 20, ships=False, unit="week")
    clock.set(BACK)

    live_on(rt, clock, 4)

    assert {kind for _number, kind in fates(rt, weekly)} == kinds
    for times in charged(rt, weekly).values():
        gaps = [late - early for early, late in pairwise(times)]
        assert all(gap >= timedelta(hours=24) for gap in gaps)
        assert len(times) == (2 if choice == "bill" else 1)
    assert demo_gateway.bank.double_charges() == []


def test_t09_a_missed_box_is_billed_and_sent_later_if_the_merchant_chose_so(
    rt: Runtime, clock: FrozenClock
) -> None:
    make.make_shop(rt, catch_up="bill", late_released_at=BACK)
    rt.forget_shop()
    clock.set(STOPPED)
    ids = due_on(rt, date(2027, 3, 12), 5)
    clock.set(BACK)
    live_on(rt, clock, 2)
    assert fates(rt, ids) == [(1, "billed")]
    boxes = rt.session.scalars(sa.select(Box.subscription_id).where(Box.cycle_id.is_not(None)))
    assert sorted(boxes) == sorted(ids)
    rt.session.rollback()
    # The cycle of the next period holds that box, so nothing is charged for it again.
    clock.set(datetime(2027, 4, 12, 9, 0, tzinfo=UTC))
    live_on(rt, clock, 1)
    assert fates(rt, ids) == [(1, "billed"), (2, "skipped")]
