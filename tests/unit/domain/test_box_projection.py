"""What the account shows ahead is what the renewals then do, whatever was skipped or paid late."""

from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storefront.domain.boxes import (
    CycleSlot,
    PaidBox,
    Pause,
    PeriodFate,
    ProjectedKind,
    Standing,
    boxes_per_period,
    feed_period,
    may_undo,
    next_boundary,
    next_period_kind,
    place_boxes,
    project,
    slot_for,
)
from storefront.domain.cycles import CycleRhythm, plan_cycles
from storefront.domain.periods import Interval

MONTH, QUARTER, YEAR, WEEK = (
    Interval("month"),
    Interval("month", 3),
    Interval("year"),
    Interval("week"),
)
FIRST_DAY, LAST_DAY = date(2027, 1, 1), date(2029, 1, 1)


def slots(rhythm, until=date(2031, 1, 1)):
    return [
        CycleSlot(i, dates.charge_on, dates.cutoff_on, dates.lock_on, dates.ship_from)
        for i, dates in enumerate(plan_cycles(rhythm, FIRST_DAY, until), start=1)
    ]


EARLY_CUTOFF = slots(CycleRhythm(MONTH, 12, FIRST_DAY))
LATE_CUTOFF = slots(CycleRhythm(MONTH, 31, FIRST_DAY, -2, 3, 6))
WEEKLY = slots(CycleRhythm(WEEK, 5, FIRST_DAY, -1, 2, 3))
ROLLING = slots(CycleRhythm(WEEK, None, date(2027, 1, 4), 2, 0, 1))

#: (cycles, billing, shipping, day of the first renewal, wished day)
PLANS = st.sampled_from(
    [
        (EARLY_CUTOFF, MONTH, MONTH, date(2027, 2, 12), 12),
        (EARLY_CUTOFF, QUARTER, MONTH, date(2027, 2, 12), 12),
        (EARLY_CUTOFF, YEAR, MONTH, date(2027, 2, 12), 12),
        (LATE_CUTOFF, MONTH, MONTH, date(2027, 2, 28), 31),
        (LATE_CUTOFF, QUARTER, MONTH, date(2027, 2, 28), 31),
        (WEEKLY, Interval("week", 4), WEEK, date(2027, 1, 15), None),
        (ROLLING, MONTH, MONTH, date(2027, 1, 20), 20),
        (ROLLING, QUARTER, MONTH, date(2027, 1, 31), 31),
        (ROLLING, Interval("week", 2), WEEK, date(2027, 1, 20), None),
    ]
)


