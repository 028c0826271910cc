"""Days on which nothing leaves: they move ship days, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from datetime import date, timedelta
from random import Random
from typing import Protocol

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import CycleState
from storefront.domain.cycles import SUNDAYS, DaysOff
from storefront.domain.periods import Interval
from storefront.models import AuditEntry, Box, BoxCycle, CycleGroup, Subscription
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.cycles import plan_ahead
from storefront.services.days_off import NoDayLeft, PaidBefore, days_off, set_days_off
from storefront.services.groups import GroupDraft, add_group
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_group, make_plan, make_subscription
from tests.support.admin import make_staff

#: Charged on the 25th, packed until the 28th, left on the 31st of long months.
LATE_IN_THE_MONTH = {"charge_day": 25, "cutoff_days": 1, "lock_days": 3, "ship_days": 6}
LAST_OF_MARCH = date(2027, 3, 31)
SUNDAY = (7,)


class Close(Protocol):
    """Closes the shop on days, as staff do; returns how many rounds moved."""

    def __call__(self, *days: date, weekdays: Collection[int] = SUNDAY) -> int: ...


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def close(rt: Runtime, who: Who) -> Close:
    def act(*days: date, weekdays: Collection[int] = SUNDAY) -> int:
        return set_days_off(rt, who, days, weekdays).moved

    return act


def ship_days(rt: Runtime, group: CycleGroup) -> dict[str, date]:
    return {key: row.ship_from for key, row in cycles(rt, group).items()}


def cycles(rt: Runtime, group: CycleGroup) -> dict[str, sa.Row[tuple[object, ...]]]:
    table = table_of(BoxCycle)
    rows = rt.session.execute(sa.select(table).where(table.c.group_id == group.id)).all()
    rt.session.rollback()
    return {row.key: row for row in rows}


def test_a_shop_begins_with_sundays_off(rt: Runtime) -> None:
    assert days_off(rt) == SUNDAYS


def test_a_holiday_moves_the_ship_day_and_nothing_else(rt: Runtime, close: Close) -> None:
    group = make_group(rt, **LATE_IN_THE_MONTH)
    before = cycles(rt, group)
    assert close(LAST_OF_MARCH) == 1
    after = cycles(rt, group)
    march, now = before["2027-03"], after["2027-03"]
    assert (march.ship_from, march.ship_to) == (LAST_OF_MARCH, date(2027, 4, 2))
    assert (now.ship_from, now.ship_to) == (date(2027, 4, 1), date(2027, 4, 3))
    kept = ("id", "key", "charge_on", "cutoff_on", "lock_on", "state")
    for key, row in before.items():
        assert [getattr(row, name) for name in kept] == [getattr(after[key], name) for name in kept]
        assert key == "2027-03" or row.ship_from == after[key].ship_from


def test_taken_back_the_rounds_leave_as_before(rt: Runtime, close: Close) -> None:
    group = make_group(rt, **LATE_IN_THE_MONTH)
    before = ship_days(rt, group)
    moved = close(LAST_OF_MARCH, weekdays=(6, 7))
    assert moved > 1
    assert all(day.isoweekday() < 6 for day in ship_days(rt, group).values())
    assert close() == moved
    assert ship_days(rt, group) == before


def test_a_locked_round_leaves_as_it_was_planned(rt: Runtime, close: Close) -> None:
    group = make_group(rt, **LATE_IN_THE_MONTH)
    march = table_of(BoxCycle).c.key == "2027-03"
    rt.session.execute(sa.update(table_of(BoxCycle)).where(march).values(state=CycleState.LOCKED))
    rt.session.commit()
    assert close(LAST_OF_MARCH) == 0
    assert ship_days(rt, group)["2027-03"] == LAST_OF_MARCH


def test_a_week_without_a_day_to_leave_is_refused(rt: Runtime, close: Close) -> None:
    with pytest.raises(NoDayLeft):
        close(weekdays=range(1, 8))
    assert days_off(rt) == SUNDAYS


def test_the_same_list_again_changes_nothing_and_is_not_noted_again(
    rt: Runtime, who: Who, close: Close
) -> None:
    close(LAST_OF_MARCH)
    assert not set_days_off(rt, who, [LAST_OF_MARCH, LAST_OF_MARCH], SUNDAY).changed
    noted = sa.select(sa.func.count()).where(AuditEntry.action == "days_off.changed")
    assert rt.session.scalar(noted) == 1
    rt.session.rollback()


def test_rounds_made_later_and_new_groups_know_the_days_off(
    rt: Runtime, who: Who, close: Close
) -> None:
    close(date(2027, 12, 18), date(2027, 3, 18), weekdays=(6, 7))
    group = make_group(rt, cycles=1)
    plan_ahead(rt)
    # 18 December is a Saturday, the 19th a Sunday.
    assert ship_days(rt, group)["2027-12"] == date(2027, 12, 20)
    add_group(rt, who, GroupDraft("new", "New", Interval("month"), 12, rt.today()))
    added = rt.session.scalars(sa.select(CycleGroup).where(CycleGroup.code == "new")).one()
    rt.session.expunge(added)
    rt.session.rollback()
    assert ship_days(rt, added)["2027-03"] == date(2027, 3, 19)
    assert days_off(rt) == DaysOff(frozenset({date(2027, 12, 18), date(2027, 3, 18)}), {6, 7})


@pytest.mark.parametrize(("count", "amount"), [(1, 2600), (3, 7410)])
def test_a_ship_day_moved_over_a_month_end_changes_no_periods_number_of_boxes(
    rt: Runtime, clock: FrozenClock, count: int, amount: int, close: Close
) -> None:
    group = make_group(rt, **LATE_IN_THE_MONTH)
    plan = make_plan(rt, group=group, count=count, amount_minor=amount)
    sub = make_subscription(rt, plan=plan)
    # March's boxes leave on 1 April now, May's on 1 June.
    assert close(LAST_OF_MARCH, date(2027, 5, 31)) == 2
    while rt.today() < date(2027, 6, 26):
        clock.advance(days=1)
        run_renewals(rt)
    box, cycle = table_of(Box), table_of(BoxCycle)
    rows = rt.session.execute(
        sa.select(box.c.period_id, cycle.c.key)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.subscription_id == sub.id)
        .order_by(box.c.id)
    ).all()
    rt.session.rollback()
    assert set(Counter(row.period_id for row in rows).values()) == {count}
    wanted = [f"2027-{month:02}" for month in range(3, 3 + len(rows))]
    assert [row.key for row in rows] == wanted
    assert len(rows) == {1: 4, 3: 6}[count]


def test_the_boxes_of_a_moved_round_stay_in_it(rt: Runtime, close: Close) -> None:
    group = make_group(rt, **LATE_IN_THE_MONTH)
    sub: Subscription = make_subscription(rt, plan=make_plan(rt, group=group))
    seat = sa.select(Box.cycle_id).where(Box.subscription_id == sub.id)
    before = rt.session.scalars(seat).one()
    rt.session.rollback()
    close(LAST_OF_MARCH)
    assert rt.session.scalars(seat).one() == before
    rt.session.rollback()


def test_days_off_that_let_somebody_pay_again_before_the_first_box_are_refused(
    rt: Runtime, close: Close
) -> None:
    group = make_group(rt)
    make_subscription(rt, plan=make_plan(rt, group=group))
    before = ship_days(rt, group)
    # March's first box leaves on the 18th; the second payment is on 12 April.
    holidays = [date(2027, 3, 18) + timedelta(days=n) for n in range(30)]
    with pytest.raises(PaidBefore) as refused:
        close(*holidays)
    rt.session.rollback()
    assert (refused.value.ships_on, refused.value.pays_on) == (before["2027-03"], date(2027, 4, 12))
    assert (days_off(rt), ship_days(rt, group)) == (SUNDAYS, before)
    # Up to the day of the payment it is well.
    assert close(*holidays[:25]) == 1
    assert ship_days(rt, group)["2027-03"] == date(2027, 4, 12)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_days_are_saved_no_second_payment_comes_before_a_first_box(
    rt: Runtime, close: Close, seed: int
) -> None:
    group, chance = make_group(rt), Random(seed)
    make_subscription(rt, plan=make_plan(rt, group=group))
    for _ in range(5):
        start = date(2027, 3, 1) + timedelta(days=chance.randrange(40))
        days = [start + timedelta(days=n) for n in range(chance.randrange(1, 45))]
        with suppress(PaidBefore):
            close(*days, weekdays=chance.sample(range(1, 8), chance.randrange(4)))
        rt.session.rollback()
        assert ship_days(rt, group)["2027-03"] <= date(2027, 4, 12)
