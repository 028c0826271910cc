"""How a subscription begins: paid, tried, or free up to the billing day."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.checkout import AfterTerm, CouponTerms, OrderTerms, quote_order
from storefront.domain.coupons import Discount
from storefront.domain.cycles import CycleSlot
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.money import Money
from storefront.domain.openings import NoCycle, next_day, open_with
from storefront.domain.periods import Interval, add_interval
from storefront.domain.recurring import Phase

MONTH, WEEK = Interval("month"), Interval("week")


def eur(minor):
    return Money(minor, "EUR")


def calendar(count=12):
    """Charged on the 12th, cut off the 11th, locked the 16th, shipped the 18th."""
    return [
        CycleSlot(n, date(2027, n, 12), date(2027, n, 11), date(2027, n, 16), date(2027, n, 18))
        for n in range(1, count + 1)
    ]


CLUB = OrderTerms(
    plan_name="Club",
    plan_ref="club",
    price_ref="pri_1",
    amount=eur(3100),
    interval=MONTH,
    shipping=None,
    inclusive=True,
    tax_rate=Decimal(19),
    country="DE",
    today=date(2027, 3, 5),
)
BOX = replace(CLUB, shipping=MONTH, cycles=calendar(), charge_day=12)


def due(terms):
    return quote_order(terms).due_today.minor


def charged(terms):
    return [(one.on.isoformat(), one.amount.minor) for one in quote_order(terms).charges]


@pytest.mark.parametrize(
    ("day", "interval", "charge_day", "wanted"),
    [
        ("2027-03-05", MONTH, 1, "2027-04-01"),
        ("2027-03-05", MONTH, 5, "2027-03-05"),
        ("2027-03-05", MONTH, 15, "2027-03-15"),
        ("2027-02-10", MONTH, 31, "2027-02-28"),
        ("2028-02-10", MONTH, 31, "2028-02-29"),
        ("2027-02-28", MONTH, 31, "2027-02-28"),
        ("2027-04-30", Interval("month", 3), 31, "2027-04-30"),
        ("2027-12-20", Interval("year"), 15, "2028-01-15"),
        ("2027-03-05", WEEK, 5, "2027-03-05"),
        ("2027-03-05", WEEK, 1, "2027-03-08"),
        ("2027-03-05", Interval("week", 2), 4, "2027-03-11"),
        ("2027-03-05", Interval("day", 10), 1, "2027-03-05"),
    ],
)
def test_the_fixed_billing_day_is_the_first_one_from_a_day_on(day, interval, charge_day, wanted):
    found = next_day(date.fromisoformat(day), interval, charge_day)
    assert found == date.fromisoformat(wanted)


@given(
    st.dates(date(2000, 1, 1), date(2400, 1, 1)),
    st.sampled_from([MONTH, Interval("month", 3), Interval("year")]),
    st.integers(1, 31),
)
def test_the_next_billing_day_is_within_a_month_and_keeps_the_wished_day(day, interval, wished):
    found = next_day(day, interval, wished)
    assert 0 <= (found - day).days <= 31
    following = add_interval(found, MONTH, 1, day=wished)
    assert found.day == wished or (found + timedelta(days=1)).day == 1
    assert following.day == wished or (following + timedelta(days=1)).day == 1


def test_a_trial_asks_for_nothing_and_is_charged_at_its_end():
    quote = quote_order(replace(CLUB, trial_days=14))
    assert quote.due_today.minor == 0
    assert quote.opening.kind is PeriodKind.TRIAL
    assert quote.renewal_on == date(2027, 3, 19)
    assert charged(replace(CLUB, trial_days=14)) == [("2027-03-19", 3100)]


def test_the_sign_up_fee_is_due_when_a_trial_begins():
    assert due(replace(CLUB, trial_days=14, sign_up_fee=eur(900))) == 900


def test_a_trial_spends_no_once_coupon():
    coupon = CouponTerms("1", "HALF", Discount("percent", Decimal(50)), 1)
    tried = replace(CLUB, trial_days=14, discounts=(coupon,))
    assert due(tried) == 0
    assert charged(tried) == [("2027-03-19", 1550), ("2027-04-19", 3100)]


def test_a_trial_of_a_box_ends_on_the_charge_day_of_its_first_cycle():
    quote = quote_order(replace(BOX, trial_days=14))
    assert quote.renewal_on == date(2027, 4, 12)
    assert quote.cycle.ship_from == date(2027, 4, 18)
    assert quote.period.days == 38


def test_a_trial_past_the_planned_cycles_is_refused_by_the_plans_name():
    with pytest.raises(NoCycle) as refused:
        quote_order(replace(BOX, cycles=calendar(3), trial_days=30))
    assert refused.value.params["plan"] == "Club"


def test_a_first_period_paid_in_full_is_followed_by_free_days():
    quote = quote_order(replace(CLUB, charge_day=1))
    assert quote.due_today.minor == 3100
    assert (quote.period.end, quote.free.end) == (date(2027, 4, 5), date(2027, 5, 1))


def test_a_prorated_first_period_costs_its_days():
    quote = quote_order(replace(CLUB, charge_day=1, first_period="prorated"))
    assert quote.due_today.minor == 2700
    assert quote.renewal_on == date(2027, 4, 1)
    assert quote.first.mrr == quote_order(CLUB).first.mrr


def test_days_up_to_the_billing_day_may_be_free():
    quote = quote_order(replace(CLUB, charge_day=1, first_period="free"))
    assert (quote.due_today.minor, quote.opening.kind) == (0, PeriodKind.FREE)
    assert charged(replace(CLUB, charge_day=1, first_period="free")) == [("2027-04-01", 3100)]


@pytest.mark.parametrize("first", ["full", "prorated", "free"])
def test_an_order_on_the_billing_day_is_a_whole_period(first):
    quote = quote_order(replace(CLUB, charge_day=5, first_period=first))
    assert (quote.due_today.minor, quote.renewal_on) == (3100, date(2027, 4, 5))


def test_a_box_free_until_the_billing_day_is_charged_with_its_first_cycle():
    quote = quote_order(replace(BOX, first_period="free"))
    assert quote.due_today.minor == 0
    assert quote.renewal_on == quote.cycle.charge_on == date(2027, 3, 12)


def test_an_introductory_price_is_shown_with_the_day_it_ends():
    intro = replace(BOX, phases=(Phase(3, eur(900)),))
    assert due(intro) == 900
    assert charged(intro) == [("2027-04-12", 900), ("2027-06-12", 3100)]


def test_phases_discounts_and_the_end_are_all_told():
    coupon = CouponTerms("1", "HALF", Discount("percent", Decimal(50)), 2)
    terms = replace(BOX, phases=(Phase(3, eur(900)),), discounts=(coupon,), max_boxes=4)
    assert due(terms) == 450
    assert charged(terms) == [("2027-04-12", 450), ("2027-05-12", 900), ("2027-06-12", 3100)]


def test_what_ends_after_its_first_term_is_never_charged_again():
    term = replace(BOX, interval=Interval("month", 3), max_boxes=3)
    assert charged(term) == []
    assert charged(replace(BOX, ends_on=date(2027, 4, 12))) == []
    assert charged(replace(BOX, ends_on=date(2027, 4, 13))) == [("2027-04-12", 3100)]


def test_a_prepaid_term_may_fall_to_a_box_at_a_time():
    then = AfterTerm("pri_2", eur(1200), MONTH)
    term = replace(BOX, interval=Interval("month", 3), then=then)
    quote = quote_order(term)
    assert quote.due_today.minor == 3100
    assert charged(term) == [("2027-06-12", 1200)]
    assert (quote.full.quote.total.minor, quote.renews_each) == (1200, MONTH)


openings = st.fixed_dictionaries(
    {
        "today": st.dates(date(2027, 1, 1), date(2027, 6, 30)),
        "interval": st.sampled_from([MONTH, Interval("month", 2), Interval("month", 3)]),
        "boxes": st.sampled_from([0, 1]),
        "charge_day": st.sampled_from([None, 1, 12, 31]),
        "trial_days": st.integers(0, 45),
        "first_period": st.sampled_from(["full", "free"]),
    }
)


@given(openings)
def test_the_first_days_tile_time_up_to_the_next_payment(given_):
    boxes = given_.pop("boxes")
    interval, today = given_.pop("interval"), given_.pop("today")
    if boxes:
        given_["charge_day"] = 12
        boxes = interval.multiple_of(MONTH)
    opening = open_with(today, interval, boxes, calendar() if boxes else [], **given_)
    ends = [opening.period, *([opening.free] if opening.free else [])]
    assert ends[0].start == today
    assert ends[-1].end == opening.renewal_on
    assert all(a.end == b.start for a, b in pairwise(ends))
    if given_["trial_days"]:
        assert opening.period.days >= given_["trial_days"]
    if opening.cycle is not None and opening.kind is not PeriodKind.BILLED:
        assert opening.renewal_on == opening.cycle.charge_on


@given(st.integers(0, 99999), st.integers(1, 31), st.dates(date(2027, 1, 1), date(2029, 1, 1)))
def test_a_prorated_start_never_costs_more_than_a_whole_period(minor, charge_day, today):
    terms = replace(
        CLUB, amount=eur(minor), charge_day=charge_day, today=today, first_period="prorated"
    )
    quote = quote_order(terms)
    assert 0 <= quote.due_today.minor <= minor
