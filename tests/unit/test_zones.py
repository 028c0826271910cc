"""Days of the shop where clocks change, in six zones (T-05): each begins once, none is left out."""

from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest

from storefront.operations.moment import Moment

_STEP = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Europe/Berlin", date(2027, 3, 28)),
        ("Europe/Berlin", date(2027, 10, 31)),
        ("America/New_York", date(2027, 3, 14)),
        ("America/New_York", date(2027, 11, 7)),
        # Its clocks changed at midnight: the day began at one, or the evening came twice.
        ("America/Sao_Paulo", date(2018, 11, 4)),
        ("America/Sao_Paulo", date(2018, 2, 18)),
        # By half an hour.
        ("Australia/Lord_Howe", date(2027, 4, 4)),
        ("Australia/Lord_Howe", date(2027, 10, 3)),
        ("Asia/Kolkata", date(2027, 3, 28)),
        # 30 December 2011 was left out there.
        ("Pacific/Apia", date(2011, 12, 30)),
    ],
)
def test_each_day_begins_once_at_the_time_that_is_shown(zone: str, change: date) -> None:
    here = ZoneInfo(zone)
    first = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(days=3)
    moments = [Moment(first + _STEP * number, here) for number in range(6 * 96)]
    runs = [(day, list(found)) for day, found in groupby(moments, key=lambda one: one.today)]
    days = [day for day, _found in runs]
    assert days == sorted(set(days))
    for day, found in runs[1:]:
        begin = found[0].start_of(day)
        assert begin == found[0].now
        # The last second before it is the cut-off of a day before.
        assert Moment(begin - timedelta(seconds=1), here).today < day
        nine = found[0].at(day, 9 * 60)
        assert nine.astimezone(here).strftime("%H:%M %Y-%m-%d") == f"09:00 {day}"
    skipped = {change} - set(days)
    assert skipped == ({date(2011, 12, 30)} if zone == "Pacific/Apia" else set())
    for day in skipped:
        # Who is due on a day that does not come is due as the next one begins.
        assert moments[0].start_of(day) == moments[0].start_of(day + timedelta(days=1))
