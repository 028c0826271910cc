"""Several boxes in one order: the shares sum to the invoice, and each box costs what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storefront.domain.baskets import MOST_BOXES, NotTogether, quote_basket
from storefront.domain.checkout import OrderTerms, quote_order
from storefront.domain.coupons import CouponTerms, Discount
from storefront.domain.cycles import CycleSlot
from storefront.domain.invoices import LineKind
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.pricing import NamedDiscount, PricedItem, quote, together
from storefront.domain.shipping import Area, Delivery, Zone, flat
from storefront.domain.tax_treatment import Treatment

TEA = OrderTerms(
    plan_name="Tea club",
    plan_ref="tea",
    price_ref="pri_tea",
    amount=Money(2600, "EUR"),
    interval=Interval("month"),
    shipping=None,
    inclusive=True,
    tax_rate=Decimal(7),
    country="DE",
    today=date(2027, 3, 2),
)
POT = replace(
    TEA, plan_name="Pot club", plan_ref="pot", price_ref="pri_pot", amount=Money(1900, "EUR")
)


def minors(terms: list[OrderTerms]) -> list[int]:
    found = quote_basket(terms)
    return [found.due_today.minor, *(item.due_today.minor for item in found.items)]


def test_a_single_box_is_quoted_as_it_always_was() -> None:
    found, alone = quote_basket([TEA]), quote_order(TEA)
    assert found.items == (alone,)
    assert (found.quote_hash, found.document) == (alone.quote_hash, alone.first.quote)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([TEA, POT], [4500, 2600, 1900]),
        ([TEA, TEA], [5200, 2600, 2600]),
        ([TEA, replace(POT, sign_up_fee=Money(500, "EUR"))], [5000, 2600, 2400]),
        ([TEA, replace(POT, quantity=3)], [8300, 2600, 5700]),
        ([replace(TEA, trial_days=14), POT], [1900, 0, 1900]),
        (
            [replace(TEA, interval=Interval("year"), amount=Money(26000, "EUR")), POT],
            [27900, 26000, 1900],
        ),
    ],
)
def test_what_is_due_is_the_sum_of_its_boxes(terms: list[OrderTerms], expected: list[int]) -> None:
    assert minors(terms) == expected


def test_each_box_goes_on_at_its_own_price_and_day() -> None:
    found = quote_basket([replace(TEA, trial_days=14), replace(POT, interval=Interval("week"))])
    assert [[(str(c.on), c.amount.minor) for c in one.charges] for one in found.items] == [
        [("2027-03-16", 2600)],
        [("2027-03-09", 1900)],
    ]


def test_delivery_is_charged_for_each_box() -> None:
    cycle = CycleSlot(1, None, date(2027, 3, 11), date(2027, 3, 15), date(2027, 3, 18))
    zone = Zone((Area("DE"),), (flat(Money(490, "EUR"), Money(4000, "EUR")),))
    sent = replace(TEA, shipping=Interval("month"), delivery=Delivery((zone,)), cycles=(cycle,))
    # Two boxes of 26 euros are two parcels: neither reaches the 40 that are sent for nothing.
    found = quote_basket([sent, sent])
    kinds = [line.kind for line in found.document.lines]
    assert kinds.count(LineKind.SHIPPING) == 2
    assert found.due_today.minor == 2 * (2600 + 490)


def test_a_discount_of_one_box_leaves_the_other_alone() -> None:
    tenth = CouponTerms(
        ref="cou_1", code="TENTH", discount=Discount("percent", Decimal(10)), lasts=1
    )
    assert minors([replace(TEA, discounts=(tenth,)), POT]) == [4240, 2340, 1900]
    found = quote_basket([TEA, replace(POT, discounts=(tenth,))])
    off = found.document.lines[2]
    # On the one document it names the line it lowers by its place there.
    assert (off.kind, off.lowers, off.amount.minor) == (LineKind.DISCOUNT, 1, -190)
    assert found.items[1].first.quote.lines[1].lowers == 0


def test_tax_is_rounded_once_for_all_boxes() -> None:
    # 0.33 each at 19 % on top: 0.0627 tax each, 0.1881 of all three.
    terms = replace(TEA, amount=Money(33, "EUR"), inclusive=False, tax_rate=Decimal(19))
    found = quote_basket([terms, terms, terms])
    assert found.document.tax.minor == 19
    assert sorted(item.first.quote.tax.minor for item in found.items) == [6, 6, 7]
    assert minors([terms] * 3)[0] == sum(minors([terms] * 3)[1:]) == 118


@pytest.mark.parametrize(
    "other",
    [
        replace(POT, amount=Money(1900, "CHF")),
        replace(POT, inclusive=False),
        replace(POT, treatment=Treatment.REVERSE_CHARGE),
    ],
)
def test_what_cannot_be_on_one_invoice_is_refused(other: OrderTerms) -> None:
    with pytest.raises(NotTogether):
        quote_basket([TEA, other])


@pytest.mark.parametrize("count", [0, MOST_BOXES + 1])
def test_an_order_has_one_to_eight_boxes(count: int) -> None:
    with pytest.raises(ValueError, match="boxes"):
        quote_basket([TEA] * count)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": Money(1901, "EUR")},
        {"plan_ref": "cup"},
        {"interval": Interval("month", 3)},
        {"quantity": 2},
        {"trial_days": 7},
    ],
)
def test_the_hash_changes_with_any_box(change: dict[str, object]) -> None:
    changed = replace(POT, **change)  # type: ignore[arg-type]
    assert quote_basket([TEA, changed]).quote_hash != quote_basket([TEA, POT]).quote_hash


def test_the_hash_changes_with_the_order_of_the_boxes() -> None:
    assert quote_basket([TEA, POT]).quote_hash != quote_basket([POT, TEA]).quote_hash


RATES = st.sampled_from([Decimal(0), Decimal(7), Decimal(19), Decimal("8.875")])
ITEMS = st.lists(
    st.builds(
        PricedItem,
        kind=st.sampled_from([LineKind.PLAN, LineKind.OPTION, LineKind.ADDON]),
        text=st.just("x"),
        quantity=st.integers(1, 4),
        unit=st.integers(0, 9_999_999).map(lambda minor: Money(minor, "EUR")),
        tax_rate=RATES,
    ),
    min_size=1,
    max_size=4,
)


def of(minor: int) -> PricedItem:
    return PricedItem(LineKind.PLAN, "Pot", 1, Money(minor, "EUR"), Decimal(20))


ALL_OF_IT = NamedDiscount("THREE", "", Discount("percent", Decimal(100)))


def test_a_box_that_is_free_bears_no_tax_of_the_others() -> None:
    free = quote([of(2900)], [ALL_OF_IT], inclusive=True)
    document, shares = together([free, *[quote([of(m)], inclusive=True) for m in (2900, 2600)]])
    assert document.tax.minor == 917
    assert [share.tax.minor for share in shares] == [0, 484, 433]
    assert shares[0].net.is_zero


@given(st.lists(ITEMS, min_size=2, max_size=5), st.integers(0, 4), st.booleans())
def test_whichever_box_is_free_nothing_is_booked_for_it(
    boxes: list[list[PricedItem]], which: int, inclusive: bool
) -> None:
    everything = replace(ALL_OF_IT, applies_to=frozenset(LineKind))
    alone = [
        quote(items, [everything] if at == which % len(boxes) else [], inclusive=inclusive)
        for at, items in enumerate(boxes)
    ]
    document, shares = together(alone)
    free = shares[which % len(boxes)]
    assert (free.tax.minor, free.net.minor, free.total.minor) == (0, 0, 0)
    assert sum(share.tax.minor for share in shares) == document.tax.minor
    assert all(share.net.minor >= 0 and share.tax.minor >= 0 for share in shares)


@given(st.lists(ITEMS, min_size=1, max_size=5), st.booleans(), st.sampled_from(["sum", "line"]))
def test_the_shares_sum_to_the_document(
    boxes: list[list[PricedItem]], inclusive: bool, rounding: str
) -> None:
    alone = [quote(items, inclusive=inclusive, rounding=rounding) for items in boxes]  # type: ignore[arg-type]
    document, shares = together(alone, rounding)  # type: ignore[arg-type]
    assert sum(share.total.minor for share in shares) == document.total.minor
    assert sum(share.tax.minor for share in shares) == document.tax.minor
    assert sum(line.tax.minor for line in document.lines) == document.tax.minor
    everything = [item for items in boxes for item in items]
    whole = quote(everything, inclusive=inclusive, rounding=rounding)  # type: ignore[arg-type]
    assert (document.total, document.tax, document.taxes) == (whole.total, whole.tax, whole.taxes)
    for share, before in zip(shares, alone, strict=True):
        # A part's tax is at most a minor unit per line away from what it is alone.
        assert abs(share.tax.minor - before.tax.minor) <= 4
        if inclusive:
            assert share.total == before.total


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(
            lambda minor, rate, fee, trial: replace(
                TEA,
                amount=Money(minor, "EUR"),
                tax_rate=rate,
                sign_up_fee=Money(fee, "EUR"),
                trial_days=trial,
            ),
            st.integers(1, 99_999),
            RATES,
            st.integers(0, 900),
            st.sampled_from([0, 0, 14]),
        ),
        min_size=2,
        max_size=MOST_BOXES,
    )
)
def test_boxes_with_tax_inside_cost_together_what_they_cost_alone(terms: list[OrderTerms]) -> None:
    found = quote_basket(terms)
    alone = [quote_order(each) for each in terms]
    assert [item.due_today for item in found.items] == [each.due_today for each in alone]
    assert found.due_today.minor == sum(each.due_today.minor for each in alone)
    assert [item.charges for item in found.items] == [each.charges for each in alone]
