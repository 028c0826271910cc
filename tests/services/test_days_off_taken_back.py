"""Days off that are taken back leave no trace, whatever happened to the rhythm."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.rhythm_changes import Kept
from storefront.models import Box, BoxCycle, CycleGroup
from storefront.models.base import table_of
from storefront.operations.audit import Who
from storefront.runtime import Runtime
from storefront.services.cycle_days import NewDays, set_cycle_days
from storefront.services.days_off import PaidBefore, set_days_off
from storefront.services.group_rhythm import RhythmDraft, change_group, preview_group
from storefront.testing.factories import make_group, make_plan, make_subscription
from tests.support.admin import make_staff

SUNDAY = (7,)
#: Left on the 18th before, and on the 31st or 1st after: the new days come past the old ones.
MUCH_LATER = RhythmDraft("Later boxes", 1, 3, 19, 2)
#: Left on the 18th before and on the 19th after.
A_DAY_LATER = RhythmDraft("Later boxes", 1, 3, 7, 2)


@pytest.fixture
def who(rt: Runtime) -> Who:
    return make_staff(rt)


@pytest.fixture
def group(rt: Runtime) -> CycleGroup:
    """A group in whose first six cycles paid boxes are; the others follow another rhythm."""
    group = make_group(rt)
    make_subscription(rt, plan=make_plan(rt, group=group, count=6, amount_minor=12000))
    return group


def days(rt: Runtime, group: CycleGroup) -> dict[str, tuple[date, date]]:
    table = table_of(BoxCycle)
    rows = rt.session.execute(sa.select(table).where(table.c.group_id == group.id)).all()
    rt.session.rollback()
    return {row.key: (row.ship_from, row.ship_to) for row in rows}


def change(rt: Runtime, who: Who, group: CycleGroup, draft: RhythmDraft) -> None:
    shown = preview_group(rt, group.public_id, draft)
    assert change_group(rt, who, group.public_id, draft, shown.version, shown.seen)


def forget(rt: Runtime) -> None:
    """Let cycles be as a release left them that noted no planned day."""
    rt.session.execute(sa.update(table_of(BoxCycle)).values(planned_from=None))
    rt.session.commit()


def a_month_from(day: date) -> list[date]:
    return [day + timedelta(days=n) for n in range(30)]


def test_a_holiday_taken_back_gives_a_kept_cycle_its_day_back(
    rt: Runtime, who: Who, group: CycleGroup
) -> None:
    change(rt, who, group, MUCH_LATER)
    before = days(rt, group)
    for holidays in ([date(2027, 4, 19)], a_month_from(date(2027, 5, 18))):
        set_days_off(rt, who, holidays, SUNDAY)
        assert days(rt, group) != before
        set_days_off(rt, who, [], SUNDAY)
        assert days(rt, group) == before


def test_a_holiday_of_before_the_rhythm_taken_back_after_it_gives_the_old_day_back(
    rt: Runtime, who: Who, group: CycleGroup
) -> None:
    before = days(rt, group)
    set_days_off(rt, who, [date(2027, 6, 18)], SUNDAY)
    forget(rt)
    change(rt, who, group, A_DAY_LATER)
    assert days(rt, group)["2027-06"][0] == date(2027, 6, 19)
    set_days_off(rt, who, [], SUNDAY)
    assert days(rt, group)["2027-06"] == before["2027-06"]


def test_a_ship_day_typed_by_hand_stays_and_another_cut_off_alone_keeps_none(
    rt: Runtime, who: Who, group: CycleGroup
) -> None:
    table = table_of(BoxCycle)
    chosen = sa.select(table).where(table.c.key.in_(["2027-04", "2027-05"])).order_by(table.c.key)
    april, may = rt.session.execute(chosen).all()
    rt.session.rollback()
    typed = april.ship_from + timedelta(days=1)
    by_hand = NewDays(april.cutoff_on, april.lock_on, typed, april.ship_to)
    assert set_cycle_days(rt, who, april.public_id, by_hand)
    earlier = may.cutoff_on - timedelta(days=1)
    by_hand = NewDays(earlier, may.lock_on, may.ship_from, may.ship_to)
    assert set_cycle_days(rt, who, may.public_id, by_hand)
    before = days(rt, group)
    set_days_off(rt, who, [april.ship_from, may.ship_from], SUNDAY)
    after = days(rt, group)
    assert (after["2027-04"], after["2027-05"]) == (
        before["2027-04"],
        tuple(day + timedelta(days=1) for day in before["2027-05"]),
    )
    set_days_off(rt, who, [], SUNDAY)
    assert days(rt, group) == before


def test_a_cycle_that_a_former_release_gave_another_rhythm_keeps_it(
    rt: Runtime, who: Who, group: CycleGroup
) -> None:
    table = table_of(BoxCycle)
    change(rt, who, group, A_DAY_LATER)
    stale = sa.update(table).where(table.c.key == "2027-10")
    rt.session.execute(stale.values(planned_from=date(2027, 10, 18)))
    rt.session.commit()
    before = days(rt, group)
    set_days_off(rt, who, [date(2027, 10, 19)], SUNDAY)
    assert days(rt, group)["2027-10"][0] == date(2027, 10, 20)
    set_days_off(rt, who, [], SUNDAY)
    assert days(rt, group) == before


@pytest.mark.parametrize("seed", range(4))
def test_whatever_days_are_added_and_taken_back_every_cycle_has_its_days_again(
    rt: Runtime, who: Who, group: CycleGroup, seed: int
) -> None:
    chance = Random(seed)
    if seed % 2:
        forget(rt)
    for draft in (None, MUCH_LATER, A_DAY_LATER):
        if draft is not None:
            change(rt, who, group, draft)
        before = days(rt, group)
        for _ in range(3):
            start = date(2027, 3, 19) + timedelta(days=chance.randrange(300))
            holidays = [start + timedelta(days=n) for n in range(chance.randrange(1, 45))]
            # March holds a first box; longer rows there are refused.
            try:
                set_days_off(rt, who, holidays, chance.sample(range(1, 8), chance.randrange(4)))
            except PaidBefore:
                rt.session.rollback()
        set_days_off(rt, who, [], SUNDAY)
        assert days(rt, group) == before


def test_the_first_box_of_a_later_term_promises_its_cycle_to_nobody(
    rt: Runtime, who: Who, group: CycleGroup
) -> None:
    box, cycle = table_of(Box), table_of(BoxCycle)
    seats = sa.select(box.c.id, cycle.c.key).join(cycle, cycle.c.id == box.c.cycle_id)
    first, *_ = rt.session.execute(seats.order_by(cycle.c.lock_on)).all()
    there = sa.select(cycle.c.id).where(cycle.c.key == "2027-09").scalar_subquery()
    regular = (box.c.kind == BoxKind.REGULAR, box.c.state != BoxState.CANCELED)
    rt.session.execute(sa.update(box).where(box.c.id == first.id, *regular).values(cycle_id=there))
    rt.session.commit()
    shown = preview_group(rt, group.public_id, MUCH_LATER)
    kept = {one.round.days.key: one.kept for one in shown.steps}
    # It was skipped behind all others: the first that leaves is April's now.
    assert (kept["2027-04"], kept["2027-09"]) == (Kept.PROMISED, Kept.BOXES)
