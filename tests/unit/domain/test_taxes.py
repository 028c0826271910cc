"""Tax: once per rate, and the lines always carry the document's tax to the unit."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.invoices import LineKind
from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.pricing import PricedItem, quote
from storefront.domain.taxes import (
    minor_per_group,
    minor_per_line,
    tax_of,
    tax_of_part,
    tax_per_line,
    tax_total,
)

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
def test_rounding_by_line_taxes_each_line_as_if_it_were_alone(lines, inclusive):
    taxes = tax_per_line(money_lines(lines), inclusive=inclusive, rounding="line")

    alone = [tax_of(line, rate, inclusive=inclusive) for line, rate in money_lines(lines)]
    assert taxes == alone


@pytest.mark.parametrize(
    ("minors", "taxes"), [((11, 5), [2, 1]), ((10, 3), [2, 0]), ((33, 33, 33), [7, 6, 6])]
)
def test_the_units_left_over_go_to_the_lines_that_lost_most(minors, taxes):
    lines = money_lines([(minor, Decimal(19)) for minor in minors])

    found = tax_per_line(lines, inclusive=False, rounding="sum")
    assert [tax.minor for tax in found] == taxes


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
    with pytest.raises(ValueError, match=r"^a document without a line"):
        tax_total([], inclusive=True, rounding="sum")
    with pytest.raises(CurrencyMismatch, match=r"^one document, one currency$"):
        tax_per_line(
            [(Money(1, "EUR"), Decimal(0)), (Money(1, "JPY"), Decimal(0))],
            inclusive=True,
            rounding="sum",
        )


#: Net and rate, then tax on it and the tax inside the gross, worked out on paper.
ON_PAPER = """
    1000 19 190 160 | 1000 7 70 65 | 1000 20 200 167 | 1000 5.5 55 52 | 1000 21 210 174
    1000 10 100 91 | 1000 25 250 200 | 1000 27 270 213 | 1000 8.1 81 75 | 1000 2.6 26 25
    999 19 190 160 | 999 7 70 65 | 999 20 200 167 | 999 5.5 55 52 | 999 21 210 173
    999 13.5 135 119 | 999 25.5 255 203 | 999 6.25 62 59 | 999 7.25 72 68 | 999 4 40 38
    2600 19 494 415 | 2600 7 182 170 | 2600 20 520 433 | 2600 21 546 451 | 2600 22 572 469
    2600 23 598 486 | 2600 24 624 503 | 2600 25.5 663 528 | 2600 9.5 247 226 | 2600 0 0 0
    1 19 0 0 | 2 19 0 0 | 3 19 1 0 | 4 19 1 1 | 5 19 1 1 | 7 7 0 0 | 8 7 1 1 | 10 5 1 0
    1 50 1 0 | 3 50 2 1 | 1 100 1 1 | 33 19 6 5 | 50 1 1 0 | 49 1 0 0 | 150 1 2 1
    7490 19 1423 1196 | 7490 7 524 490 | 7490 20 1498 1248 | 29900 19 5681 4774
