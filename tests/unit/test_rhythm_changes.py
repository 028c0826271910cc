"""Another rhythm for a group: which cycles follow, which keep their days, what is refused."""

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.cycles import CycleDates, CycleRhythm, CycleSlot, plan_cycles, slot_for
from storefront.domain.periods import Interval
from storefront.domain.rhythm_changes import (
    FirstPayment,
    Kept,
    RhythmProblem,
    Round,
    Step,
    problem_of_steps,
    steps_of,
)

TODAY = date(2027, 3, 2)
MONTHLY = CycleRhythm(Interval("month"), 12, date(2027, 1, 1))
#: Cut-off five days before the charge, left three days later than before.
SLOWER = replace(MONTHLY, cutoff_days_before_charge=5, ship_days_after_charge=9)


@cache
def planned(rhythm: CycleRhythm) -> dict[str, CycleDates]:
    found = plan_cycles(rhythm, date(2027, 1, 1), date(2027, 9, 1))
    return {one.key: one for one in found}


def rounds() -> list[Round]:
    return [Round(n, days) for n, days in enumerate(planned(MONTHLY).values(), 1)]


def steps(found: list[Round], wanted: CycleRhythm, today: date = TODAY) -> dict[str, Step]:
    made = steps_of(found, planned(wanted), today)
    return {one.round.days.key: one for one in made}


def test_cycles_that_nothing_is_known_of_follow_the_new_rhythm():
    found = steps(rounds(), SLOWER)
    assert found["2027-02"].kept is Kept.OVER
    april = found["2027-04"]
    assert april.kept is None
    assert april.after == planned(SLOWER)["2027-04"]
    assert april.after.charge_on == april.round.days.charge_on == date(2027, 4, 12)
    assert april.after.cutoff_on == date(2027, 4, 7)


@pytest.mark.parametrize(
    ("fact", "kept"),
    [
        ({"is_locked": True}, Kept.OVER),
        ({"has_boxes": True}, Kept.BOXES),
        ({"is_promised": True}, Kept.PROMISED),
        ({"is_told": True}, Kept.TOLD),
    ],
)
def test_what_is_sold_promised_or_told_keeps_its_days(fact: dict[str, bool], kept: Kept):
    march = next(one for one in rounds() if one.days.key == "2027-03")
    found = steps([replace(march, **fact)], SLOWER)["2027-03"]
    assert (found.kept, found.after) == (kept, march.days)
    assert not found.moves


def test_paid_boxes_follow_where_that_is_wanted_and_a_promise_never_does():
    march = replace(next(one for one in rounds() if one.days.key == "2027-03"), has_boxes=True)
    for facts, moves in (({}, True), ({"is_promised": True}, False), ({"is_told": True}, False)):
        found = [replace(march, **facts)]
        made = steps_of(found, planned(SLOWER), TODAY, moves_paid=True)
        assert made[0].moves is moves


def test_days_given_by_hand_and_a_charge_day_that_has_come_stay():
    march = next(one for one in rounds() if one.days.key == "2027-03")
    assert steps([replace(march, has_own_days=True)], SLOWER)["2027-03"].kept is Kept.BY_HAND
    # One that stayed when the rhythm changed before has the days of that one, by nobody's hand.
    later = replace(march.days, ship_to=march.days.ship_to + timedelta(days=1))
    assert steps([replace(march, days=later)], SLOWER)["2027-03"].kept is None
    early = replace(MONTHLY, cutoff_days_before_charge=0)
    on_the_day = steps_of([march], planned(early), date(2027, 3, 12))
    assert on_the_day[0].kept is Kept.OVER


def test_a_cut_off_that_would_be_over_is_not_given():
    found = steps(rounds(), SLOWER, date(2027, 3, 8))
    assert found["2027-03"].kept is Kept.TOO_SOON
    assert steps(rounds(), SLOWER, date(2027, 3, 7))["2027-03"].kept is None


