"""Billing periods: they tile, and no anchor drifts."""

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.periods import (
    BillingPeriod,
    Interval,
    add_interval,
    period_at,
    period_containing,
    period_number,
)

MONTH, YEAR = Interval("month"), Interval("year")
DAYS = st.dates(date(1990, 1, 1), date(2500, 12, 31))
INTERVALS = st.builds(
    Interval, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 15)
)


def boundaries(anchor, interval, *numbers, day=None):
    return [add_interval(anchor, interval, n, day=day).isoformat() for n in numbers]


@pytest.mark.parametrize(
    ("anchor", "interval", "expected"),
    [
        (date(2027, 1, 31), MONTH, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]),
        (date(2028, 1, 31), MONTH, ["2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]),
        (date(2027, 1, 30), MONTH, ["2027-02-28", "2027-03-30", "2027-04-30", "2027-05-30"]),
        (date(2027, 1, 29), MONTH, ["2027-02-28", "2027-03-29", "2027-04-29", "2027-05-29"]),
        (date(2027, 1, 28), MONTH, ["2027-02-28", "2027-03-28", "2027-04-28", "2027-05-28"]),
        (date(2026, 12, 29), MONTH, ["2027-01-29", "2027-02-28", "2027-03-29", "2027-04-29"]),
        (date(2026, 11, 30), Interval("month", 3), ["2027-02-28", "2027-05-30", "2027-08-30"]),
        (date(2026, 8, 31), Interval("month", 6), ["2027-02-28", "2027-08-31", "2028-02-29"]),
        (date(2028, 2, 29), YEAR, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
        (date(2028, 2, 29), Interval("month", 12), ["2029-02-28", "2030-02-28", "2031-02-28"]),
        (date(2027, 3, 2), Interval("week", 2), ["2027-03-16", "2027-03-30", "2027-04-13"]),
        (date(2027, 2, 27), Interval("day", 3), ["2027-03-02", "2027-03-05", "2027-03-08"]),
    ],
)
def test_the_table_of_expected_dates(anchor, interval, expected):
    assert boundaries(anchor, interval, *range(1, len(expected) + 1)) == expected


def test_the_first_of_the_month_can_be_wished():
    assert boundaries(date(2027, 3, 10), MONTH, 1, 2, day=1) == ["2027-04-01", "2027-05-01"]


def test_a_wished_day_survives_an_anchor_in_a_short_month():
    found = boundaries(date(2027, 2, 28), MONTH, 0, 1, 2, day=31)

    assert found == ["2027-02-28", "2027-03-31", "2027-04-30"]


@pytest.mark.parametrize("anchor_day", [28, 29, 30, 31])
@pytest.mark.parametrize("months", [1, 2, 3, 6, 12])
def test_month_end_anchors_never_drift_in_400_years(anchor_day, months):
    anchor, interval = date(2027, 1, anchor_day), Interval("month", months)
    for n in range(400 * 12 // months):
        boundary = add_interval(anchor, interval, n)
        assert boundary.day == min(anchor_day, monthrange(boundary.year, boundary.month)[1])
        assert (boundary.year - 2027) * 12 + boundary.month - 1 == n * months


@pytest.mark.parametrize("wished", [28, 29, 30, 31])
def test_walking_with_the_wished_day_is_the_grid_of_the_anchor(wished):
    anchor = walked = date(2027, 2, 28)
    for n in range(1, 400 * 12):
        walked = add_interval(walked, MONTH, 1, day=wished)
        assert walked == add_interval(anchor, MONTH, n, day=wished)


@given(DAYS, INTERVALS, st.integers(0, 200))
def test_periods_tile_time(anchor, interval, n):
    assert period_at(anchor, interval, n).end == period_at(anchor, interval, n + 1).start


@given(DAYS, INTERVALS, st.integers(-2000, 20000))
def test_every_day_lies_in_exactly_the_period_that_is_found(anchor, interval, distance):
    day = anchor + timedelta(days=distance)
    n = period_number(anchor, interval, day)

    assert day in period_containing(anchor, interval, day)
    assert period_containing(anchor, interval, day) == period_at(anchor, interval, n)
    assert day not in period_at(anchor, interval, n - 1)
    assert day not in period_at(anchor, interval, n + 1)


@given(DAYS, st.integers(28, 31), st.integers(0, 5000))
def test_a_wished_day_holds_when_looking_a_day_up(anchor, wished, distance):
    anchor = add_interval(anchor, MONTH, 1, day=wished)
    day = anchor + timedelta(days=distance)
    period = period_containing(anchor, MONTH, day, anchor_day=wished)

    assert day in period
    assert period.start.day == min(wished, monthrange(period.start.year, period.start.month)[1])


#: An anchor on 28 February whose wished day is the last of the month.
@pytest.mark.parametrize(
    ("day", "number", "start", "end"),
    [
        (date(2026, 12, 30), -3, "2026-11-30", "2026-12-31"),
        (date(2027, 1, 30), -2, "2026-12-31", "2027-01-31"),
        (date(2027, 1, 31), -1, "2027-01-31", "2027-02-28"),
        (date(2027, 2, 27), -1, "2027-01-31", "2027-02-28"),
        (date(2027, 2, 28), 0, "2027-02-28", "2027-03-31"),
        (date(2027, 3, 29), 0, "2027-02-28", "2027-03-31"),
        (date(2027, 3, 31), 1, "2027-03-31", "2027-04-30"),
        (date(2027, 4, 29), 1, "2027-03-31", "2027-04-30"),
        (date(2028, 2, 28), 11, "2028-01-31", "2028-02-29"),
        (date(2028, 2, 29), 12, "2028-02-29", "2028-03-31"),
    ],
)
def test_the_wished_day_bounds_the_period_of_every_day(day, number, start, end):
    anchor = date(2027, 2, 28)
    period = BillingPeriod(date.fromisoformat(start), date.fromisoformat(end))

    assert period_number(anchor, MONTH, day, anchor_day=31) == number
    assert period_containing(anchor, MONTH, day, anchor_day=31) == period
    assert period_at(anchor, MONTH, number, anchor_day=31) == period


@pytest.mark.parametrize(
    ("interval", "day", "number"),
    [
        (Interval("week", 2), date(2027, 3, 1), -1),
        (Interval("week", 2), date(2027, 3, 15), 0),
        (Interval("week", 2), date(2027, 3, 16), 1),
        (Interval("day", 3), date(2027, 3, 10), 2),
        (Interval("month", 3), date(2027, 9, 1), 1),
        (Interval("month", 3), date(2027, 9, 2), 2),
        (YEAR, date(2028, 3, 1), 0),
        (YEAR, date(2026, 3, 1), -2),
    ],
)
def test_periods_are_numbered_from_the_anchor_both_ways(interval, day, number):
    assert period_number(date(2027, 3, 2), interval, day) == number


@given(DAYS, INTERVALS)
def test_the_next_boundary_is_later_by_one_interval_at_most(anchor, interval):
    period = period_at(anchor, interval, 0)

    assert period.start == anchor < period.end
    assert period.days <= (interval.days or 31 * (interval.months or 0))


@pytest.mark.parametrize(
    ("whole", "part", "times"),
    [
        (YEAR, MONTH, 12),
        (Interval("month", 3), MONTH, 3),
        (YEAR, Interval("month", 12), 1),
        (Interval("week", 4), Interval("week", 2), 2),
        (Interval("week"), Interval("day"), 7),
        (MONTH, Interval("month", 2), None),
        (Interval("month", 3), Interval("month", 2), None),
        (MONTH, Interval("week"), None),
        (Interval("week", 4), MONTH, None),
    ],
)
def test_intervals_fit_inside_one_family_only(whole, part, times):
    found = whole.multiple_of(part)

    assert found == times
    assert found is None or type(found) is int


@pytest.mark.parametrize(
    ("unit", "count"), [("fortnight", 1), ("month", 0), ("week", -1), ("day", 1.5)]
)
def test_an_interval_that_is_none_is_refused(unit, count):
    with pytest.raises(ValueError, match=r"unit|counts"):
        Interval(unit, count)


def test_an_empty_period_and_a_day_that_no_month_has_are_refused():
    with pytest.raises(ValueError, match="ends after"):
        BillingPeriod(date(2027, 3, 1), date(2027, 3, 1))
    for day in (0, 32):
        with pytest.raises(ValueError, match="day of month"):
            add_interval(date(2027, 3, 1), MONTH, 1, day=day)
