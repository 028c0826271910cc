"""Boxes and pieces of the next cycles, from subscribers as they stand."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.boxes import CycleSlot, PaidBox, Pause, ProjectedKind, Standing, project
from storefront.domain.choices import Limit, PoolItem, Rule
from storefront.domain.packing import RecipeFacts
from storefront.domain.periods import Interval
from storefront.domain.units import (
    BoxKey,
    Need,
    SoldAs,
    Subscriber,
    expect_boxes,
    leaving_rate,
    pieces_of,
    purchase_of,
)

MONTH = Interval("month")
TODAY = date(2027, 3, 2)
CYCLES = tuple(
    CycleSlot(n, date(2027, 2 + n, 12), date(2027, 2 + n, 11), date(2027, 2 + n, 15),
              date(2027, 2 + n, 18))
    for n in range(1, 9)
)  # fmt: skip
NEXT_THREE = {1: 1, 2: 1, 3: 1}
POT = SoldAs(7, (), 1)


def standing(**values):
    given_values = {
        "cycles": CYCLES,
        "billing": MONTH,
        "shipping": MONTH,
        "renews_on": date(2027, 3, 12),
        "anchor_day": 12,
    }
    return Standing(**given_values | values)


def boxes(*subscribers, leaving=0.0):
    found = expect_boxes(subscribers, NEXT_THREE, TODAY, leaving)
    return {key.cycle: (need.paid, need.planned) for key, need in sorted(found.boxes.items())}


def test_a_running_subscriber_gets_a_box_of_each_cycle():
    assert boxes(Subscriber(standing(), POT)) == {1: (0, 1), 2: (0, 1), 3: (0, 1)}


def test_a_paid_box_is_certain_and_stands_where_it_was_moved_to():
    moved = standing(
        renews_on=date(2027, 4, 12),
        paid=(PaidBox(5, CYCLES[1]),),
        taken=frozenset({2}),
        skipped=frozenset({1}),
    )

    # It moved behind the cycle that was skipped, so nothing is charged for that place.
    assert boxes(Subscriber(moved, POT, {5: POT})) == {2: (1, 0), 3: (0, 1)}


def test_a_skipped_cycle_needs_nothing():
    assert boxes(Subscriber(standing(skipped=frozenset({2})), POT)) == {1: (0, 1), 3: (0, 1)}


def test_a_pause_with_an_end_leaves_out_its_boxes_only():
    paused = standing(pauses=(Pause(date(2027, 3, 12), date(2027, 5, 1)),))

    assert boxes(Subscriber(paused, POT)) == {3: (0, 1)}


def test_a_pause_without_an_end_and_a_subscription_on_hold_need_nothing_more():
    resting = standing(pauses=(Pause(date(2027, 3, 12), None),))
    held = standing(renews_on=None)

    assert boxes(Subscriber(resting, POT), Subscriber(held, POT)) == {}


def test_who_leaves_gets_boxes_until_then():
    assert boxes(Subscriber(standing(cancel_on=date(2027, 4, 12)), POT)) == {1: (0, 1)}


def test_a_term_of_two_boxes_ends_after_them():
    assert boxes(Subscriber(standing(boxes_left=2), POT)) == {1: (0, 1), 2: (0, 1)}


def test_a_prepaid_term_fills_its_cycles_with_one_charge():
    quarter = standing(billing=Interval("month", 3))

    assert boxes(Subscriber(quarter, POT)) == {1: (0, 1), 2: (0, 1), 3: (0, 1)}


def test_quantity_and_what_a_paid_box_was_sold_as_count():
    old, new = SoldAs(7, (("taste", "mild"),), 2), SoldAs(8, (), 3)
    one = Subscriber(
        standing(paid=(PaidBox(5, CYCLES[0]),), taken=frozenset({1}), renews_on=date(2027, 4, 12)),
        new,
        {5: old},
    )
    found = expect_boxes([one], NEXT_THREE, TODAY)

    assert found.boxes[BoxKey(1, 7, old.options)].paid == 2
    assert found.boxes[BoxKey(2, 8, ())].planned == 3


def test_leavers_thin_out_what_is_still_to_be_charged_and_nothing_that_is_paid():
    paid = standing(paid=(PaidBox(5, CYCLES[0]),), taken=frozenset({1}),
                    renews_on=date(2027, 4, 12))  # fmt: skip
    found = expect_boxes([Subscriber(paid, POT, {5: POT})], NEXT_THREE, TODAY, 0.01)

    assert found.boxes[BoxKey(1, 7, ())].expected == 1
    # Charged on 12 April, 41 days from now.
    assert found.boxes[BoxKey(2, 7, ())].staying == pytest.approx(0.99**41)


def test_an_add_on_comes_once_or_with_every_box():
    one = Subscriber(standing(), POT, addons=((1, 2),), addons_once=((9, 1),))
    found = expect_boxes([one], NEXT_THREE, TODAY).addons

    assert {key: need.planned for key, need in found.items()} == {
        (1, 1): 2, (2, 1): 2, (3, 1): 2, (1, 9): 1,
    }  # fmt: skip


def test_a_share_of_leavers_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="leavers"):
        expect_boxes([], NEXT_THREE, TODAY, 1.0)


@given(
    st.lists(
        st.builds(
            standing,
            renews_on=st.none() | st.dates(date(2027, 3, 3), date(2027, 7, 1)),
            skipped=st.frozensets(st.integers(1, 8), max_size=3),
            taken=st.frozensets(st.integers(1, 3), max_size=2),
            boxes_left=st.none() | st.integers(0, 4),
            cancel_on=st.none() | st.dates(date(2027, 3, 3), date(2027, 8, 1)),
        ),
        max_size=6,
    )
)
def test_the_forecast_is_the_sum_of_what_each_account_shows(some):
    found = boxes(*(Subscriber(one, POT) for one in some))
    shown = {}
    for one in some:
        for box in project(one, 8, TODAY):
            if box.kind is ProjectedKind.PLANNED and box.cycle and box.cycle.id in NEXT_THREE:
                shown[box.cycle.id] = (0, shown.get(box.cycle.id, (0, 0))[1] + 1)

    assert found == shown


def recipe(*items, rule=None, pool=()):
    return RecipeFacts(1, True, "", items, rule, pool)


def test_pieces_are_the_recipe_times_the_boxes():
    found = pieces_of({BoxKey(1, 7, ()): Need(2, 3, 1.5)}, {1: {7: [recipe((40, 2), (41, 1))]}})

    assert found.needs[1, 40] == Need(4, 6, 3.0)
    assert found.needs[1, 41].whole == 4


def test_boxes_are_counted_with_the_recipe_for_the_most_of_their_answers():
    both = RecipeFacts(2, True, "size=large&taste=mild", ((41, 1),))
    large, mild = ("size", "large"), ("taste", "mild")
    boxes = {BoxKey(1, 7, (large, mild)): Need(2), BoxKey(1, 7, (large,)): Need(3)}

    found = pieces_of(boxes, {1: {7: [recipe((40, 1)), both]}})

    assert {key[1]: need.paid for key, need in found.needs.items()} == {40: 3, 41: 2}


def test_boxes_without_a_recipe_are_named():
    assert pieces_of({BoxKey(1, 7, ()): Need(2, 1, 1)}, {}).bare == {1: 3}


def needed(found):
    return {key[1]: need.paid for key, need in found.needs.items() if need.paid}


def test_what_was_chosen_counts_and_the_rest_is_what_the_default_rule_takes():
    pool = recipe(rule=Rule(2), pool=((50, 1), (51, 1), (52, 1)))
    found = pieces_of({BoxKey(1, 7, ()): Need(4, 2, 1.5)}, {1: {7: [pool]}}, {(1, 7): {52: 2}})

    # Eight pieces in all; two were chosen, the other six are three boxes with one of each.
    assert needed(found) == {50: 3, 51: 3, 52: 2}
    assert found.needs[1, 50].planned == found.needs[1, 51].planned == 2
    assert found.needs[1, 52].staying == 0


def test_limits_of_the_rule_hold_in_the_forecast():
    pool = recipe(rule=Rule(2, (Limit("sweet", 1, 1),)), pool=((50, 1), (51, 1), (52, 1)))
    items = {50: PoolItem(50), 51: PoolItem(51), 52: PoolItem(52, category="sweet", left=0)}

    found = pieces_of({BoxKey(1, 7, ()): Need(3)}, {1: {7: [pool]}}, None, items)

    assert needed(found) == {50: 3, 52: 3}


def test_a_pool_that_fills_no_box_is_shared_evenly():
    pool = recipe(rule=Rule(2, (Limit("sweet", 1, 1),)), pool=((50, 1), (51, 1)))

    assert needed(pieces_of({BoxKey(1, 7, ()): Need(3)}, {1: {7: [pool]}})) == {50: 3, 51: 3}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 4), st.integers(1, 5))
def test_no_piece_of_a_pool_is_lost_or_made_up(chosen, paid, pieces, size):
    pool = recipe(rule=Rule(pieces), pool=tuple((50 + n, 1) for n in range(size)))
    found = pieces_of({BoxKey(1, 7, ()): Need(paid)}, {1: {7: [pool]}}, {(1, 7): {50: chosen}})

    assert sum(need.paid for need in found.needs.values()) == paid * pieces


def test_what_to_buy_is_what_is_missing_by_the_first_lock_that_falls_short():
    march, april = date(2027, 3, 15), date(2027, 4, 15)

    short = purchase_of(10, [(april, Need(0, 8, 7.5)), (march, Need(4))])
    assert (short.needed, short.to_buy, short.by) == (12, 2, april)
    enough = purchase_of(12, [(march, Need(4)), (april, Need(0, 8, 7.5))])
    assert (enough.to_buy, enough.by) == (0, None)
    owed = purchase_of(-3, [(march, Need(4))])
    assert (owed.needed, owed.to_buy, owed.by) == (4, 7, march)


def test_the_rate_of_leavers_is_per_subscriber_and_day():
    days = {TODAY - timedelta(days=n): (0, 0) for n in range(10)}
    days[TODAY] = (1, 0)
    days[TODAY - timedelta(days=4)] = (0, 2)

    # 8 at the end of today, 7 before it came, 9 before the two left.
    assert leaving_rate(8, days, TODAY) == pytest.approx(2 / (8 + 3 * 7 + 9 + 5 * 9))
    assert leaving_rate(0, {TODAY: (0, 0)}, TODAY) == 0