def test_cycles_that_would_change_places_are_refused():
    weekly = CycleRhythm(Interval("week"), 5, date(2027, 3, 5), 1, 1, 3)
    before = {one.key: one for one in plan_cycles(weekly, date(2027, 3, 5), date(2027, 5, 1))}
    late = replace(weekly, lock_days_after_charge=10, ship_days_after_charge=12)
    after = {one.key: one for one in plan_cycles(late, date(2027, 3, 5), date(2027, 5, 1))}
    some = [Round(n, days, has_boxes=n == 2) for n, days in enumerate(before.values(), 1)]
    found = steps_of(some, after, TODAY)
    assert problem_of_steps(found, []) == (RhythmProblem.ORDER, "2027-03-12")


def test_no_first_box_leaves_behind_the_second_payment():
    late = replace(MONTHLY, lock_days_after_charge=20, ship_days_after_charge=35)
    found = list(steps(rounds(), late).values())
    monthly = FirstPayment(date(2027, 4, 12), date(2027, 5, 12))
    assert problem_of_steps(found, []) is None
    assert problem_of_steps(found, [monthly]) == (RhythmProblem.PAID_BEFORE, "2027-04")
    assert problem_of_steps(found, [replace(monthly, pays_again_on=date(2027, 7, 12))]) is None
    # Whose box leaves with a cycle that keeps its days meets no change.
    kept = FirstPayment(date(2027, 2, 12), date(2027, 2, 13))
    assert problem_of_steps(found, [kept]) is None


days = st.integers(0, 28)


@given(
    cutoff=days,
    lock=days,
    later=st.integers(0, 12),
    window=st.integers(0, 14),
    today=st.dates(date(2027, 1, 1), date(2027, 8, 1)),
    facts=st.lists(st.sampled_from(["", "has_boxes", "is_promised", "is_told"]), min_size=8),
    starts=st.lists(st.dates(date(2027, 1, 1), date(2027, 8, 12)), min_size=1, max_size=6),
    paid_too=st.booleans(),
)
def test_whatever_rhythm_is_accepted_every_period_keeps_its_cycle(
    cutoff, lock, later, window, today, facts, starts, paid_too
):
    wanted = CycleRhythm(
        Interval("month"), 12, date(2027, 1, 1), cutoff, lock, lock + later, window
    )
    found = [
        replace(one, **({facts[n]: True} if facts[n] else {})) for n, one in enumerate(rounds()[:8])
    ]
    made = steps_of(found, planned(wanted), today, moves_paid=paid_too)
    waiting = [FirstPayment(day, day + timedelta(days=28)) for day in starts]
    if problem_of_steps(made, waiting) is not None:
        return
    before = [slot(one.round.id, one.round.days) for one in made]
    after = [slot(one.round.id, one.after) for one in made]
    for start in starts:
        assert key(slot_for(after, start)) == key(slot_for(before, start))
    for one in made:
        assert one.after.charge_on == one.round.days.charge_on
        is_paid = one.round.has_boxes and not paid_too
        is_fixed = is_paid or one.round.is_promised or one.round.is_told
        assert not (one.moves and (is_fixed or one.round.days.cutoff_on < today))
        assert not (one.moves and one.after.cutoff_on < today)
    for each in waiting:
        joins = slot_for(after, each.joins_on)
        step = next((one for one in made if joins and one.round.id == joins.id), None)
        if step is not None and step.moves:
            # What left behind the payment already is not made worse.
            before_it = step.round.days.ship_from > each.pays_again_on
            assert before_it or step.after.ship_from <= each.pays_again_on
    assert [one.id for one in sorted(after, key=leaving)] == [one.id for one in before]


def slot(number: int, dates: CycleDates) -> CycleSlot:
    return CycleSlot(number, dates.charge_on, dates.cutoff_on, dates.lock_on, dates.ship_from)


def leaving(one: CycleSlot) -> tuple[date, date, int]:
    return one.ship_from, one.lock_on, one.id


def key(one: CycleSlot | None) -> int | None:
    return None if one is None else one.id
