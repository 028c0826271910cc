"""Box cycles: dates in order, keys that stay, holidays that only move the ship day."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.cycles import CycleDates, CycleRhythm, DaysOff, next_working_day, plan_cycles
from storefront.domain.periods import Interval

MONTH, WEEK = Interval("month"), Interval("week")
MONTHLY = CycleRhythm(MONTH, 12, date(2027, 1, 1))
ROLLING = CycleRhythm(WEEK, None, date(2027, 3, 1), 2, 0, 1, 1)
YEAR = (date(2027, 1, 1), date(2028, 1, 1))
HOLIDAYS = st.frozensets(st.dates(*YEAR), max_size=60)
RHYTHMS = st.sampled_from(
    [
        MONTHLY,
        ROLLING,
        CycleRhythm(MONTH, 31, date(2027, 1, 5)),
        CycleRhythm(Interval("month", 2), 1, date(2026, 12, 24), 5, 4, 4, 0),
        CycleRhythm(WEEK, 3, date(2027, 1, 1), -1, 1, 2),
        CycleRhythm(Interval("day", 10), 1, date(2027, 1, 3)),
    ]
)


def test_a_month_has_its_five_days():
    (march,) = plan_cycles(MONTHLY, date(2027, 3, 1), date(2027, 4, 1))

    assert march == CycleDates(
        key="2027-03",
        charge_on=date(2027, 3, 12),
        cutoff_on=date(2027, 3, 11),
        lock_on=date(2027, 3, 15),
        ship_from=date(2027, 3, 18),
        ship_to=date(2027, 3, 20),
    )


def test_the_31st_is_charged_on_the_last_day_of_short_months():
    cycles = plan_cycles(CycleRhythm(MONTH, 31, date(2027, 1, 1)), *YEAR)

    assert [cycle.charge_on.day for cycle in cycles] == [
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    ]  # fmt: skip
    assert [cycle.key for cycle in cycles] == [f"2027-{month:02}" for month in range(1, 13)]


def test_a_weekly_group_is_charged_on_its_weekday():
    cycles = plan_cycles(CycleRhythm(WEEK, 2, date(2027, 3, 1)), date(2027, 3, 1), date(2027, 4, 1))

    assert [cycle.key for cycle in cycles][:2] == ["2027-03-02", "2027-03-09"]
    assert {cycle.charge_on.isoweekday() for cycle in cycles} == {2}


def test_a_rolling_group_has_a_cycle_per_packing_day_and_no_charge_day():
    first, second, *_ = plan_cycles(ROLLING, date(2027, 3, 1), date(2027, 4, 1))

    assert (first.key, first.charge_on) == ("2027-03-01", None)
    assert (second.cutoff_on, second.lock_on) == (date(2027, 3, 6), date(2027, 3, 8))
    assert second.ship_from == date(2027, 3, 9)


def test_a_ship_day_moves_off_sundays_and_holidays():
    easter = {date(2027, 3, 26), date(2027, 3, 29)}

    assert next_working_day(date(2027, 3, 26), DaysOff(easter)) == date(2027, 3, 27)
    assert next_working_day(date(2027, 3, 28), DaysOff(easter)) == date(2027, 3, 30)


@given(RHYTHMS, HOLIDAYS)
def test_holidays_move_ship_days_only(rhythm, holidays):
    plain = plan_cycles(rhythm, *YEAR)
    moved = plan_cycles(rhythm, *YEAR, DaysOff(holidays))

    def kept(cycles):
        return [(c.key, c.charge_on, c.cutoff_on, c.lock_on) for c in cycles]

    assert kept(moved) == kept(plain)
    for before, after in zip(plain, moved, strict=True):
        assert after.ship_from >= before.ship_from
        assert after.ship_from not in holidays
        assert after.ship_from.weekday() != 6
    assert [c.ship_from for c in moved] == sorted(c.ship_from for c in moved)


@given(RHYTHMS, st.dates(*YEAR), st.integers(0, 200), st.integers(0, 200))
def test_planning_in_parts_finds_the_same_cycles(rhythm, start, first, second):
    middle = start + timedelta(days=first)
    end = middle + timedelta(days=second)

    parts = plan_cycles(rhythm, start, middle) + plan_cycles(rhythm, middle, end)

    assert parts == plan_cycles(rhythm, start, end)
    assert len({cycle.key for cycle in parts}) == len(parts)


@pytest.mark.parametrize("change", [(1, 3, 2), (1, -1, 5), (-4, 3, 6)])
def test_days_out_of_order_are_refused(change):
    with pytest.raises(ValueError, match="before"):
        CycleRhythm(MONTH, 12, date(2027, 1, 1), *change)
    with pytest.raises(ValueError, match="out of order"):
        CycleDates("k", date(2027, 3, 9), *(date(2027, 3, day) for day in (1, 8, 9, 9)))


@pytest.mark.parametrize(("interval", "day"), [(MONTH, 32), (MONTH, 0), (WEEK, 8)])
def test_a_charge_day_that_does_not_exist_is_refused(interval, day):
    with pytest.raises(ValueError, match="charge day"):
        CycleRhythm(interval, day, date(2027, 1, 1))
