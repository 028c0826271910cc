"""One quote: adds up to the unit, and its hash notices every change of what is shown."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain import pricing
from storefront.domain.coupons import Discount
from storefront.domain.invoices import LineKind
from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.pricing import NamedDiscount, PricedItem, quote
from storefront.domain.taxes import tax_total

PLAN = PricedItem(LineKind.PLAN, "Tea box", 1, Money(2900, "EUR"), Decimal(7), "plan")
CUP = PricedItem(LineKind.ADDON, "Cup", 2, Money(450, "EUR"), Decimal(19), "cup")
SHIPPING = PricedItem(LineKind.SHIPPING, "Shipping", 1, Money(390, "EUR"), Decimal(19))
TENTH = NamedDiscount("WELCOME10", "c1", Discount("percent", Decimal(10)))
FIVE_OFF_ALL = NamedDiscount(
    "FIVE", "c2", Discount("fixed", amount=Money(500, "EUR")), frozenset(LineKind)
)

KINDS = st.sampled_from([LineKind.PLAN, LineKind.OPTION, LineKind.ADDON, LineKind.SHIPPING])
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])


@st.composite
def baskets(draw):
    """Draw items and discounts of one currency, credits among them."""
    currency = draw(CURRENCIES)
    item = st.builds(
        PricedItem,
        KINDS,
        st.text(max_size=5),
        st.integers(1, 4),
        st.builds(Money, st.integers(-500, 10**5), st.just(currency)),
        st.sampled_from([Decimal(text) for text in ("0", "7", "19", "19.0", "5.5")]),
        st.text(max_size=3),
    )
    percent = st.builds(Discount, st.just("percent"), st.decimals(0, 100, places=1))
    fixed = st.builds(
        lambda minor: Discount("fixed", amount=Money(minor, currency)), st.integers(0, 9000)
    )
    named = st.builds(
        NamedDiscount, st.text(max_size=4), st.just("c"), percent | fixed, st.frozensets(KINDS)
    )
    return draw(st.lists(item, min_size=1, max_size=5)), draw(st.lists(named, max_size=3))


TERMS = {"inclusive": st.booleans(), "rounding": st.sampled_from(["sum", "line"])}


def test_a_basket_is_priced_line_by_line():
    offer = quote([PLAN, CUP, SHIPPING], [TENTH, FIVE_OFF_ALL], inclusive=True)

    shown = [(line.text, line.amount.minor, line.tax_rate, line.lowers) for line in offer.lines]
    assert shown == [
        ("Tea box", 2900, 7, None),
        ("Cup", 900, 19, None),
        ("Shipping", 390, 19, None),
        ("WELCOME10", -290, 7, 0),
        ("FIVE", -335, 7, 0),
        ("FIVE", -115, 19, 1),
        ("FIVE", -50, 19, 2),
    ]
    assert (offer.total.minor, offer.net.minor, offer.tax.minor) == (3400, 3071, 329)
    assert [(rate, net.minor, tax.minor) for rate, net, tax in offer.taxes] == [
        (19, 945, 180),
        (7, 2126, 149),
    ]


@given(basket=baskets(), **TERMS)
def test_every_quote_adds_up(basket, inclusive, rounding):
    items, discounts = basket
    offer = quote(items, discounts, inclusive=inclusive, rounding=rounding)
    amounts = sum(line.amount.minor for line in offer.lines)
    taxed = [(line.amount, line.tax_rate) for line in offer.lines]

    assert offer.net + offer.tax == offer.total
    assert offer.total.minor == amounts + (0 if inclusive else offer.tax.minor)
    assert sum(line.tax.minor for line in offer.lines) == offer.tax.minor
    assert sum(tax.minor for _, _, tax in offer.taxes) == offer.tax.minor
    assert sum(net.minor for _, net, _ in offer.taxes) == offer.net.minor
    assert tax_total(taxed, inclusive=inclusive, rounding=rounding) == offer.tax
    assert [rate for rate, _, _ in offer.taxes] == sorted(
        {item.tax_rate for item in items}, reverse=True
    )


@given(basket=baskets(), **TERMS)
def test_items_come_first_and_no_discount_lowers_one_below_zero(basket, inclusive, rounding):
    items, discounts = basket
    offer = quote(items, discounts, inclusive=inclusive, rounding=rounding)
    rests = [line.amount.minor for line in offer.lines[: len(items)]]
    assert rests == [item.unit.minor * item.quantity for item in items]

    for line in offer.lines[len(items) :]:
        assert line.kind is LineKind.DISCOUNT
        assert line.amount.minor < 0
        assert line.tax_rate == items[line.lowers].tax_rate
        rests[line.lowers] += line.amount.minor
        assert rests[line.lowers] >= 0


@given(basket=baskets(), **TERMS)
def test_the_short_way_of_one_item_is_the_general_one(basket, inclusive, rounding):
    item = basket[0][0]

    short = quote([item], inclusive=inclusive, rounding=rounding)

    assert short == pricing._quote_all([item], (), inclusive, rounding)


@given(basket=baskets(), **TERMS)
def test_pricing_the_same_again_gives_the_same_hash(basket, inclusive, rounding):
    items, discounts = basket
    first = quote(items, discounts, inclusive=inclusive, rounding=rounding)
    again = quote(list(items), tuple(discounts), inclusive=inclusive, rounding=rounding)

    assert first == again


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Tea Box"},
        {"quantity": 2},
        {"unit": Money(2901, "EUR")},
        {"unit": Money(2900, "USD")},
        {"tax_rate": Decimal(19)},
        {"ref": "other"},
        {"kind": LineKind.OPTION},
    ],
)
def test_the_hash_notices_every_change_of_what_is_shown(change):
    before = quote([PLAN], inclusive=True).content_hash

    assert quote([replace(PLAN, **change)], inclusive=True).content_hash != before
    assert quote([PLAN], inclusive=False).content_hash != before
    assert quote([PLAN], [TENTH], inclusive=True).content_hash != before


def test_the_hash_does_not_care_how_a_rate_is_written():
    other = replace(PLAN, tax_rate=Decimal("7.00"))

    assert quote([other], inclusive=True).content_hash == quote([PLAN], inclusive=True).content_hash


def test_texts_cannot_be_moved_between_fields_under_one_hash():
    one = quote([replace(PLAN, text="a;1", ref="b")], inclusive=True)
    two = quote([replace(PLAN, text="a", ref="1;b")], inclusive=True)

    assert one.content_hash != two.content_hash


def test_a_discount_of_everything_makes_a_quote_of_zero():
    free = NamedDiscount("FREE", "", Discount("percent", Decimal(100)), frozenset(LineKind))

    offer = quote([PLAN, CUP], [free], inclusive=True)

    assert (offer.total.minor, offer.tax.minor, len(offer.lines)) == (0, 0, 4)


def test_nothing_no_quantity_and_mixed_currencies_are_refused():
    with pytest.raises(ValueError, match="nothing to price"):
        quote([], inclusive=True)
    with pytest.raises(ValueError, match="quantity"):
        replace(PLAN, quantity=0)
    with pytest.raises(CurrencyMismatch):
        quote([PLAN, replace(CUP, unit=Money(1, "JPY"))], inclusive=True)
