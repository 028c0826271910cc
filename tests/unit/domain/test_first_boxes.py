"""When the first box of an order leaves, and that no later payment comes before it."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.boxes import PeriodFate, assign_cycles, feed_period, next_period_kind
from storefront.domain.cycles import CycleRhythm, CycleSlot, plan_cycles, slot_for
from storefront.domain.first_boxes import FirstBox, first_boxes, first_place
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.openings import NoCycle, open_with
from storefront.domain.periods import Interval, add_interval

MONTH, WEEK = Interval("month"), Interval("week")
BEGAN = date(2027, 1, 1)


def slots(rhythm: CycleRhythm) -> list[CycleSlot]:
    planned = plan_cycles(rhythm, BEGAN, date(2029, 6, 1))
    return [
        CycleSlot(n, one.charge_on, one.cutoff_on, one.lock_on, one.ship_from)
        for n, one in enumerate(planned, 1)
    ]


#: Charged on the 12th, cut off the 11th, locked the 15th, shipped the 18th.
CALENDAR = slots(CycleRhythm(MONTH, 12, BEGAN))
#: Packed each Wednesday: cut off on Tuesday, locked and shipped the same day.
ROLLING = slots(CycleRhythm(WEEK, None, date(2027, 1, 6), 1, 0, 0))


def rule_of(name: str, today: date, cycles: list[CycleSlot], launch: date | None) -> FirstBox:
    locked = [one for one in cycles if one.lock_on <= today]
    current = max(locked, key=lambda one: one.lock_on) if locked else None
    return FirstBox(name, launch, current, today + timedelta(days=1))  # type: ignore[arg-type]


def opened(name, today, cycles, interval=MONTH, boxes=1, charge_day=None, launch=None):
    joinable = [one for one in cycles if one.lock_on > today]
    first = rule_of(name, today, cycles, launch)
    return open_with(today, interval, boxes, joinable, charge_day=charge_day, first_box=first)


@pytest.mark.parametrize(
    ("name", "day", "leaves", "again"),
    [
        # Before the cut-off: with March, or at once as the box locked in February.
        ("next", "2027-03-05", "2027-03-18", "2027-04-12"),
        ("now", "2027-03-05", "2027-03-06", "2027-03-12"),
        # Two whole days are left to skip the box of everybody, and then no more: its payment would
        # come at once, so March's box is the first one.
        ("now", "2027-03-09", "2027-03-10", "2027-03-12"),
        ("now", "2027-03-10", "2027-03-18", "2027-04-12"),
        ("now", "2027-03-11", "2027-03-18", "2027-04-12"),
        # March can be charged no more by itself, but it can be packed.
        ("next", "2027-03-13", "2027-04-19", "2027-05-12"),
        ("now", "2027-03-12", "2027-03-18", "2027-04-12"),
        ("now", "2027-03-14", "2027-03-18", "2027-04-12"),
        # Locked and not yet on its way: March's box, late, with the others.
        ("now", "2027-03-16", "2027-03-18", "2027-04-12"),
        ("now", "2027-03-25", "2027-03-26", "2027-04-12"),
        # A plan that begins in June.
        ("later", "2027-03-05", "2027-06-18", "2027-07-12"),
        ("later", "2027-07-05", "2027-07-19", "2027-08-12"),
    ],
)
def test_the_first_box_of_a_plan_charged_on_the_12th(name, day, leaves, again):
    launch = date(2027, 6, 1) if name == "later" else None
    found = opened(name, date.fromisoformat(day), CALENDAR, charge_day=12, launch=launch)
    shown = (found.cycle.ship_from.isoformat(), found.renewal_on.isoformat())
    assert shown == (leaves, again)


@pytest.mark.parametrize(
    ("name", "day", "leaves", "again"),
    [
        # A Wednesday: today's boxes are closed, the next ones are not.
        ("next", "2027-03-03", "2027-03-10", "2027-04-03"),
        ("now", "2027-03-03", "2027-03-10", "2027-04-03"),
        # A Tuesday is the last second for tomorrow; on the packing day itself it is too late.
        ("now", "2027-03-02", "2027-03-03", "2027-04-02"),
        # The months count from the day the first box was packed: 2 June is a Wednesday.
        ("later", "2027-03-03", "2027-06-02", "2027-07-02"),
    ],
)
def test_the_first_box_of_a_plan_with_a_packing_day_each_week(name, day, leaves, again):
    launch = date(2027, 6, 1) if name == "later" else None
    found = opened(name, date.fromisoformat(day), ROLLING, launch=launch)
    shown = (found.cycle.ship_from.isoformat(), found.renewal_on.isoformat())
    assert shown == (leaves, again)


def test_a_shop_that_has_never_locked_a_cycle_sends_the_first_box_with_the_next():
    found = first_place(CALENDAR, date(2027, 1, 2), FirstBox("now"))
    assert found is not None
    assert (found.cycle.id, found.is_kept) == (1, False)


@pytest.mark.parametrize(
    ("name", "day", "is_closed"),
    [
        ("next", "2027-03-11", False),
        ("now", "2027-03-09", True),
        # March's, which everybody can change until its cut-off, and that is over.
        ("now", "2027-03-11", False),
        ("now", "2027-03-12", True),
        ("later", "2027-03-05", False),
    ],
)
def test_a_first_box_that_leaves_behind_its_cut_off_cannot_be_changed(name, day, is_closed):
    today, launch = date.fromisoformat(day), date(2027, 6, 1) if name == "later" else None
    found = opened(name, today, CALENDAR, charge_day=12, launch=launch)
    assert found.place.is_closed is is_closed


@given(st.integers(0, 400))
def test_the_box_behind_one_that_leaves_at_once_can_be_skipped_for_two_whole_days(after):
    today = date(2027, 2, 20) + timedelta(days=after)
    found = opened("now", today, CALENDAR, charge_day=12)
    paid_next = next(one for one in CALENDAR if one.charge_on == found.renewal_on)
    assert paid_next.cutoff_on - today >= timedelta(days=2)


def test_what_begins_behind_the_planned_cycles_is_not_sold():
    with pytest.raises(NoCycle):
        opened("later", date(2027, 3, 5), CALENDAR, launch=date(2031, 1, 1))


@given(
    st.sampled_from(["next", "now", "later"]),
    st.booleans(),
    st.integers(0, 400),
    st.integers(1, 4),
    st.integers(0, 300),
    st.integers(0, 3),
)
def test_every_period_brings_its_boxes_and_no_payment_precedes_the_first(
    name, is_rolling, after, count, ahead, paid_after
):
    today = date(2027, 2, 20) + timedelta(days=after)
    cycles = ROLLING if is_rolling else CALENDAR
    interval, day = Interval("month", count), None if is_rolling else 12
    launch = today + timedelta(days=ahead) if name == "later" else None
    found = opened(name, today, cycles, interval, count, day, launch)
    place = found.place
    assert found.kind is PeriodKind.BILLED
    assert place is not None
    # The money comes the same day, or some days later from a slow bank.
    paid_on = today + timedelta(days=paid_after)
    open_still = [one for one in cycles if one.lock_on >= paid_on]
    if place.is_kept and (name == "now" or place.cycle in open_still):
        boxes = first_boxes(place.cycle, open_still, set(), set(), count, place.places_from, MONTH)
        assert boxes[0] == place.cycle
    else:
        in_time = [one for one in open_still if one.cutoff_on >= today]
        boxes = assign_cycles(in_time, set(), set(), count, paid_on, start=today, shipping=MONTH)
    # Exactly its boxes, each in a cycle of its own.
    first = [one.id for one in boxes if one is not None]
    assert len(set(first)) == count
    assert found.renewal_on >= found.cycle.ship_from
    assert found.renewal_on > today
    if launch is not None:
        assert found.cycle.ship_from >= launch
    if paid_after:
        return
    # The next payment is taken, and brings as many boxes behind those of the first.
    start = found.renewal_on
    fate = next_period_kind(slot_for(cycles, start), set(first), set())
    assert fate is PeriodFate.BILLED
    again = feed_period(cycles, set(first), set(), count, start, start, shipping=MONTH)
    later = [one for one in again if one is not None]
    assert len({one.id for one in later}) == count
    assert min(one.lock_on for one in later) > max(one.lock_on for one in boxes if one)
    # And the periods tile the days between them.
    assert (found.free.end if found.free else found.period.end) == start
    assert found.period.end <= add_interval(today, interval, 1)


@pytest.mark.parametrize(
    ("name", "window", "leaves", "passed"),
    [
        # Not yet sold, not sold any more, and sold today.
        ("next", (date(2027, 3, 6), None), "2027-04-19", True),
        ("next", (None, date(2027, 3, 4)), "2027-04-19", True),
        ("next", (date(2027, 3, 5), date(2027, 3, 5)), "2027-03-18", False),
        ("later", (date(2027, 3, 6), None), "2027-04-19", True),
    ],
)
def test_an_order_outside_the_window_of_sale_begins_with_the_next_cycle(
    name, window, leaves, passed
):
    today = date(2027, 3, 5)
    open_ = [one for one in CALENDAR if one.lock_on > today]
    march = replace(open_[0], sells_from=window[0], sells_until=window[1])
    first = rule_of(name, today, CALENDAR, date(2027, 3, 10) if name == "later" else None)

    place = first_place([march, *open_[1:]], today, first)

    assert place.cycle.ship_from.isoformat() == leaves
    assert (place.passed_unsold, place.passed == march) == (passed, passed)
    # Who has bought before and changes plan is not sold to again.
    sold = first_place([march, *open_[1:]], today, replace(first, is_sale=False))
    assert sold.cycle == march


def test_where_no_cycle_is_sold_nothing_is():
    today = date(2027, 3, 5)
    shut = [replace(one, sells_from=date(2030, 1, 1)) for one in CALENDAR if one.lock_on > today]
    assert first_place(shut, today, FirstBox()) is None


def test_the_second_payment_comes_after_the_box_that_was_sold():
    today = date(2027, 3, 5)
    open_ = [one for one in CALENDAR if one.lock_on > today]
    march = replace(open_[0], sells_until=date(2027, 3, 4))

    opening = open_with(today, MONTH, 1, [march, *open_[1:]], charge_day=12)

    assert opening.place is not None
    assert opening.place.is_kept
    assert (opening.cycle.ship_from, opening.renewal_on) == (date(2027, 4, 19), date(2027, 5, 12))
