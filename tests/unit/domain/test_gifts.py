"""Rules of gifts, without a database."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.checkout import AfterTerm, OrderTerms, quote_order
from storefront.domain.cycles import CycleSlot
from storefront.domain.gifts import (
    DAYS_AHEAD,
    GiftState,
    GiftWish,
    begun_on,
    closed_without_address,
    first_day,
    follows_on,
    moved_to,
    problem_of_day,
    read_wish,
    state_of,
)
from storefront.domain.money import Money
from storefront.domain.periods import Interval, add_interval
from storefront.domain.renewals import NOTICE_DAYS

TODAY = date(2027, 3, 2)
WISH = GiftWish("Ada", "ada@example.org", "DE", "Happy birthday!", date(2027, 4, 1))


def cycle(key: int, cutoff: date) -> CycleSlot:
    lock = cutoff + timedelta(days=4)
    return CycleSlot(key, cutoff + timedelta(days=1), cutoff, lock, lock + timedelta(days=3))


def year_of_cycles() -> list[CycleSlot]:
    return [cycle(n, date(2027 + (n + 1) // 12, (n + 1) % 12 + 1, 11)) for n in range(1, 20)]


def terms(**values: object) -> OrderTerms:
    given_ = {
        "plan_name": "Pot",
        "plan_ref": "pot",
        "price_ref": "pri",
        "amount": Money(6900, "EUR"),
        "interval": Interval("month", 3),
        "shipping": Interval("month"),
        "inclusive": True,
        "tax_rate": Decimal("0.07"),
        "country": "DE",
        "today": TODAY,
        "cycles": year_of_cycles(),
    }
    return OrderTerms(**{**given_, **values})


@pytest.mark.parametrize(
    ("days", "problem"),
    [(-1, "past"), (0, ""), (DAYS_AHEAD, ""), (DAYS_AHEAD + 1, "too_far")],
)
def test_a_gift_begins_between_today_and_half_a_year_ahead(days: int, problem: str):
    assert problem_of_day(TODAY + timedelta(days=days), TODAY) == problem


def test_a_wish_is_kept_and_read_as_it_was():
    assert read_wish(WISH.kept()) == WISH
    assert read_wish({}) is None


def test_a_day_that_passed_before_the_payment_begins_today():
    assert first_day(date(2027, 2, 1), TODAY) == TODAY
    assert first_day(WISH.send_on, TODAY) == WISH.send_on


@given(
    st.integers(0, DAYS_AHEAD),
    st.sampled_from([1, 2, 3, 6]),
    st.sampled_from(["full", "free"]),
    st.booleans(),
    st.booleans(),
)
def test_a_gift_is_paid_in_full_today_and_never_again(
    days: int, months: int, first_period: str, falls: bool, tries: bool
):
    """Whatever the plan would do for a subscriber: try, give days, fall to another price."""
    day = TODAY + timedelta(days=days)
    own = terms(
        interval=Interval("month", months),
        first_period=first_period,
        trial_days=14 if tries else 0,
        then=AfterTerm("pri2", Money(2600, "EUR"), Interval("month")) if falls else None,
    )

    quote = quote_order(begun_on(own, day))

    assert quote.due_today == Money(6900, "EUR")
    assert quote.charges == ()
    assert quote.period.start == day
    assert quote.boxes == months
    assert quote.cycle is not None
    assert quote.cycle.cutoff_on >= day


@given(st.lists(st.dates(date(2027, 1, 1), date(2027, 12, 31)), unique=True, max_size=8))
def test_every_round_whose_cut_off_is_over_is_left_and_no_other(days: list[date]):
    slots = [cycle(number, day) for number, day in enumerate(days)]

    left = closed_without_address(slots, TODAY)

    assert {one.cutoff_on for one in left} == {day for day in days if day < TODAY}
    assert [one.cutoff_on for one in left] == sorted(one.cutoff_on for one in left)


def test_the_cut_off_day_itself_is_in_time():
    assert closed_without_address([cycle(1, TODAY)], TODAY) == []
    assert len(closed_without_address([cycle(1, TODAY - timedelta(days=1))], TODAY)) == 1


def test_a_gift_is_waiting_then_told_then_claimed():
    assert state_of(is_told=False, is_claimed=False) is GiftState.WAITING
    assert state_of(is_told=True, is_claimed=False) is GiftState.TOLD
    assert state_of(is_told=True, is_claimed=True) is GiftState.CLAIMED


DAYS = st.dates(date(2027, 1, 1), date(2028, 12, 31))


@given(begun=DAYS, boxes=st.integers(1, 12), wait=st.integers(-60, 400), unplaced=st.integers(0, 3))
def test_what_follows_a_gift_is_paid_behind_its_boxes_and_as_soon_as_that(
    begun: date, boxes: int, wait: int, unplaced: int
) -> None:
    month, last = Interval("month"), begun + timedelta(days=wait)

    day = follows_on(begun, month, boxes, last, unplaced)

    least = add_interval(begun, month, boxes)
    assert day >= least
    assert day > last
    # Behind the boxes that have a round there is room for the others, and no more.
    boundaries = [add_interval(begun, month, number) for number in range(40)]
    room = sum(last < each < day for each in boundaries)
    assert room >= unplaced
    assert day == least or room == unplaced


def test_boxes_without_a_round_put_no_payment_off_behind_the_year_that_was_paid() -> None:
    begun, last = date(2027, 4, 20), date(2027, 12, 12)

    assert follows_on(begun, Interval("month"), 12, last, unplaced=4) == date(2028, 4, 20)
    assert follows_on(begun, Interval("month"), 12, None, unplaced=12) == date(2028, 4, 20)


@given(current=DAYS, wanted=DAYS, agreed=DAYS, ours=DAYS, today=DAYS)
def test_the_first_payment_never_comes_before_the_day_agreed_on(
    current: date, wanted: date, agreed: date, ours: date, today: date
) -> None:
    current = max(current, agreed)

    day = moved_to(current, wanted, agreed, ours, today)

    assert day >= max(wanted, agreed) or day == current
    assert day >= agreed
    if ours != current:
        assert day >= current
    if day < current:
        assert day > today + timedelta(days=NOTICE_DAYS)


@given(wanted=DAYS, agreed=DAYS, today=DAYS, more=st.integers(1, 60))
def test_a_first_payment_moves_back_where_there_is_time_to_tell(
    wanted: date, agreed: date, today: date, more: int
) -> None:
    aim = max(wanted, agreed)
    current = aim + timedelta(days=more)

    day = moved_to(current, wanted, agreed, current, today)

    assert day == (aim if aim > today + timedelta(days=NOTICE_DAYS) else current)
