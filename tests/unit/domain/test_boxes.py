"""Boxes join cycles: by order, one per cycle, and a skip is one state however it came about."""

from datetime import date, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.boxes import (
    CycleSlot,
    PeriodFate,
    assign_cycles,
    boxes_per_period,
    feed_period,
    first_cycle,
    first_renewal_on,
    move_target,
    next_boundary,
    next_period_kind,
    opening_periods,
    place_boxes,
    slot_for,
)
from storefront.domain.cycles import CycleRhythm, DaysOff, plan_cycles
from storefront.domain.periods import BillingPeriod, Interval, add_interval

MONTH, QUARTER, YEAR, WEEK = (
    Interval("month"),
    Interval("month", 3),
    Interval("year"),
    Interval("week"),
)
NOTHING = frozenset()


def slots(rhythm, start=date(2027, 1, 1), until=date(2029, 1, 1), holidays=NOTHING):
    return shifted(rhythm, DaysOff(holidays), start, until)


def shifted(rhythm, off, start=date(2027, 1, 1), until=date(2029, 1, 1)):
    """The cycles of a shop with these days off."""
    planned = plan_cycles(rhythm, start, until, off)
    return [
        CycleSlot(i, dates.charge_on, dates.cutoff_on, dates.lock_on, dates.ship_from)
        for i, dates in enumerate(planned, start=1)
    ]


#: Charged on the 12th, cut-off the 11th, locked the 15th, shipped the 18th; January is 1.
CALENDAR = slots(CycleRhythm(MONTH, 12, date(2027, 1, 1)))
#: Packed on Mondays: cut-off the Saturday before, locked that day, shipped the day after.
ROLLING = slots(CycleRhythm(WEEK, None, date(2027, 1, 4), 2, 0, 1))
SKIPS = st.frozensets(st.integers(1, 12), max_size=6)


def ids(cycles):
    return [cycle.id if cycle else None for cycle in cycles]


def order(day, billing=MONTH, cycles=CALENDAR):
    first = first_cycle(cycles, day)
    period = BillingPeriod(day, add_interval(day, billing, 1))
    count = boxes_per_period(billing, MONTH)
    return first.id, first_renewal_on(cycles, first, count, period, billing, charge_day=12)


@pytest.mark.parametrize(
    ("billing", "shipping", "count"),
    [
        (MONTH, MONTH, 1),
        (QUARTER, MONTH, 3),
        (YEAR, MONTH, 12),
        (YEAR, QUARTER, 4),
        (Interval("week", 8), Interval("week", 4), 2),
    ],
)
def test_a_period_has_its_number_of_boxes(billing, shipping, count):
    assert boxes_per_period(billing, shipping) == count


@pytest.mark.parametrize(("billing", "shipping"), [(MONTH, WEEK), (QUARTER, Interval("month", 2))])
def test_intervals_that_do_not_fit_are_refused(billing, shipping):
    with pytest.raises(ValueError, match="does not fit"):
        boxes_per_period(billing, shipping)


@pytest.mark.parametrize(
    ("day", "box", "renewal"),
    [
        (date(2027, 3, 5), 3, date(2027, 4, 12)),
        (date(2027, 3, 11), 3, date(2027, 4, 12)),
        (date(2027, 3, 12), 4, date(2027, 5, 12)),
        (date(2027, 3, 13), 4, date(2027, 5, 12)),
    ],
)
def test_an_order_joins_the_first_cycle_it_is_in_time_for(day, box, renewal):
    assert order(day) == (box, renewal)


def test_a_prepaid_order_renews_when_its_boxes_are_used_up():
    assert order(date(2027, 3, 5), QUARTER) == (3, date(2027, 6, 12))
    assert order(date(2027, 3, 13), YEAR) == (4, date(2028, 4, 12))


@pytest.mark.parametrize("known", [3, 4, 6, 12, 24])
def test_the_second_payment_does_not_depend_on_how_many_cycles_are_generated(known):
    month_end = slots(CycleRhythm(MONTH, 31, date(2027, 1, 1)))[:known]
    first = month_end[1]
    period = BillingPeriod(date(2027, 2, 3), date(2028, 2, 3))

    renewal = first_renewal_on(month_end, first, 12, period, YEAR, charge_day=31)

    assert renewal == date(2028, 2, 29)


@given(st.dates(date(2027, 1, 1), date(2027, 11, 30)), st.sampled_from([MONTH, QUARTER]))
def test_the_second_payment_never_precedes_the_first_box_and_no_day_is_lost(day, billing):
    count = boxes_per_period(billing, MONTH)
    for cycles in (CALENDAR, ROLLING):
        first = first_cycle(cycles, day)
        period = BillingPeriod(day, add_interval(day, billing, 1))
        renewal = first_renewal_on(cycles, first, count, period, billing, charge_day=12)
        paid, free = opening_periods(day, billing, renewal)

        assert renewal >= first.ship_from
        assert paid.start == day
        assert (free.end if free else paid.end) == renewal
        assert free is None or free.start == paid.end


