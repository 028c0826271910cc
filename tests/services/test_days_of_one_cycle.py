"""Other days for one cycle, and whose first box is in it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from storefront.domain.cycle_days import DayProblem
from storefront.models import Box, BoxCycle, CycleGroup, Subscription
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.cycle_days import DaysDoNotFit, NewDays, set_cycle_days
from storefront.services.cycles import plan_ahead
from storefront.services.renewals import run_renewals
from storefront.testing.clock import FrozenClock
from storefront.testing.factories import make_group, make_plan, make_recipe, make_subscription
from tests.support.admin import make_staff


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def group(rt: Runtime) -> CycleGroup:
    return make_group(rt)


def leave_on(rt: Runtime, who: Who, key: str, day: date) -> bool:
    """Let the cycle leave on ``day``, all else as it is."""
    row = rt.session.execute(sa.select(BoxCycle).where(BoxCycle.key == key)).scalar_one()
    ref, cutoff, lock = row.public_id, row.cutoff_on, row.lock_on
    rt.session.rollback()
    return set_cycle_days(rt, who, ref, NewDays(cutoff, lock, day, day + timedelta(days=1)))


def refused(rt: Runtime, who: Who, key: str, day: date) -> DayProblem:
    with pytest.raises(DaysDoNotFit) as error:
        leave_on(rt, who, key, day)
    rt.session.rollback()
    return error.value.problem


def pays_on(rt: Runtime) -> date:
    row = rt.session.execute(sa.select(Subscription.anchor_on, Subscription.next_on)).one()
    rt.session.rollback()
    return max(row.anchor_on, row.next_on)


def first_cycle(rt: Runtime) -> str:
    query = sa.select(BoxCycle.key).join(Box, Box.cycle_id == BoxCycle.id).order_by(Box.id)
    key = rt.session.scalars(query).one()
    rt.session.rollback()
    return key


def weekday(day: date) -> date:
    """Nothing leaves on a Sunday."""
    return day + timedelta(days=1) if day.isoweekday() == 7 else day


def test_the_first_box_behind_a_trial_leaves_before_the_second_payment(
    rt: Runtime, clock: FrozenClock, who: Who, group: CycleGroup
) -> None:
    plan = make_plan(rt, group=group, trial_days=14)
    make_recipe(rt, plan)
    make_subscription(rt, plan=plan)
    clock.advance(days=(pays_on(rt) - rt.today()).days)
    plan_ahead(rt)
    run_renewals(rt)
    again = pays_on(rt)
    late = weekday(again + timedelta(days=1))
    key = first_cycle(rt)
    assert refused(rt, who, key, late) is DayProblem.PAID_BEFORE
    assert leave_on(rt, who, key, weekday(again - timedelta(days=3)))


def test_a_first_box_that_the_end_of_a_trial_will_bring_leaves_before_the_second_payment(
    rt: Runtime, clock: FrozenClock, who: Who, group: CycleGroup
) -> None:
    make_subscription(rt, plan=make_plan(rt, group=group, trial_days=30))
    # The first payment joins April; the next one is due on 12 May at most.
    first = pays_on(rt)
    assert date(2027, 3, 12) < first <= date(2027, 4, 12)
    assert refused(rt, who, "2027-04", date(2027, 5, 14)) is DayProblem.PAID_BEFORE
    assert leave_on(rt, who, "2027-04", date(2027, 4, 20))