"""
CASES = [entry.split() for entry in ON_PAPER.replace("\n", "|").split("|") if entry.strip()]


@pytest.mark.parametrize(("minor", "rate", "on_top", "inside"), CASES)
@pytest.mark.parametrize("currency", ["EUR", "JPY"])
def test_tax_is_what_paper_says(minor, rate, on_top, inside, currency):
    amount = Money(int(minor), currency)

    assert tax_of(amount, Decimal(rate), inclusive=False).minor == int(on_top)
    assert tax_of(amount, Decimal(rate), inclusive=True).minor == int(inside)
    assert tax_of(-amount, Decimal(rate), inclusive=True).minor == -int(inside)


CUTS = st.lists(st.integers(0, 10**6), max_size=6)


def parts_of(gross, cuts):
    """Cut ``gross`` at the places named."""
    places = sorted({cut % (gross + 1) for cut in cuts} | {0, gross})
    return [after - before for before, after in pairwise(places)]


@given(
    st.lists(st.tuples(st.integers(1, 10**6), RATES), min_size=1, max_size=6),
    INCLUSIVE,
    st.sampled_from(["sum", "line"]),
    st.lists(CUTS, min_size=6, max_size=6),
)
def test_tax_per_rate_is_that_of_its_lines_and_survives_any_split_into_refunds(
    lines, inclusive, rounding, cuts
):
    items = [
        PricedItem(LineKind.PLAN, "Tea", 1, Money(minor, "EUR"), rate) for minor, rate in lines
    ]
    document = quote(items, inclusive=inclusive, rounding=rounding)
    refunded: dict[Decimal, int] = {}
    for line, places in zip(document.lines, cuts, strict=False):
        gross = line.amount.minor + (0 if inclusive else line.tax.minor)
        done, taken = 0, 0
        for part in parts_of(gross, places):
            tax = tax_of_part(gross, line.tax.minor, (done, taken), part)
            assert 0 <= tax <= part
            done, taken = done + part, taken + tax
        assert (done, taken) == (gross, line.tax.minor)
        refunded[line.tax_rate] = refunded.get(line.tax_rate, 0) + taken

    assert refunded == {rate: tax.minor for rate, _net, tax in document.taxes}


@pytest.mark.parametrize("part", [-1, 501])
def test_more_than_is_left_of_a_line_has_no_tax(part):
    with pytest.raises(ValueError, match="no part"):
        tax_of_part(1000, 160, (500, 80), part)


def test_a_refund_of_nothing_bears_no_tax():
    assert tax_of_part(1000, 160, (500, 80), 0) == 0
    assert tax_of_part(0, 0, (0, 0), 0) == 0


NINETEEN, SEVEN, TWENTY = Decimal(19), Decimal(7), Decimal(20)


@pytest.mark.parametrize(
    ("groups", "inclusive", "rounding", "taxes"),
    [
        # A free box bears none, where a split onto all lines at once might give it a cent.
        ([[(2900, TWENTY), (-2900, TWENTY)], [(2900, TWENTY)]], True, "sum", [[483, -483], [483]]),
        # Three times 6.27 is 18.81: one group gets the nineteenth unit, the others none of it.
        ([[(33, NINETEEN)], [(33, NINETEEN)], [(33, NINETEEN)]], False, "sum", [[7], [6], [6]]),
        # Rates are apart within a group, and each line keeps its place.
        (
            [[(1000, SEVEN), (500, NINETEEN)], [(200, NINETEEN), (300, SEVEN)]],
            False,
            "sum",
            [[70, 95], [38, 21]],
        ),
        ([[(1000, SEVEN), (500, NINETEEN)], [(119, NINETEEN)]], True, "sum", [[65, 80], [19]]),
        # By line every line stands alone: 6.27 is 6 each time.
        ([[(33, NINETEEN)], [(33, NINETEEN), (33, NINETEEN)]], False, "line", [[6], [6, 6]]),
        ([[(119, NINETEEN)], [(107, SEVEN), (10, SEVEN)]], True, "line", [[19], [7, 1]]),
        ([[], [(100, NINETEEN)]], False, "sum", [[], [19]]),
        ([], False, "sum", []),
    ],
)
def test_the_tax_of_an_order_is_split_onto_its_boxes_and_then_onto_their_lines(
    groups, inclusive, rounding, taxes
):
    assert minor_per_group(groups, inclusive=inclusive, rounding=rounding) == taxes


@given(st.lists(SIGNED_LINES, min_size=1, max_size=4), INCLUSIVE, st.sampled_from(["sum", "line"]))
def test_the_tax_of_the_boxes_sums_to_that_of_the_order(groups, inclusive, rounding):
    split = minor_per_group(groups, inclusive=inclusive, rounding=rounding)
    lines = [line for group in groups for line in group]
    whole = minor_per_line(lines, inclusive=inclusive, rounding=rounding)

    assert [len(each) for each in split] == [len(group) for group in groups]
    taxes = [tax for group in split for tax in group]
    for rate in {rate for _, rate in lines}:
        places = [i for i, (_, other) in enumerate(lines) if other == rate]
        assert sum(taxes[i] for i in places) == sum(whole[i] for i in places)
