"""What is sold beside a box: billed, packed, and both the same number of pieces."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.addons import (
    MOST,
    AddonTerms,
    Cadence,
    pieces_billed,
    pieces_in_box,
    sold_beside,
)
from storefront.domain.money import Money

ONCE, EVERY = Cadence.ONCE, Cadence.EVERY
TIN = AddonTerms("Tin", "tin", Money(900, "EUR"), 2, Decimal(19), EVERY)
HONEY = AddonTerms("Honey", "honey", Money(500, "EUR"), 1, Decimal(7), ONCE)

cadences = st.sampled_from(Cadence)
quantities = st.integers(1, MOST)
boxes = st.integers(1, 52)


@pytest.mark.parametrize(
    ("cadence", "quantity", "number", "billed"),
    [
        (EVERY, 1, 1, 1),
        (EVERY, 2, 3, 6),
        (EVERY, 3, 12, 36),
        (EVERY, 2, 0, 2),
        (ONCE, 1, 1, 1),
        (ONCE, 2, 3, 2),
        (ONCE, 2, 0, 2),
    ],
)
def test_what_a_period_brings(cadence: Cadence, quantity: int, number: int, billed: int):
    assert pieces_billed(cadence, quantity, number) == billed


@given(cadences, quantities, boxes)
def test_what_is_billed_is_what_lies_in_the_boxes(cadence: Cadence, quantity: int, number: int):
    lying = sum(pieces_in_box(cadence, quantity, ordinal) for ordinal in range(1, number + 1))

    assert lying == pieces_billed(cadence, quantity, number)


@given(cadences, quantities, boxes, boxes)
def test_more_boxes_never_bill_less(cadence: Cadence, quantity: int, one: int, more: int):
    few, many = sorted((one, more))

    assert pieces_billed(cadence, quantity, few) <= pieces_billed(cadence, quantity, many)


def test_once_comes_with_the_next_period_alone():
    first = sold_beside([TIN, HONEY], 3)
    later = sold_beside([TIN, HONEY], 3, is_next=False)

    assert [(one.ref, one.quantity, one.is_recurring) for one in first] == [
        ("tin", 6, True),
        ("honey", 1, False),
    ]
    assert [(one.ref, one.quantity) for one in later] == [("tin", 6)]
