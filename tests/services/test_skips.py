"""Skipping a box: not charged yet, paid already, and inside a prepaid term."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from storefront.adapters import failpoints
from storefront.adapters.failpoints import FailpointReached
from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxCycle, BoxSkip, Subscription, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations.skips import read_coming, skip_cycle
from storefront.operations.subscriptions import StaleSubscription
from storefront.runtime import Runtime
from storefront.services.renewals import run_renewals
from storefront.services.skips import (
    BoxTooLate,
    NotFound,
    NothingToSkip,
    SkipDone,
    skip_box,
    undo_skip,
)
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import (
    make_customer,
    make_group,
    make_plan,
    make_subscription,
)
from storefront_demo_gateway.gateway import DemoGateway


def cycle(rt: Runtime, key: str) -> str:
    """Return the public id of a cycle, by its month."""
    found = rt.session.execute(sa.select(BoxCycle.public_id).where(BoxCycle.key == key))
    public = found.scalar_one()
    rt.session.rollback()
    return public


def boxes(rt: Runtime, sub: Subscription) -> list[str | None]:
    """Return the months of the boxes of ``sub``, in the order they were paid."""
    table, cycles = table_of(Box), table_of(BoxCycle)
    rows = rt.session.execute(
        sa.select(cycles.c.key)
        .select_from(table)
        .outerjoin(cycles, cycles.c.id == table.c.cycle_id)
        .where(table.c.subscription_id == sub.id)
        .order_by(table.c.id)
    ).scalars()
    found = list(rows)
    rt.session.rollback()
    return found


def periods(rt: Runtime, sub: Subscription) -> list[tuple[str, str, str]]:
    """Return kind, reason and start of the periods of ``sub``."""
    table = table_of(SubscriptionPeriod)
    rows = rt.session.execute(
        sa.select(table.c.kind, table.c.reason, table.c.start_on)
        .where(table.c.subscription_id == sub.id)
        .order_by(table.c.number)
    ).all()
    rt.session.rollback()
    return [(row.kind.value, row.reason, row.start_on.isoformat()) for row in rows]


def skip(rt: Runtime, sub: Subscription, key: str):
    return skip_box(rt, sub.customer_id or 0, sub.public_id, cycle(rt, key))


def undo(rt: Runtime, sub: Subscription, key: str):
    return undo_skip(rt, sub.customer_id or 0, sub.public_id, cycle(rt, key))


def run_until(rt: Runtime, clock: FrozenClock, day: date) -> None:
    """Let the renewal run come once a day, as the worker does, up to ``day``."""
    while rt.today() < day:
        clock.advance(days=1)
        run_renewals(rt)


@pytest.fixture
def monthly(rt: Runtime) -> Subscription:
    """Pays 26.00 each 12th; ordered on 2 March, so the March box is paid."""
    return make_subscription(rt)


@pytest.fixture
def prepaid(rt: Runtime) -> Subscription:
    """Pays every three months; the boxes of March, April and May are paid."""
    return make_subscription(rt, plan=make_plan(rt, amount_minor=7410, count=3))


def test_a_skipped_box_is_not_charged(
    rt: Runtime, clock: FrozenClock, monthly: Subscription, demo_gateway: DemoGateway
) -> None:
    change = skip(rt, monthly, "2027-04")
    assert change.charge_on == date(2027, 4, 12)
    run_until(rt, clock, date(2027, 4, 20))
    assert demo_gateway.bank.executed_count() == 1
    assert boxes(rt, monthly) == ["2027-03"]
    assert periods(rt, monthly)[-1] == ("skipped", "skip", "2027-04-12")
    run_until(rt, clock, date(2027, 5, 12))
    assert demo_gateway.bank.executed_count() == 2
    assert boxes(rt, monthly) == ["2027-03", "2027-05"]


def test_a_paid_box_moves_and_the_next_period_is_the_skipped_one(
    rt: Runtime, clock: FrozenClock, monthly: Subscription, demo_gateway: DemoGateway
) -> None:
    change = skip(rt, monthly, "2027-03")
    assert change.moved
    assert change.moved_to_on == date(2027, 4, 19)
    assert boxes(rt, monthly) == ["2027-04"]
    run_until(rt, clock, date(2027, 4, 30))
    assert periods(rt, monthly)[-1] == ("skipped", "moved_box", "2027-04-12")
    run_until(rt, clock, date(2027, 5, 12))
    assert boxes(rt, monthly) == ["2027-04", "2027-05"]
    assert demo_gateway.bank.executed_count() == 2


def test_the_skip_names_the_paid_box_and_where_it_went(rt: Runtime, monthly: Subscription) -> None:
    skip(rt, monthly, "2027-03")
    row = rt.session.execute(sa.select(BoxSkip)).scalar_one()
    box = rt.session.execute(sa.select(Box)).scalar_one()
    assert row.moved_box_id == box.id
    assert row.moved_to_id == box.cycle_id != row.cycle_id


def test_a_skip_in_a_prepaid_term_makes_the_term_one_month_longer(
    rt: Runtime, clock: FrozenClock, prepaid: Subscription, demo_gateway: DemoGateway
) -> None:
    assert boxes(rt, prepaid) == ["2027-03", "2027-04", "2027-05"]
    skip(rt, prepaid, "2027-04")
    assert boxes(rt, prepaid) == ["2027-03", "2027-06", "2027-05"]
    run_until(rt, clock, date(2027, 7, 11))
    assert demo_gateway.bank.executed_count() == 1
    assert periods(rt, prepaid)[-1] == ("skipped", "moved_box", "2027-06-12")
    run_until(rt, clock, date(2027, 7, 12))
    assert demo_gateway.bank.executed_count() == 2
    assert boxes(rt, prepaid)[3:] == ["2027-07", "2027-08", "2027-09"]


def test_the_order_of_skips_and_undos_does_not_matter(rt: Runtime, prepaid: Subscription) -> None:
    keys = ["2027-03", "2027-04", "2027-06"]
    for order in itertools.permutations(keys):
        for key in order:
            skip(rt, prepaid, key)
        assert boxes(rt, prepaid) == ["2027-07", "2027-08", "2027-05"], order
        for key in order[:2]:
            undo(rt, prepaid, key)
        left = order[2]
        expected = {
            "2027-03": ["2027-06", "2027-04", "2027-05"],
            "2027-04": ["2027-03", "2027-06", "2027-05"],
            "2027-06": ["2027-03", "2027-04", "2027-05"],
        }
        assert boxes(rt, prepaid) == expected[left], order
        undo(rt, prepaid, left)
        assert boxes(rt, prepaid) == ["2027-03", "2027-04", "2027-05"]


def test_a_box_moved_once_can_move_on(rt: Runtime, monthly: Subscription) -> None:
    skip(rt, monthly, "2027-03")
    skip(rt, monthly, "2027-04")
    assert boxes(rt, monthly) == ["2027-05"]
    undo(rt, monthly, "2027-03")
    assert boxes(rt, monthly) == ["2027-03"]


def test_undo_puts_the_paid_box_back_and_the_next_charge_comes(
    rt: Runtime, clock: FrozenClock, monthly: Subscription, demo_gateway: DemoGateway
) -> None:
    skip(rt, monthly, "2027-03")
    undo(rt, monthly, "2027-03")
    assert boxes(rt, monthly) == ["2027-03"]
    run_until(rt, clock, date(2027, 4, 12))
    assert demo_gateway.bank.executed_count() == 2
    assert boxes(rt, monthly) == ["2027-03", "2027-04"]


def test_an_undone_skip_is_charged_on_its_day(
    rt: Runtime, clock: FrozenClock, monthly: Subscription, demo_gateway: DemoGateway
) -> None:
    skip(rt, monthly, "2027-04")
    assert undo(rt, monthly, "2027-04").charge_on == date(2027, 4, 12)
    run_until(rt, clock, date(2027, 4, 12))
    assert demo_gateway.bank.executed_count() == 2


def test_a_box_can_be_skipped_until_the_last_second_of_its_cut_off(
    rt: Runtime, clock: FrozenClock, monthly: Subscription
) -> None:
    clock.set(datetime(2027, 3, 11, 22, 59, 59, tzinfo=UTC))
    skip(rt, monthly, "2027-03")
    undo(rt, monthly, "2027-03")
    clock.set(datetime(2027, 3, 11, 23, 0, 0, tzinfo=UTC))
    with pytest.raises(BoxTooLate) as refused:
        skip(rt, monthly, "2027-03")
    assert refused.value.params["next_cutoff_on"] == date(2027, 4, 11)
    assert boxes(rt, monthly) == ["2027-03"]


def test_a_skip_cannot_be_taken_back_after_the_cut_off(
    rt: Runtime, clock: FrozenClock, monthly: Subscription
) -> None:
    skip(rt, monthly, "2027-03")
    clock.set(datetime(2027, 3, 12, 9, 0, tzinfo=UTC))
    with pytest.raises(BoxTooLate):
        undo(rt, monthly, "2027-03")
    assert boxes(rt, monthly) == ["2027-04"]


def test_a_skip_whose_period_has_begun_cannot_be_taken_back(
    rt: Runtime, clock: FrozenClock
) -> None:
    group = make_group(rt, cutoff_days=0, lock_days=5, ship_days=8)
    sub = make_subscription(rt, plan=make_plan(rt, group=group))
    skip(rt, sub, "2027-04")
    run_until(rt, clock, date(2027, 4, 12))
    with pytest.raises(SkipDone):
        undo(rt, sub, "2027-04")


def test_a_second_click_changes_nothing(rt: Runtime, monthly: Subscription) -> None:
    assert skip(rt, monthly, "2027-03").changed
    again = skip(rt, monthly, "2027-03")
    assert not again.changed
    assert again.moved_to_on == date(2027, 4, 19)
    assert rt.session.scalar(sa.select(sa.func.count()).select_from(BoxSkip)) == 1
    rt.session.rollback()
    assert undo(rt, monthly, "2027-03").changed
    assert not undo(rt, monthly, "2027-03").changed


def test_a_skip_makes_a_worker_that_looked_before_look_again(
    rt: Runtime, monthly: Subscription
) -> None:
    before = rt.session.get(Subscription, monthly.id)
    assert before is not None
    version = before.version
    rt.session.rollback()
    skip(rt, monthly, "2027-04")
    rt.session.expire_all()
    after = rt.session.get(Subscription, monthly.id)
    assert after is not None
    assert after.version == version + 1


def test_a_skip_after_the_worker_claimed_the_row_still_counts(
    rt: Runtime, clock: FrozenClock, demo_gateway: DemoGateway
) -> None:
    group = make_group(rt, cutoff_days=0, lock_days=5, ship_days=8)
    sub = make_subscription(rt, plan=make_plan(rt, group=group))
    run_until(rt, clock, date(2027, 4, 11))
    failpoints.arm("renewal.after_claim:raise")
    try:
        with pytest.raises(FailpointReached):
            run_until(rt, clock, date(2027, 4, 12))
    finally:
        failpoints.arm("")
        rt.session.rollback()
    skip(rt, sub, "2027-04")
    clock.advance(hours=1)
    run_renewals(rt)
    assert demo_gateway.bank.executed_count() == 1
    assert periods(rt, sub)[-1] == ("skipped", "skip", "2027-04-12")


def test_clicks_in_several_tabs_at_once_make_one_skip(
    app: Flask, rt: Runtime, monthly: Subscription
) -> None:
    march = cycle(rt, "2027-03")

    def click(_: int) -> bool:
        with app.app_context():
            try:
                return skip_box(rt, monthly.customer_id or 0, monthly.public_id, march).changed
            finally:
                rt.session.remove()

    with ThreadPoolExecutor(4) as pool:
        changed = list(pool.map(click, range(4)))
    assert sorted(changed) == [False, False, False, True]
    assert boxes(rt, monthly) == ["2027-04"]


def test_a_box_behind_the_end_cannot_be_skipped(rt: Runtime, monthly: Subscription) -> None:
    rt.session.execute(sa.update(Subscription).values(cancel_on=date(2027, 4, 12)))
    rt.session.commit()
    with pytest.raises(NothingToSkip):
        skip(rt, monthly, "2027-05")
    skip(rt, monthly, "2027-03")
    assert boxes(rt, monthly) == ["2027-04"]


def test_another_customers_subscription_is_not_there(rt: Runtime, monthly: Subscription) -> None:
    stranger = make_customer(rt)
    with pytest.raises(NotFound):
        skip_box(rt, stranger.id, monthly.public_id, cycle(rt, "2027-03"))
    with pytest.raises(NotFound):
        skip_box(rt, monthly.customer_id or 0, monthly.public_id, "cyc_nothing")


def test_boxes_that_nobody_marked_shipped_do_not_hide_those_to_come(
    rt: Runtime, clock: FrozenClock, monthly: Subscription
) -> None:
    for _ in range(7):
        run_until(rt, clock, rt.today() + timedelta(days=30))
        rt.session.execute(sa.update(Box).values(state=BoxState.EXPORTED))
        rt.session.commit()
    change = skip(rt, monthly, "2027-11")
    assert change.charge_on == date(2027, 11, 12)


def test_a_box_locked_a_moment_ago_is_not_moved(rt: Runtime) -> None:
    sub = make_subscription(rt)
    first = boxes(rt, sub)
    rt.session.execute(sa.update(table_of(Box)).values(state=BoxState.LOCKED))
    rt.session.commit()
    with pytest.raises(BoxTooLate):
        skip_box(rt, sub.customer_id or 0, sub.public_id, cycle(rt, first[0] or ""))
    assert boxes(rt, sub) == first


def test_a_box_locked_between_reading_and_moving_makes_the_move_fail(rt: Runtime) -> None:
    sub = make_subscription(rt)
    first = boxes(rt, sub)
    which = table_of(Subscription).c.id == sub.id
    coming = read_coming(rt.session, which, rt.today())[0]
    rt.session.execute(sa.update(table_of(Box)).values(state=BoxState.LOCKED))
    rt.session.commit()
    at = next(row.id for row in coming.cycles.values() if row.key == first[0])
    with pytest.raises(StaleSubscription):
        skip_cycle(rt.session, coming, at, rt.now())
    rt.session.rollback()
    assert boxes(rt, sub) == first