@dataclass
class Subscriber:
    """A subscription as rows: stepped day by day, the way the worker does it."""

    cycles: list
    billing: Interval
    shipping: Interval
    renews_on: date
    anchor_day: int | None
    skipped: set = field(default_factory=set)
    periods: list = field(default_factory=list)
    #: One (start, end, homes) per billed period; homes are where its boxes went when paid.
    terms: list = field(default_factory=list)
    unpaid: tuple | None = None
    cancel_on: date | None = None

    def boxes(self, skipped=None):
        """Return (charged on, cycle) of every paid box, where it stands now."""
        placed = []
        for start, end, homes in self.terms:
            now = place_boxes(
                self.cycles,
                homes,
                self.skipped if skipped is None else skipped,
                boundary=end,
                shipping=self.shipping,
                anchor_day=self.anchor_day,
            )
            placed += [(start, cycle) for cycle in now]
        return placed

    def toggle(self, cycle, today):
        """Skip ``cycle`` before its cut-off, or take the skip back where that is possible."""
        if cycle.id in self.skipped:
            placed = [at for _, at in self.boxes(self.skipped - {cycle.id})]
            next_start = self.unpaid[0] if self.unpaid else self.renews_on
            if may_undo(cycle, placed, next_start, today):
                self.skipped -= {cycle.id}
        elif today <= cycle.cutoff_on:
            self.skipped |= {cycle.id}

    def taken(self):
        return {cycle.id for _, cycle in self.boxes()}

    def open_period(self, today, delay):
        start = self.renews_on
        fate = next_period_kind(slot_for(self.cycles, start), self.taken(), self.skipped)
        length = self.billing if fate is PeriodFate.BILLED else self.shipping
        self.renews_on = next_boundary(start, length, self.anchor_day)
        self.periods.append((start, self.renews_on, fate))
        if fate is PeriodFate.BILLED:
            self.unpaid = (start, self.renews_on, today + timedelta(days=delay))

    def skip_over(self):
        end = next_boundary(self.renews_on, self.shipping, self.anchor_day)
        self.periods.append((self.renews_on, end, PeriodFate.SKIPPED))
        self.renews_on = end

    def settle(self, today):
        start, end, _ = self.unpaid
        homes = feed_period(
            self.cycles,
            self.taken(),
            frozenset(),
            boxes_per_period(self.billing, self.shipping),
            start,
            today,
            shipping=self.shipping,
        )
        self.terms.append((start, end, homes))
        self.unpaid = None
        while self.renews_on < today:
            self.skip_over()

    def live(self, today, delay=0):
        """Do what is due ``today``: open a period, or take the payment that is late."""
        if self.unpaid and self.unpaid[2] <= today:
            self.settle(today)
        if not self.unpaid and self.renews_on == today and not self._ended(today):
            self.open_period(today, delay)
            if not delay and self.unpaid:
                self.settle(today)

    def _ended(self, today):
        return self.cancel_on is not None and today >= self.cancel_on

    def ahead(self, count, today):
        boxes = self.boxes()
        coming = [
            PaidBox(i, cycle) for i, (_, cycle) in enumerate(boxes) if cycle.ship_from >= today
        ]
        return project(
            Standing(
                self.cycles,
                self.billing,
                self.shipping,
                None if self.unpaid else self.renews_on,
                self.anchor_day,
                coming,
                self.taken(),
                frozenset(self.skipped),
                cancel_on=self.cancel_on,
            ),
            count,
            today,
        )


def days(first, last):
    while first < last:
        yield first
        first += timedelta(days=1)


def assert_sound(subscriber):
    cycles = [cycle.id for _, cycle in subscriber.boxes()]
    billed = [period for period in subscriber.periods if period[2] is PeriodFate.BILLED]
    per_period = boxes_per_period(subscriber.billing, subscriber.shipping)

    assert len(set(cycles)) == len(cycles), "two boxes in one cycle"
    assert len(cycles) == len(billed) * per_period - (per_period if subscriber.unpaid else 0)
    assert not set(cycles) & subscriber.skipped
    for before, after in zip(subscriber.periods, subscriber.periods[1:], strict=False):
        assert before[1] == after[0], "periods do not tile"


@settings(max_examples=60)
@given(PLANS, st.frozensets(st.integers(1, 60), max_size=12), st.integers(1, 9))
def test_projecting_and_really_stepping_give_the_same_boxes(plan, skipped, count):
    subscriber = Subscriber(*plan, skipped=set(skipped))
    today = subscriber.renews_on - timedelta(days=1)
    shown = subscriber.ahead(count, today)

    for day in days(today, LAST_DAY):
        subscriber.live(day)

    assert_sound(subscriber)
    planned = [(box.charge_on, box.cycle) for box in shown if box.kind is ProjectedKind.PLANNED]
    assert len(planned) == count
    assert planned == sorted(subscriber.boxes(), key=lambda box: box[1].ship_from)[:count]
    assert {box.cycle.id for box in shown if box.kind is ProjectedKind.SKIPPED} <= skipped


@settings(max_examples=30)
@given(PLANS, st.data())
def test_skips_undos_and_late_payments_never_make_two_boxes_or_none(plan, data):
    subscriber = Subscriber(*plan)
    end = subscriber.renews_on + timedelta(days=400)
    for day in days(subscriber.renews_on, end):
        due = subscriber.renews_on == day
        subscriber.live(day, data.draw(st.sampled_from([0, 0, 0, 2, 9, 35])) if due else 0)
        if day.toordinal() % 9 == 0 and data.draw(st.booleans()):
            choices = [box.cycle for box in subscriber.ahead(4, day)]
            left = [cycle for _, cycle in subscriber.boxes() if cycle.cutoff_on < day]
            if choices:
                subscriber.toggle(data.draw(st.sampled_from(choices)), day)
            assert left == [at for _, at in subscriber.boxes() if at.cutoff_on < day]
        assert_sound(subscriber)


