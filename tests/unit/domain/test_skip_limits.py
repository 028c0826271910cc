"""How often a box may be skipped: in a row, in a year, and how long before the cut-off."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.boxes import PaidBox, Standing, project
from storefront.domain.cycles import CycleRhythm, CycleSlot, plan_cycles
from storefront.domain.periods import Interval
from storefront.domain.skip_limits import SkipLimits, SkipRefusal, SkipRoom, room_for_skips

MONTH, WEEK = Interval("month"), Interval("week")
TODAY = date(2027, 3, 2)


def slots(rhythm: CycleRhythm, until: date = date(2029, 1, 1)) -> tuple[CycleSlot, ...]:
    planned = plan_cycles(rhythm, date(2027, 3, 1), until)
    return tuple(
        CycleSlot(number, one.charge_on, one.cutoff_on, one.lock_on, one.ship_from)
        for number, one in enumerate(planned, 1)
    )


MONTHLY = slots(CycleRhythm(MONTH, 12, date(2027, 3, 1)))
PACKED_WEEKLY = slots(CycleRhythm(WEEK, None, date(2027, 3, 3), 1, 0, 1))


def standing(skipped: set[int], cycles: tuple[CycleSlot, ...] = MONTHLY) -> Standing:
    """The box of March is paid, the next payment is on 12 April."""
    first = cycles[0]
    return Standing(
        cycles,
        MONTH,
        MONTH,
        date(2027, 4, 12) if cycles is MONTHLY else date(2027, 4, 3),
        paid=(PaidBox(1, first),),
        taken=frozenset({first.id}),
        skipped=frozenset(skipped),
    )


def room(skipped: set[int], limits: SkipLimits, today: date = TODAY, **kept: Any) -> SkipRoom:
    stands = standing(skipped, **kept)
    return room_for_skips(stands, limits, project(stands, 6, today), today)


def refusal(
    skipped: set[int], cycle: int, limits: SkipLimits, today: date = TODAY
) -> SkipRefusal | None:
    return room(skipped, limits, today).refusal(MONTHLY[cycle - 1])


def test_without_limits_any_box_may_be_skipped():
    assert refusal({2, 3, 4, 5}, 6, SkipLimits()) is None


@pytest.mark.parametrize(
    ("skipped", "cycle", "why"),
    [
        (set(), 2, None),
        ({2}, 3, None),
        ({2, 3}, 4, SkipRefusal.IN_ROW),
        ({2, 4}, 3, SkipRefusal.IN_ROW),
        ({3, 4}, 2, SkipRefusal.IN_ROW),
        ({2, 3}, 5, None),
        ({2, 5}, 4, None),
    ],
)
def test_boxes_in_a_row_are_counted_from_both_sides(skipped, cycle, why):
    assert refusal(skipped, cycle, SkipLimits(in_row=2)) == why


def test_none_at_all_is_a_limit_too():
    assert refusal(set(), 2, SkipLimits(in_row=0)) is SkipRefusal.IN_ROW
    assert refusal(set(), 2, SkipLimits(per_year=0)) is SkipRefusal.PER_YEAR


def test_a_year_is_that_of_the_charge_day():
    # Cycle 10 is charged in December 2027, cycle 11 in January 2028.
    limits = SkipLimits(per_year=2)
    assert refusal({2, 4}, 10, limits) is SkipRefusal.PER_YEAR
    assert refusal({2, 4}, 11, limits) is None
    assert refusal({2, 11}, 10, limits) is None


def test_the_notice_ends_so_many_days_before_the_cut_off():
    limits = SkipLimits(notice_days=3)
    cutoff = MONTHLY[1].cutoff_on
    assert refusal(set(), 2, limits, cutoff - timedelta(days=3)) is None
    assert refusal(set(), 2, limits, cutoff - timedelta(days=2)) is SkipRefusal.NOTICE


def test_the_first_box_still_possible_is_the_one_behind_the_row():
    # March itself would make three in a row.
    assert room({2, 3}, SkipLimits(in_row=2)).first_open() == MONTHLY[4]


def test_where_nothing_may_be_skipped_no_box_is_named():
    assert room(set(), SkipLimits(per_year=0)).first_open() is None


def test_packing_days_without_a_box_neither_count_nor_break_a_row():
    # Packed every week, sent once a month: between two of its boxes lie three empty weeks.
    planned = room(set(), SkipLimits(in_row=1), cycles=PACKED_WEEKLY)
    second, third = (box.cycle for box in planned.ahead[1:3])
    assert second
    assert third
    assert third.id - second.id > 1
    left = room({second.id}, SkipLimits(in_row=1), cycles=PACKED_WEEKLY)
    assert left.row_with(third) == 2


@given(st.sets(st.integers(2, 12), max_size=5), st.integers(0, 3), st.integers(0, 4))
def test_taking_a_skip_back_never_makes_too_many(skipped, in_row, per_year):
    """What is left of a set that keeps to the limits keeps to them."""
    limits = SkipLimits(in_row, per_year)

    def keeps(chosen: frozenset[int]) -> bool:
        return all(refusal(set(chosen) - {one}, one, limits) is None for one in chosen)

    whole = frozenset(skipped)
    if keeps(whole):
        assert all(keeps(whole - {one}) for one in whole)


@given(st.sets(st.integers(2, 9), min_size=1, max_size=3), st.integers(1, 3))
def test_whether_all_may_be_skipped_does_not_depend_on_the_order(wanted, in_row):
    limits = SkipLimits(in_row, 3)

    def all_pass(order: tuple[int, ...]) -> bool:
        done: set[int] = set()
        for one in order:
            if refusal(done, one, limits) is not None:
                return False
            done.add(one)
        return True

    assert len({all_pass(order) for order in permutations(sorted(wanted))}) == 1
