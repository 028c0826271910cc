"""Changes inside a period: credit is what was paid for the unused, never more; sums stay true."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.changes import (
    PaidLine,
    Policy,
    Target,
    Unused,
    full_price,
    part_of,
    quote_later,
    quote_now,
    settle,
    take_back,
)
from storefront.domain.coupons import Discount
from storefront.domain.invoices import LineKind
from storefront.domain.money import Money, split_minor
from storefront.domain.periods import BillingPeriod, Interval
from storefront.domain.pricing import NamedDiscount, PricedItem, QuoteLine, quote, with_credits

START = date(2027, 1, 1)
YEAR = BillingPeriod(START, date(2028, 1, 1))
TODAY = date(2027, 4, 1)
RATE = Decimal(19)


def euro(minor):
    return Money(minor, "EUR")


def price(minor, *more, rate=RATE, inclusive=True):
    """A quote of a plan at ``minor`` with ``more`` items of (kind, minor, rate)."""
    items = [PricedItem(LineKind.PLAN, "Tea", 1, euro(minor), rate)]
    items += [PricedItem(kind, str(kind), 1, euro(cost), by) for kind, cost, by in more]
    return quote(items, inclusive=inclusive)


def line(gross, *, key=1, tax=None, service=YEAR, rate=RATE):
    inside = price(gross, rate=rate).tax.minor if tax is None else tax
    return PaidLine(key, LineKind.PLAN, "Tea", gross, inside, rate, service)


def unused(boxes, of, on=TODAY, worth=None, paid=0):
    return Unused(boxes, of, on, paid if worth is None else worth)


# What was paid, boxes not packed, of how many, the new price -> credit, charge on the grid.
BY_BOXES = [
    (4000, 9, 12, 6000, 3000, 4500),
    (4000, 12, 12, 6000, 4000, 6000),
    (4000, 1, 12, 6000, 333, 500),
    (4000, 0, 12, 6000, 0, 0),
    (2600, 1, 1, 3000, 2600, 3000),
    (7410, 2, 3, 9000, 4940, 6000),
    (100, 1, 3, 200, 33, 67),
    (1, 1, 12, 1, 0, 0),
    (0, 5, 12, 6000, 0, 2500),
]


@pytest.mark.parametrize(("paid", "boxes", "of", "new", "credit", "charge"), BY_BOXES)
def test_boxes_not_packed_are_credited_and_charged(paid, boxes, of, new, credit, charge):
    found = take_back([line(paid)], unused(boxes, of, paid=paid), Policy.BOXES)
    assert sum(one.gross_minor for one in found) == credit
    part = part_of(euro(new), YEAR, unused(boxes, of), of, Policy.BOXES)
    assert part == euro(charge)


def test_forty_a_year_with_three_of_twelve_boxes_sent_restarts_at_sixty_for_thirty():
    taken = take_back([line(4000)], unused(9, 12, worth=2997), Policy.BOXES)
    new = price(6000)
    settled = settle(taken, new, full_price(new))
    assert (settled.credit, settled.quote.total) == (euro(3000), euro(3000))


# Policy, day of change -> credit of 365.00, charge of 730.00 in a year of 365 days.
BY_DAYS = [
    (Policy.DAYS, START, 36500, 73000),
    (Policy.DAYS, date(2027, 1, 2), 36400, 72800),
    (Policy.DAYS, date(2027, 4, 11), 26500, 53000),
    (Policy.DAYS, date(2027, 12, 31), 100, 200),
    (Policy.FULL, date(2027, 12, 31), 36500, 73000),
    (Policy.NONE, START, 0, None),
]


def test_what_went_back_for_a_box_that_lacked_something_lowers_that_box_alone():
    """Two boxes of 26.00; the one that left gave 4.00 back."""
    left = Unused(1, 2, TODAY, 2600, given_minor=400)
    assert [one.gross_minor for one in take_back([line(4800)], left, Policy.BOXES)] == [2600]
    last = Unused(1, 2, TODAY, 2600, given_minor=4000)
    assert [one.gross_minor for one in take_back([line(1200)], last, Policy.BOXES)] == [1200]


def test_what_went_back_ahead_for_a_box_that_is_not_sent_is_not_taken_back_again():
    """Three boxes of 26.00, one of them sent: 6.00 went back for one that was not."""
    ahead = Unused(2, 3, TODAY, 5200, ahead_minor=600)
    assert [one.gross_minor for one in take_back([line(7200)], ahead, Policy.BOXES)] == [4600]
    more = Unused(1, 3, TODAY, 2600, ahead_minor=4000)
    assert take_back([line(3800)], more, Policy.BOXES) == []


@pytest.mark.parametrize(("policy", "day", "credit", "charge"), BY_DAYS)
def test_days_full_and_none(policy, day, credit, charge):
    found = take_back([line(36500)], unused(0, 0, day), policy)
    assert sum(one.gross_minor for one in found) == credit
    if charge is not None:
        assert part_of(euro(73000), YEAR, unused(0, 0, day), 0, policy) == euro(charge)


@pytest.mark.parametrize("day", [1, 100, 364])
@pytest.mark.parametrize("off", [0, 10, 50])
def test_a_year_left_for_a_month_gives_the_rest_of_the_year_back_with_tax_and_coupon(day, off):
    paid = 36500 * (100 - off) // 100
    on = START + timedelta(days=day)
    taken = take_back([line(paid)], unused(0, 0, on), Policy.DAYS)
    new = price(3000)
    settled = settle(taken, new, full_price(new))
    left = Fraction(paid * (365 - day), 365)
    assert abs(settled.credit.minor - left) <= Fraction(1, 2)
    assert settled.quote.total.minor == 3000 - settled.credit.minor
    assert settled.quote.tax.minor == sum(each.tax.minor for each in settled.quote.lines)


def test_each_line_is_credited_with_its_own_share_of_tax():
    lines = [line(1190, key=1, tax=190), line(1070, key=2, tax=70, rate=Decimal(7))]
    taken = take_back(lines, unused(1, 2, worth=1130), Policy.BOXES)
    assert [(one.line.id, one.gross_minor, one.tax_minor) for one in taken] == [
        (1, 595, 95),
        (2, 535, 35),
    ]
    settled = settle(taken, price(5000), euro(5000))
    assert [each.ref for each in settled.quote.lines[:2]] == ["1", "2"]
    assert [each.tax.minor for each in settled.quote.lines[:2]] == [-95, -35]


def test_everything_credited_takes_back_the_tax_to_the_cent_as_it_was_booked():
    # Of a document with several lines, whose tax was rounded once and not line by line.
    taken = take_back([line(1005, tax=161)], unused(1, 1, paid=1005), Policy.BOXES)
    assert [(one.gross_minor, one.tax_minor) for one in taken] == [(1005, 161)]


def test_discounts_are_inside_the_charges_they_lower_and_named_by_them():
    tenth = NamedDiscount("TEN", "", Discount("percent", Decimal(10)))
    new = quote([PricedItem(LineKind.PLAN, "Tea", 1, euro(3000), RATE)], [tenth], inclusive=True)
    settled = settle([], new, full_price(new))
    assert [(each.text, each.amount.minor) for each in settled.quote.lines] == [("Tea (TEN)", 2700)]


def test_a_sign_up_fee_is_neither_charged_nor_counted():
    new = price(3000, (LineKind.SIGN_UP_FEE, 500, RATE))
    assert full_price(new) == euro(3000)
    assert settle([], new, euro(3000)).quote.total == euro(3000)


def test_prices_without_tax_are_settled_with_it():
    new = price(1000, inclusive=False)
    assert full_price(new) == euro(1190)
    assert settle([], new, full_price(new)).quote.tax == euro(190)


def test_lines_that_pay_for_boxes_sent_before_are_not_credited_for_them():
    # Full policy: all was taken back and charged anew, but nine boxes had been sent.
    taken = take_back([line(6000)], unused(3, 3, worth=3000), Policy.BOXES)
    assert sum(one.gross_minor for one in taken) == 3000


def test_credits_go_before_charges_and_no_discount_may_stand_behind_them():
    tenth = NamedDiscount("TEN", "", Discount("percent", Decimal(10)))
    new = quote([PricedItem(LineKind.PLAN, "Tea", 1, euro(3000), RATE)], [tenth], inclusive=True)
    taken = QuoteLine(
        LineKind.PRORATION_CREDIT, "", 1, euro(-100), euro(-100), RATE, euro(-16), "1"
    )
    with pytest.raises(ValueError, match="names another"):
        with_credits(new, [taken])


WEIGHTS = st.lists(st.integers(1, 100_000), min_size=1, max_size=4)


@given(WEIGHTS, st.integers(1, 52), st.data())
def test_a_credit_never_exceeds_what_was_paid_for_the_unused_part(grosses, of, data):
    boxes = data.draw(st.integers(0, of))
    lines = [line(gross, key=key) for key, gross in enumerate(grosses)]
    shares = split_minor(sum(grosses), [1] * of)
    worth = sum(shares[of - boxes :])
    found = take_back(lines, unused(boxes, of, worth=worth), Policy.BOXES)
    assert sum(one.gross_minor for one in found) <= Fraction(sum(grosses) * boxes, of)
    for one in found:
        assert 0 < one.gross_minor <= one.line.gross_minor
        assert 0 <= one.tax_minor <= one.line.tax_minor


@given(
    st.integers(1, 200_000),
    st.integers(1, 24),
    st.lists(st.tuples(st.integers(0, 24), st.integers(0, 200_000)), max_size=8),
)
def test_any_number_of_changes_costs_what_each_box_cost_when_it_was_packed(first, of, changes):
    """Within a minor unit per change of the sum of the boxes' prices."""
    live, pays_for, held = first, of, Fraction(first, of)
    paid, direct, left = first, Fraction(0), of
    for sent, new in sorted((min(sent, of), new) for sent, new in changes):
        direct += held * (left - (of - sent)) if of - sent < left else 0
        left = min(left, of - sent)
        if not left:
            break
        taken = take_back([line(live)], unused(left, pays_for, paid=live), Policy.BOXES)
        credit = sum(one.gross_minor for one in taken)
        live = part_of(euro(new), YEAR, unused(left, of), of, Policy.BOXES).minor
        paid += live - credit
        pays_for, held = left, Fraction(new, of)
    direct += held * left
    assert abs(paid - direct) <= len(changes) + 1


