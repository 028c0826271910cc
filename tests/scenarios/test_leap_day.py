"""Somebody subscribes for a year on a 29 February."""

from datetime import UTC, date, datetime

import pytest

from storefront.runtime import Runtime
from storefront.testing import factories as make
from storefront.testing.clock import FrozenClock
from storefront_demo_gateway.gateway import DemoGateway
from tests.scenarios._diary import Diary

YEAR = 4900


@pytest.fixture
def clock() -> FrozenClock:
    """Tuesday 29 February 2028, ten in the morning in Berlin."""
    return FrozenClock(datetime(2028, 2, 29, 9, 0, tzinfo=UTC))


@pytest.fixture
def diary(rt: Runtime, clock: FrozenClock) -> Diary:
    plan = make.make_plan(rt, amount_minor=YEAR, unit="year", ships=False)
    return Diary(rt, clock, make.make_subscription(rt, plan=plan))


def test_the_day_is_kept_for_the_leap_years_to_come(
    diary: Diary, demo_gateway: DemoGateway
) -> None:
    # In a common year it is charged on the last day of February, and not a day before.
    diary.wake_on(date(2029, 2, 27))
    assert demo_gateway.bank.executed_count() == 1
    for year in (2029, 2030, 2031):
        diary.wake_on(date(year, 2, 28))

    # In the next leap year it is the 29th again: the 28th is a day of the year before.
    diary.wake_on(date(2032, 2, 28))
    assert demo_gateway.bank.executed_count() == 4
    diary.wake_on(date(2032, 2, 29))
    diary.wake_on(date(2033, 2, 28))

    assert [(due, total) for _number, due, total, _state in diary.invoices] == [
        (date(2028, 2, 29), YEAR),
        (date(2029, 2, 28), YEAR),
        (date(2030, 2, 28), YEAR),
        (date(2031, 2, 28), YEAR),
        (date(2032, 2, 29), YEAR),
        (date(2033, 2, 28), YEAR),
    ]
    assert [(start, end) for _kind, start, end in diary.periods] == [
        (date(2028, 2, 29), date(2029, 2, 28)),
        (date(2029, 2, 28), date(2030, 2, 28)),
        (date(2030, 2, 28), date(2031, 2, 28)),
        (date(2031, 2, 28), date(2032, 2, 29)),
        (date(2032, 2, 29), date(2033, 2, 28)),
        (date(2033, 2, 28), date(2034, 2, 28)),
    ]
    # A year is 4900 / 12 a month, without tax, from the first day to the last.
    assert [kind for _day, kind, _delta in diary.movements] == ["new"]