def test_the_second_payment_may_come_the_day_after_the_order_if_the_box_leaves_then():
    cycles = slots(CycleRhythm(WEEK, 5, date(2027, 1, 1), -6, 6, 7))
    day = date(2027, 3, 4)
    first = first_cycle(cycles, day)
    period = BillingPeriod(day, date(2027, 3, 11))

    assert (first.charge_on, first.ship_from) == (date(2027, 2, 26), date(2027, 3, 5))
    assert first_renewal_on(cycles, first, 1, period, WEEK) == date(2027, 3, 5)


def test_the_days_up_to_the_charge_day_are_free():
    paid, free = opening_periods(date(2027, 3, 5), MONTH, date(2027, 4, 12))

    assert paid == BillingPeriod(date(2027, 3, 5), date(2027, 4, 5))
    assert free == BillingPeriod(date(2027, 4, 5), date(2027, 4, 12))


def test_a_charge_day_inside_the_first_interval_cuts_it():
    assert opening_periods(date(2027, 3, 14), MONTH, date(2027, 4, 12)) == (
        BillingPeriod(date(2027, 3, 14), date(2027, 4, 12)),
        None,
    )


def test_boxes_join_free_cycles_in_order():
    found = assign_cycles(CALENDAR, {4}, {6}, 3, date(2027, 3, 15))

    assert ids(found) == [3, 5, 7]


def test_cycles_to_come_are_none():
    found = assign_cycles(CALENDAR[:5], NOTHING, NOTHING, 3, date(2027, 4, 1))

    assert ids(found) == [4, 5, None]


def test_a_box_paid_after_its_lock_joins_the_next_cycle():
    in_time = feed_period(
        CALENDAR, NOTHING, NOTHING, 1, date(2027, 4, 12), date(2027, 4, 15), shipping=MONTH
    )
    late = feed_period(
        CALENDAR, NOTHING, NOTHING, 1, date(2027, 4, 12), date(2027, 4, 16), shipping=MONTH
    )

    assert (ids(in_time), ids(late)) == ([4], [5])
    assert next_period_kind(CALENDAR[4], {5}, NOTHING) is PeriodFate.SKIPPED


def test_rolling_boxes_of_a_prepaid_term_are_a_shipping_interval_apart():
    found = assign_cycles(
        ROLLING, NOTHING, NOTHING, 3, date(2027, 3, 3), start=date(2027, 3, 3), shipping=MONTH
    )

    assert [cycle.lock_on.isoformat() for cycle in found] == [
        "2027-03-08",
        "2027-04-05",
        "2027-05-03",
    ]
    with pytest.raises(ValueError, match="rolling"):
        assign_cycles(ROLLING, NOTHING, NOTHING, 2, date(2027, 3, 3))


@pytest.mark.parametrize(
    ("cycles", "start", "slot"),
    [
        (CALENDAR, date(2027, 3, 12), date(2027, 3, 15)),
        (CALENDAR, date(2027, 3, 13), date(2027, 4, 15)),
        (ROLLING, date(2027, 3, 8), date(2027, 3, 8)),
        (ROLLING, date(2027, 3, 9), date(2027, 3, 15)),
    ],
)
def test_a_period_feeds_the_first_cycle_it_is_paid_in_time_for(cycles, start, slot):
    assert slot_for(cycles, start).lock_on == slot


def test_behind_the_generated_cycles_there_is_no_slot_and_the_period_is_billed():
    assert slot_for(CALENDAR, date(2031, 1, 1)) is None
    assert next_period_kind(None, {1}, {2}) is PeriodFate.BILLED
    assert next_period_kind(CALENDAR[0], {2}, {3}) is PeriodFate.BILLED
    assert next_period_kind(CALENDAR[0], NOTHING, {1}) is PeriodFate.SKIPPED


def test_a_skipped_paid_box_goes_behind_the_last_of_its_term():
    term = CALENDAR[3:6]

    assert move_target(CALENDAR, term, {5}).id == 7
    assert move_target(CALENDAR, term, {5, 7}).id == 8
    assert move_target(CALENDAR[:6], term, {5}) is None


def test_a_moved_rolling_box_goes_where_the_next_period_would_have_put_one():
    start, end = date(2027, 3, 5), date(2027, 4, 5)
    box = slot_for(ROLLING, start)

    target = move_target(ROLLING, [box], {box.id}, boundary=end, shipping=MONTH)

    assert target == slot_for(ROLLING, end)
    assert next_period_kind(slot_for(ROLLING, end), {target.id}, {box.id}) is PeriodFate.SKIPPED
    with pytest.raises(ValueError, match="rolling"):
        move_target(ROLLING, [box], {box.id})


