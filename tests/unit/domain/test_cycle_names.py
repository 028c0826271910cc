"""What cycles are called: no two of one group the same."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from babel import Locale

from storefront import formats
from storefront.domain.cycles import SUNDAYS, CycleRhythm, DaysOff, plan_cycles
from storefront.domain.periods import Interval

EN = Locale("en")
TODAY = date(2027, 1, 1)


def names(rhythm: CycleRhythm, off: DaysOff = SUNDAYS) -> list[str]:
    cycles = plan_cycles(rhythm, TODAY, date(2029, 1, 1), off)
    return [formats.cycle(one.ship_from, one.key, EN, TODAY) for one in cycles]


def monthly(charge: int, ship: int) -> CycleRhythm:
    return CycleRhythm(
        interval=Interval("month"),
        charge_day=charge,
        anchor=date(2027, 1, 1),
        cutoff_days_before_charge=1,
        lock_days_after_charge=0,
        ship_days_after_charge=ship,
        ship_window_days=2,
    )


def test_two_boxes_that_leave_in_one_month_are_called_by_their_days() -> None:
    found = names(monthly(12, 19))
    assert found[3:5] == ["1 May", "31 May"]
    assert names(monthly(12, 6))[:3] == ["January", "February", "March"]


@pytest.mark.parametrize("charge", range(1, 29))
def test_no_two_cycles_of_a_monthly_group_share_a_name(charge: int) -> None:
    chance = Random(charge)
    for ship in range(41):
        days = [TODAY + timedelta(days=chance.randrange(730)) for _number in range(20)]
        off = DaysOff(frozenset(days), frozenset({7}))
        found = names(monthly(charge, ship), off)
        assert len(found) == len(set(found)), (charge, ship, found)
