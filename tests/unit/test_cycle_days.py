"""The days one cycle may be given by hand."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.cycle_days import Around, DayProblem, Days, problem_of_days

TODAY = date(2027, 3, 2)


def day(number: int, month: int = 3) -> date:
    return date(2027, month, number)


MARCH = Days(day(12), day(11), day(15), day(18), day(20))
FEBRUARY = Days(day(12, 2), day(11, 2), day(15, 2), day(18, 2), day(20, 2))
APRIL = Days(day(12, 4), day(11, 4), day(15, 4), day(19, 4), day(21, 4))
FREE = Around(FEBRUARY, APRIL, None, frozenset(), frozenset({7}))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({}, None),
        ({"cutoff_on": day(5)}, None),
        ({"lock_on": day(16), "ship_from": day(19), "ship_to": day(19)}, None),
        ({"cutoff_on": day(1)}, DayProblem.CUTOFF_OVER),
        ({"cutoff_on": day(16)}, DayProblem.CUTOFF_AFTER_LOCK),
        ({"lock_on": day(11)}, DayProblem.LOCK_BEFORE_CHARGE),
        ({"lock_on": day(19)}, DayProblem.LOCK_AFTER_SHIP),
        ({"ship_to": day(17)}, DayProblem.SHIP_BACKWARDS),
        ({"ship_from": day(21), "ship_to": day(22)}, DayProblem.DAY_OFF),
        ({"ship_from": day(19, 4), "ship_to": day(22, 4)}, DayProblem.AFTER_OTHER),
        ({"cutoff_on": day(14, 4), "lock_on": day(15, 4)}, DayProblem.LOCK_AFTER_SHIP),
        ({"sells_from": day(4), "sells_until": day(4)}, None),
        ({"sells_from": day(5), "sells_until": day(4)}, DayProblem.SALES_BACKWARDS),
        ({"sells_until": day(12)}, DayProblem.SALES_AFTER_CUTOFF),
        ({"sells_from": day(12)}, DayProblem.SALES_AFTER_CUTOFF),
    ],
)
def test_days_are_refused_with_the_reason(changed: dict[str, date], problem: DayProblem | None):
    assert problem_of_days(MARCH, replace(MARCH, **changed), FREE, TODAY) is problem


def test_an_earlier_cut_off_needs_no_new_window():
    sold = replace(MARCH, sells_until=day(9))
    earlier = replace(sold, cutoff_on=day(5))
    assert problem_of_days(sold, earlier, FREE, TODAY) is None


def test_a_cut_off_before_the_first_day_of_sale_is_refused():
    sold = replace(MARCH, sells_from=day(6))
    at_once = replace(sold, cutoff_on=day(6))
    assert problem_of_days(sold, at_once, FREE, TODAY) is None
    earlier = replace(sold, cutoff_on=day(5))
    assert problem_of_days(sold, earlier, FREE, TODAY) is DayProblem.CUTOFF_BEFORE_SALES
    both = replace(earlier, sells_from=day(4))
    assert problem_of_days(sold, both, FREE, TODAY) is None


def test_a_cut_off_that_is_over_stays():
    later = replace(MARCH, cutoff_on=day(14))
    assert problem_of_days(MARCH, later, FREE, day(13)) is DayProblem.CUTOFF_OVER
    moved = replace(MARCH, ship_from=day(19))
    assert problem_of_days(MARCH, moved, FREE, day(13)) is None


def test_payments_on_days_of_their_own_keep_the_lock():
    own = replace(MARCH, charge_on=None)
    wanted = replace(own, lock_on=day(16))
    assert problem_of_days(own, wanted, FREE, TODAY) is DayProblem.LOCK_FIXED
    assert problem_of_days(own, replace(own, ship_from=day(19)), FREE, TODAY) is None


def test_a_first_box_leaves_before_the_second_payment():
    pays = replace(FREE, next_payment_on=day(19))
    assert problem_of_days(MARCH, replace(MARCH, ship_from=day(19)), pays, TODAY) is None
    late = replace(MARCH, ship_from=day(20))
    assert problem_of_days(MARCH, late, pays, TODAY) is DayProblem.PAID_BEFORE


def test_a_cycle_stays_behind_the_one_before():
    february = replace(FEBRUARY, cutoff_on=day(6))
    around = replace(FREE, before=february)
    wanted = replace(MARCH, cutoff_on=day(6))
    assert problem_of_days(MARCH, wanted, around, TODAY) is DayProblem.BEFORE_OTHER


@given(st.lists(st.integers(-40, 40), min_size=4, max_size=4))
def test_whatever_is_taken_keeps_the_days_and_the_cycles_in_order(moves: list[int]):
    cut, lock, ship, end = (timedelta(days=number) for number in moves)
    wanted = Days(
        MARCH.charge_on,
        MARCH.cutoff_on + cut,
        MARCH.lock_on + lock,
        MARCH.ship_from + ship,
        MARCH.ship_to + end,
    )
    if problem_of_days(MARCH, wanted, FREE, TODAY) is not None:
        return
    assert TODAY <= wanted.cutoff_on <= wanted.lock_on <= wanted.ship_from <= wanted.ship_to
    assert day(12) <= wanted.lock_on
    for name in ("cutoff_on", "lock_on", "ship_from"):
        assert getattr(FEBRUARY, name) < getattr(wanted, name) < getattr(APRIL, name)