def test_skipping_twice_and_undoing_the_first_closes_the_gap():
    term = CALENDAR[3:6]

    assert ids(place_boxes(CALENDAR, term, {4, 5})) == [7, 8, 6]
    assert ids(place_boxes(CALENDAR, term, {5})) == [4, 7, 6]
    assert ids(place_boxes(CALENDAR, term, NOTHING)) == [4, 5, 6]


@given(st.integers(0, 8), st.integers(1, 4), SKIPS)
def test_each_box_stands_in_a_cycle_of_its_own_that_is_not_skipped(first, count, skipped):
    homes = CALENDAR[first : first + count]
    placed = ids(place_boxes(CALENDAR, homes, skipped))

    assert len(set(placed)) == count
    assert not set(placed) & skipped
    assert all(at == home.id for at, home in zip(placed, homes, strict=True) if at in ids(homes))


@given(st.integers(0, 6), st.integers(1, 4), SKIPS, st.integers(1, 14))
def test_changing_a_skip_moves_no_box_that_leaves_before_it(first, count, skipped, changed):
    homes = CALENDAR[first : first + count]
    before = ids(place_boxes(CALENDAR, homes, skipped))
    after = ids(place_boxes(CALENDAR, homes, skipped ^ {changed}))

    for old, new in zip(before, after, strict=True):
        assert old == new or min(old, new) >= changed


def test_the_order_of_skips_and_undos_gives_one_state():
    term = CALENDAR[3:6]
    wanted = place_boxes(CALENDAR, term, {4, 6})
    for toggles in permutations([4, 5, 6, 5]):
        skipped = set()
        for cycle in toggles:
            skipped ^= {cycle}
        assert place_boxes(CALENDAR, term, skipped) == wanted


@given(st.frozensets(st.dates(date(2027, 1, 1), date(2028, 12, 31)), max_size=80))
def test_holidays_change_no_number_of_boxes_and_no_cycle_of_a_box(holidays):
    moved = slots(CycleRhythm(MONTH, 12, date(2027, 1, 1)), holidays=holidays)
    for start in (date(2027, 2, 12), date(2027, 9, 12)):
        plain, shifted = (
            feed_period(cycles, NOTHING, NOTHING, 3, start, start, shipping=MONTH)
            for cycles in (CALENDAR, moved)
        )
        assert ids(plain) == ids(shifted)


@pytest.mark.parametrize(("billing", "many"), [(MONTH, 1), (QUARTER, 3)])
@given(
    st.integers(20, 31),
    st.frozensets(st.dates(date(2027, 1, 1), date(2028, 12, 31)), max_size=60),
    st.frozensets(st.integers(1, 7), max_size=6),
)
def test_a_ship_day_moved_over_a_month_end_changes_no_periods_number_of_boxes(
    billing, many, charge_day, holidays, weekdays
):
    """Boxes leave near the end of a month, so that a day off moves many of them over it."""
    rhythm = CycleRhythm(MONTH, charge_day, date(2027, 1, 1))
    plain, moved = (slots(rhythm, holidays=NOTHING), shifted(rhythm, DaysOff(holidays, weekdays)))
    start = add_interval(plain[0].charge_on, MONTH, 1, day=charge_day)
    taken: list[set[int]] = [set(), set()]
    for n in range(6):
        begins = add_interval(start, billing, n, day=charge_day)
        found = [
            ids(feed_period(cycles, own, NOTHING, many, begins, begins, shipping=MONTH))
            for cycles, own in zip((plain, moved), taken, strict=True)
        ]
        assert found[0] == found[1]
        assert len(found[1]) == many
        assert None not in found[1]
        for own in taken:
            assert not own & set(found[1])
            own.update(found[1])


def test_march_s_box_that_leaves_in_april_is_march_s():
    rhythm = CycleRhythm(MONTH, 25, date(2027, 1, 1))
    easter = DaysOff(frozenset({date(2027, 3, 31)}))
    moved = shifted(rhythm, easter)
    march, april = (next(one for one in moved if one.charge_on.month == n) for n in (3, 4))
    assert march.ship_from == date(2027, 4, 1)
    assert april.ship_from == date(2027, 5, 1)
    fed = feed_period(
        moved, NOTHING, NOTHING, 1, date(2027, 3, 25), date(2027, 3, 25), shipping=MONTH
    )
    assert fed == [march]
    fed = feed_period(
        moved, {march.id}, NOTHING, 1, date(2027, 4, 25), date(2027, 4, 25), shipping=MONTH
    )
    assert fed == [april]


def test_skipped_periods_walk_the_grid_of_the_anchor():
    start = date(2027, 1, 31)
    for expected in ("2027-02-28", "2027-03-31", "2027-04-30"):
        start = next_boundary(start, MONTH, 31)
        assert start.isoformat() == expected
    assert next_boundary(date(2027, 3, 2), WEEK, 31) == date(2027, 3, 2) + timedelta(days=7)