@settings(max_examples=40)
@given(PLANS, st.integers(0, 300))
def test_nothing_is_planned_behind_the_cancel_date(plan, distance):
    subscriber = Subscriber(*plan)
    subscriber.cancel_on = subscriber.renews_on + timedelta(days=distance)

    shown = subscriber.ahead(30, subscriber.renews_on)
    for day in days(subscriber.renews_on, LAST_DAY):
        subscriber.live(day)

    assert all(box.charge_on < subscriber.cancel_on for box in shown)
    assert [(box.charge_on, box.cycle) for box in shown] == subscriber.boxes()[:30]


def standing(**over):
    values = {
        "cycles": EARLY_CUTOFF[:24],
        "billing": MONTH,
        "shipping": MONTH,
        "renews_on": date(2027, 4, 12),
        "anchor_day": 12,
    }
    return Standing(**(values | over))


def rows(shown):
    return [(box.kind.value, box.cycle and box.cycle.id, box.charge_on) for box in shown]


def test_a_skip_before_the_charge_leaves_out_that_payment():
    shown = project(standing(skipped={5}), 2, date(2027, 4, 1))

    assert rows(shown) == [
        ("planned", 4, date(2027, 4, 12)),
        ("skipped", 5, None),
        ("planned", 6, date(2027, 6, 12)),
    ]


def test_a_moved_box_takes_the_place_of_the_next_payment():
    moved = PaidBox(77, EARLY_CUTOFF[4])

    shown = project(
        standing(renews_on=date(2027, 5, 12), paid=[moved], skipped={4}), 2, date(2027, 4, 13)
    )

    assert rows(shown) == [
        ("skipped", 4, None),
        ("paid", 5, None),
        ("planned", 6, date(2027, 6, 12)),
    ]
    assert shown[1].box_id == 77


def test_a_prepaid_term_shows_one_payment_for_its_boxes():
    shown = project(standing(billing=QUARTER), 4, date(2027, 4, 1))

    assert rows(shown) == [
        ("planned", 4, date(2027, 4, 12)),
        ("planned", 5, date(2027, 4, 12)),
        ("planned", 6, date(2027, 4, 12)),
        ("planned", 7, date(2027, 7, 12)),
    ]


def test_a_pause_leaves_out_its_boundaries_and_keeps_the_grid():
    pause = Pause(date(2027, 4, 12), date(2027, 6, 1))

    shown = project(standing(pauses=[pause]), 2, date(2027, 4, 1))

    assert rows(shown) == [
        ("planned", 6, date(2027, 6, 12)),
        ("planned", 7, date(2027, 7, 12)),
    ]


@pytest.mark.parametrize("over", [{"pauses": [Pause(date(2027, 4, 1), None)]}, {"renews_on": None}])
def test_without_a_next_payment_only_paid_boxes_are_shown(over):
    paid = [PaidBox(1, EARLY_CUTOFF[3]), PaidBox(2, None)]

    shown = project(standing(paid=paid, **over), 5, date(2027, 4, 1))

    assert rows(shown) == [("paid", 4, None), ("paid", None, None)]


def test_cycles_not_generated_yet_are_shown_by_their_charge_day():
    shown = project(standing(cycles=EARLY_CUTOFF[:4]), 3, date(2027, 4, 1))

    assert rows(shown) == [
        ("planned", 4, date(2027, 4, 12)),
        ("planned", None, date(2027, 5, 12)),
        ("planned", None, date(2027, 6, 12)),
    ]


def test_skips_behind_the_end_are_dropped_with_it():
    shown = project(standing(skipped={4, 9}, cancel_on=date(2027, 7, 12)), 9, date(2027, 4, 1))

    assert rows(shown) == [
        ("skipped", 4, None),
        ("planned", 5, date(2027, 5, 12)),
        ("planned", 6, date(2027, 6, 12)),
    ]
