"""What a cycle can make: no sequence of orders sells more of it."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from storefront.domain.capacity import CycleUse, Rhythm, boxes_from, cycles_of, full_starts
from storefront.domain.cycles import CycleRhythm, CycleSlot, plan_cycles
from storefront.domain.first_boxes import FirstBox, first_place
from storefront.domain.periods import Interval

MONTH = Interval("month")
CYCLES = [
    CycleSlot(n, one.charge_on, one.cutoff_on, one.lock_on, one.ship_from)
    for n, one in enumerate(
        plan_cycles(CycleRhythm(MONTH, 12, date(2027, 1, 1)), date(2027, 1, 1), date(2028, 3, 1)), 1
    )
]
#: Days since the order before, boxes of its payment, quantity, and after how many cycles it ends.
ORDERS = st.tuples(
    st.integers(0, 20),
    st.integers(1, 3),
    st.integers(1, 2),
    st.one_of(st.none(), st.integers(1, 5)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ORDERS, max_size=14), st.integers(1, 4))
def test_no_cycle_gets_more_boxes_than_it_can_make(orders, capacity):
    today, running = date(2027, 1, 2), []
    for days, count, quantity, lasts in orders:
        today += timedelta(days=days)
        open_ = [one for one in CYCLES if one.lock_on > today]
        uses = {
            one.id: CycleUse(
                capacity,
                sum(
                    boxes for rhythm, _first, boxes in running if one.id in cycles_of(rhythm, open_)
                ),
            )
            for one in open_
        }
        full = full_starts(open_, uses, count, quantity, MONTH, today)
        place = first_place(open_, today, FirstBox(full=full))
        if place is None:
            continue
        assert place.cycle.id not in full
        end = None
        if lasts is not None:
            # An end is the day of a payment that is not made any more.
            last = place.cycle.id + max(lasts, count)
            end = next((one.charge_on for one in CYCLES if one.id == last), None)
        running.append((Rhythm(today, 12, MONTH, end), place.cycle, quantity))
    for cycle in CYCLES:
        made = sum(
            boxes
            for rhythm, first, boxes in running
            if cycle.id >= first.id and cycle.id in cycles_of(rhythm, CYCLES)
        )
        assert made <= capacity


def test_an_order_passes_a_full_cycle_and_says_which() -> None:
    march, april = CYCLES[2], CYCLES[3]
    today = date(2027, 3, 2)
    open_ = CYCLES[2:]
    uses = {march.id: CycleUse(5, 5), april.id: CycleUse(5, 4)}
    full = full_starts(open_, uses, 1, 1, MONTH, today)
    place = first_place(open_, today, FirstBox(full=full))
    assert place is not None
    assert (place.cycle, place.passed, place.is_kept, place.waits) == (april, march, True, True)
    # Two boxes of one payment need both; two at a time need two places.
    assert full_starts(open_, {april.id: CycleUse(5, 5)}, 2, 1, MONTH, today) == {3, 4}
    assert full_starts(open_, uses, 1, 2, MONTH, today) == {3, 4}


def test_who_has_own_packing_days_counts_on_those_only() -> None:
    weekly = plan_cycles(
        CycleRhythm(Interval("week"), None, date(2027, 1, 6), 1, 0, 0),
        date(2027, 1, 1),
        date(2027, 2, 10),
    )
    slots = [
        CycleSlot(n, None, one.cutoff_on, one.lock_on, one.ship_from)
        for n, one in enumerate(weekly)
    ]
    every_other = Rhythm(date(2027, 1, 5), None, Interval("week", 2))
    assert cycles_of(every_other, slots) == {0, 2, 4}
    assert boxes_from(slots[0], slots, 2, date(2027, 1, 5), Interval("week", 2)) == [0, 2]
