"""Tax: once per rate, and the lines always carry the document's tax to the unit."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.taxes import tax_of, tax_per_line, tax_total

RATES = st.sampled_from([Decimal(text) for text in ("0", "2.6", "5.5", "7", "19", "25.5", "100")])
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
SIGNED_LINES = st.lists(st.tuples(st.integers(-(10**6), 10**7), RATES), min_size=1, max_size=10)
INCLUSIVE = st.booleans()


def money_lines(lines, currency="EUR"):
    return [(Money(minor, currency), rate) for minor, rate in lines]


def exact_tax(minor, rate, inclusive):
    percent = Fraction(rate)
    return minor * percent / (100 + percent) if inclusive else minor * percent / 100


@pytest.mark.parametrize(
    ("minor", "rate", "inclusive", "tax"),
    [
        (1190, "19", True, 190),
        (1000, "19", False, 190),
        (2900, "7", True, 190),
        (50, "1", False, 1),
        (49, "1", False, 0),
        (-50, "1", False, -1),
        (999, "0", True, 0),
        (1000, "25.5", False, 255),
    ],
)
def test_tax_is_rounded_half_up(minor, rate, inclusive, tax):
    assert tax_of(Money(minor, "EUR"), Decimal(rate), inclusive=inclusive).minor == tax


def test_a_negative_rate_is_refused():
    with pytest.raises(ValueError, match="not negative"):
        tax_of(Money(1, "EUR"), Decimal(-1), inclusive=True)


@given(st.integers(-(10**9), 10**9), RATES, INCLUSIVE, CURRENCIES)
def test_a_correction_undoes_exactly_what_it_corrects(minor, rate, inclusive, currency):
    there = tax_of(Money(minor, currency), rate, inclusive=inclusive)

    assert tax_of(Money(-minor, currency), rate, inclusive=inclusive) == -there
    assert abs(there.minor - exact_tax(minor, rate, inclusive)) <= Fraction(1, 2)


@given(SIGNED_LINES, INCLUSIVE, CURRENCIES, st.sampled_from(["sum", "line"]))
def test_line_taxes_sum_to_the_total(lines, inclusive, currency, rounding):
    lines = money_lines(lines, currency)
    taxes = tax_per_line(lines, inclusive=inclusive, rounding=rounding)
    total = tax_total(lines, inclusive=inclusive, rounding=rounding)

    assert sum(tax.minor for tax in taxes) == total.minor


@given(SIGNED_LINES, INCLUSIVE)
def test_the_tax_of_each_rate_is_that_of_its_sum(lines, inclusive):
    taxes = tax_per_line(money_lines(lines), inclusive=inclusive, rounding="sum")
    for rate in {rate for _, rate in lines}:
        whole = Money(sum(minor for minor, other in lines if other == rate), "EUR")
        parts = [tax.minor for tax, (_, other) in zip(taxes, lines, strict=True) if other == rate]
        assert sum(parts) == tax_of(whole, rate, inclusive=inclusive).minor


@given(SIGNED_LINES, INCLUSIVE)
def test_no_line_is_a_whole_unit_from_its_exact_share(lines, inclusive):
    taxes = tax_per_line(money_lines(lines), inclusive=inclusive, rounding="sum")
    for (minor, rate), tax in zip(lines, taxes, strict=True):
        exact = exact_tax(minor, rate, inclusive)
        assert abs(tax.minor - exact) < 1
        assert minor or tax.is_zero


@given(SIGNED_LINES, INCLUSIVE)
def test_turning_every_line_round_turns_every_tax_round(lines, inclusive):
    turned = [(-minor, rate) for minor, rate in lines]
    there = tax_per_line(money_lines(lines), inclusive=inclusive, rounding="sum")
    back = tax_per_line(money_lines(turned), inclusive=inclusive, rounding="sum")

    assert [tax.minor for tax in back] == [-tax.minor for tax in there]


def test_equal_rates_written_differently_are_one_rate():
    lines = [(Money(33, "EUR"), Decimal("19")), (Money(33, "EUR"), Decimal("19.0"))]

    assert tax_total(lines, inclusive=False, rounding="sum").minor == 13


def test_the_two_roundings_differ_where_the_law_says_they_may():
    lines = money_lines([(33, Decimal(19))] * 3)

    assert tax_total(lines, inclusive=False, rounding="sum").minor == 19
    assert tax_total(lines, inclusive=False, rounding="line").minor == 18


def test_a_document_has_a_line_and_one_currency():
    with pytest.raises(ValueError, match="without a line"):
        tax_total([], inclusive=True, rounding="sum")
    with pytest.raises(CurrencyMismatch):
        tax_per_line(
            [(Money(1, "EUR"), Decimal(0)), (Money(1, "JPY"), Decimal(0))],
            inclusive=True,
            rounding="sum",
        )