@given(
    st.integers(1, 200_000),
    st.lists(st.tuples(st.integers(0, 364), st.integers(0, 200_000)), max_size=8),
)
def test_any_number_of_changes_by_days_costs_the_days_of_each_plan(first, changes):
    paid_line, paid, direct, since, held = line(first), first, Fraction(0), START, first
    for offset, new in sorted(changes):
        on = START + timedelta(days=offset)
        direct += Fraction(held * (on - since).days, 365)
        taken = take_back([paid_line], unused(0, 0, on), Policy.DAYS)
        part = part_of(euro(new), YEAR, unused(0, 0, on), 0, Policy.DAYS)
        paid += part.minor - sum(one.gross_minor for one in taken)
        paid_line = line(part.minor, service=BillingPeriod(on, YEAR.end))
        since, held = on, new
    direct += Fraction(held * (YEAR.end - since).days, 365)
    assert abs(paid - direct) <= len(changes) + 1


@given(st.integers(0, 100_000), WEIGHTS, st.data())
def test_the_document_is_the_charge_less_the_credit_and_its_lines_sum_to_it(new, grosses, data):
    asked = price(new, (LineKind.OPTION, data.draw(st.integers(0, 5000)), Decimal(7)))
    lines = [line(gross, key=key) for key, gross in enumerate(grosses)]
    boxes = data.draw(st.integers(0, 12))
    taken = take_back(lines, unused(boxes, 12, paid=sum(grosses)), Policy.BOXES)
    part = part_of(full_price(asked), YEAR, unused(boxes, 12), 12, Policy.BOXES)
    settled = settle(taken, asked, part)
    shown = settled.quote
    assert shown.total == part - settled.credit
    assert sum(each.amount.minor for each in shown.lines) == shown.total.minor
    assert sum(tax.minor for _, _, tax in shown.taxes) == shown.tax.minor
    assert shown.net + shown.tax == shown.total


TARGET = Target("pri_1", "Tea", Interval("month"), 1, (("size", "big"),), euro(3000), False)


def shown(**values):
    from dataclasses import replace

    settled = settle([], price(3000), euro(3000))
    target = replace(TARGET, **values)
    return quote_now("sub_1", target, settled, "adjust", (TODAY, YEAR.end), 3)


@pytest.mark.parametrize(
    "values",
    [
        {"price": "pri_2"},
        {"quantity": 2},
        {"options": ()},
        {"amount": euro(2999)},
        {"price": "pri_2", "quantity": 2},
    ],
)
def test_whatever_is_chosen_is_in_the_hash(values):
    assert shown(**values).quote_hash != shown().quote_hash


def test_a_change_that_waits_costs_nothing_until_its_day():
    found = quote_later("sub_1", TARGET, YEAR.end)
    assert (found.at_once, found.due_today, found.effective_on) == (False, euro(0), YEAR.end)
    assert found.quote_hash != shown().quote_hash
