"""The demo shop: walking its clock, and a history that the engine itself has made."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from storefront.adapters.clock import DemoClock
from storefront.demo.walk import ClockIsReal, TooFar, walk
from storefront.testing import factories as make
from storefront.testing.population import populate


class TestWalking:
    """Moving the clock of a demo shop."""

    @pytest.fixture
    def clock(self, tmp_path: Path) -> DemoClock:
        clock = DemoClock(tmp_path / "clock")
        clock.move_to(clock.now().replace(year=clock.now().year + 1, day=3, month=3, hour=10))
        return clock

    def test_each_day_renews_what_is_due_on_it(self, rt, clock):
        plan = make.make_plan(rt)
        price, today = make.price_of(rt, plan), rt.today()
        populate(rt, plan, price, 2, today + timedelta(days=2))
        populate(rt, plan, price, 3, today + timedelta(days=4))

        days = walk(rt, 5)

        assert [day.on for day in days] == [today + timedelta(days=n) for n in range(1, 6)]
        assert [day.counts.get("renewed", 0) for day in days] == [0, 2, 0, 3, 0]
        assert [day.counts.get("paid", 0) for day in days] == [0, 2, 0, 3, 0]
        assert all(day.went_well for day in days)

    def test_the_time_of_day_stays_and_progress_is_told(self, rt, clock):
        before, told = clock.now(), []
        walk(rt, 2, lambda done, total: told.append((done, total)))
        assert timedelta() <= clock.now() - before - timedelta(days=2) < timedelta(minutes=1)
        assert told == [(1, 2), (2, 2)]

    def test_a_declined_charge_is_tried_again_on_its_day(self, rt, clock):
        plan = make.make_plan(rt)
        populate(rt, plan, make.price_of(rt, plan), 1, rt.today() + timedelta(days=1), card="0341")
        days = walk(rt, 5)
        assert [day.counts.get("declined", 0) for day in days] == [1, 0, 0, 0, 0]
        assert [day.counts.get("tried_again", 0) for day in days] == [0, 0, 0, 1, 0]

    @pytest.mark.parametrize("days", [0, -1, 63])
    def test_a_walk_goes_forward_and_not_too_far(self, rt, days):
        with pytest.raises(TooFar):
            walk(rt, days)


def test_a_real_clock_is_not_moved(rt):
    with pytest.raises(ClockIsReal):
        walk(rt, 1)
    assert rt.today() == date(2027, 3, 2)
