"""Coupons: never below zero, spelled any way, refused with a reason."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.coupons import (
    CouponFacts,
    CouponRule,
    Discount,
    Refusal,
    apply_discounts,
    cycles_after,
    normalise_code,
    refusal,
)
from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.periods import Interval


def percent(value):
    return Discount("percent", percent=Decimal(value))


def fixed(minor, currency="EUR"):
    return Discount("fixed", amount=Money(minor, currency))


def euros(*minors):
    return [Money(minor, "EUR") for minor in minors]


def off(lines, *discounts):
    return [part.minor for part in apply_discounts(lines, discounts)]


DISCOUNTS = st.lists(
    st.builds(percent, st.decimals(0, 100, places=2)) | st.builds(fixed, st.integers(0, 10**6)),
    max_size=4,
)
LINES = st.lists(st.integers(-(10**5), 10**6), max_size=6).map(lambda minors: euros(*minors))


@given(LINES, DISCOUNTS)
def test_no_line_ever_falls_below_zero_and_no_credit_is_touched(lines, discounts):
    for line, part in zip(lines, apply_discounts(lines, discounts), strict=True):
        assert 0 <= part.minor <= max(line.minor, 0)


@given(LINES, DISCOUNTS, DISCOUNTS)
def test_discounts_work_one_after_the_other_on_the_rest(lines, first, second):
    before = apply_discounts(lines, first)
    rests = [line - part for line, part in zip(lines, before, strict=True)]
    after = apply_discounts(rests, second)
    together = [one + two for one, two in zip(before, after, strict=True)]

    assert apply_discounts(lines, first + second) == together


@given(LINES, st.integers(0, 10**7))
def test_a_fixed_discount_takes_its_amount_or_all_there_is(lines, minor):
    there = sum(max(line.minor, 0) for line in lines)

    assert sum(off(lines, fixed(minor))) == min(minor, there)


def test_a_percentage_is_rounded_once_on_the_sum():
    assert sum(off(euros(5, 5, 5), percent(10))) == 2


def test_hundred_percent_takes_everything():
    assert off(euros(2900, 350), percent(100)) == [2900, 350]


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 333), ("KWD", 333)])
def test_other_minor_units_work_alike(currency, minor):
    assert apply_discounts([Money(1000, currency)], [percent("33.3")]) == [Money(minor, currency)]


def test_another_currency_is_refused():
    with pytest.raises(CurrencyMismatch, match=r"^JPY off EUR$"):
        off(euros(100), fixed(10, "JPY"))
    with pytest.raises(CurrencyMismatch, match=r"EUR.*JPY"):
        off([*euros(100), Money(1, "JPY")], percent(10))


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "percent"},
        {"kind": "fixed"},
        {"kind": "gift", "percent": Decimal(1)},
        {"kind": "percent", "percent": Decimal(101)},
        {"kind": "percent", "percent": Decimal(-1)},
        {"kind": "fixed", "amount": Money(-1, "EUR")},
        {"kind": "fixed", "amount": Money(1, "EUR"), "percent": Decimal(1)},
    ],
)
def test_what_is_no_discount_is_refused(fields):
    with pytest.raises(ValueError, match="not a discount"):
        Discount(**fields)


@pytest.mark.parametrize(
    ("left", "taken", "after"), [(3, 1, 2), (1, 500, 0), (0, 5, 0), (3, 0, 3), (None, 5, None)]
)
def test_a_cycle_is_spent_only_where_something_was_lowered(left, taken, after):
    assert cycles_after(left, Money(taken, "EUR")) == after


@pytest.mark.parametrize(
    "typed",
    [
        "WELCOME10",
        " welcome10 ",
        "Wel come 10",
        "ｗｅｌｃｏｍｅ１０",
        "welc\u200bome10",
        "wel\u0421ome10",
        "WELC\u039fME10",
        "welcome\u00a010\n",
    ],
)
def test_one_code_is_found_however_it_is_typed(typed):
    assert normalise_code(typed) == "WELCOME10"


@pytest.mark.parametrize("dash", "-\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d")
def test_every_dash_is_the_same_dash(dash):
    assert normalise_code(f"tea{dash}5") == "TEA-5"


def test_different_codes_stay_different():
    assert len({normalise_code(code) for code in ("O0", "00", "l1", "I1", "Ö1", "O1")}) == 6


def test_normalising_any_character_twice_changes_nothing():
    for point in range(0x2FA20):
        once = normalise_code(chr(point))
        assert normalise_code(once) == once


@given(st.text(max_size=20))
def test_normalising_any_text_twice_changes_nothing(text):
    once = normalise_code(text)

    assert normalise_code(once) == once == normalise_code(f" {text} ")


RULE = CouponRule(
    plans=frozenset({"small"}),
    intervals=frozenset({Interval("month")}),
    countries=frozenset({"DE"}),
    first_time_only=True,
    starts_on=date(2027, 3, 1),
    ends_on=date(2027, 3, 31),
    max_uses=10,
    used=9,
    max_per_customer=1,
)
FACTS = CouponFacts(date(2027, 3, 1), "small", Interval("month"), "DE")


def test_a_code_that_fits_is_accepted_on_its_first_and_last_day():
    assert refusal(RULE, FACTS) is None
    assert refusal(RULE, replace(FACTS, today=date(2027, 3, 31))) is None
    assert refusal(CouponRule(), FACTS) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"today": date(2027, 2, 28)}, Refusal.NOT_STARTED),
        ({"today": date(2027, 4, 1)}, Refusal.ENDED),
        ({"plan": "large"}, Refusal.WRONG_PLAN),
        ({"interval": Interval("year")}, Refusal.WRONG_INTERVAL),
        ({"country": "FR"}, Refusal.WRONG_COUNTRY),
        ({"is_first": False}, Refusal.NOT_FIRST),
        ({"used_by_customer": 1}, Refusal.USED_BY_CUSTOMER),
    ],
)
def test_each_refusal_has_its_reason(change, reason):
    assert refusal(RULE, replace(FACTS, **change)) is reason


def test_a_used_up_and_an_unknown_code_say_so():
    assert refusal(replace(RULE, used=10), FACTS) is Refusal.USED_UP
    assert refusal(None, FACTS) is Refusal.UNKNOWN
