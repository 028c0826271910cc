"""What one billing period costs: phases, discounts by what they lower, what is sold beside."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.coupons import Discount
from storefront.domain.invoices import LineKind
from storefront.domain.money import CurrencyMismatch, Money
from storefront.domain.periods import Interval
from storefront.domain.recurring import (
    PeriodTerms,
    Phase,
    RunningDiscount,
    SoldBeside,
    price_period,
)
from storefront.domain.tax_treatment import Treatment


def eur(minor):
    return Money(minor, "EUR")


TEA = PeriodTerms(
    plan_name="Tea box",
    plan_ref="tea",
    amount=eur(2900),
    interval=Interval("month"),
    boxes=1,
    quantity=1,
    tax_rate=Decimal(7),
    inclusive=True,
)
FREE = Discount("percent", Decimal(100))


def total(**changes):
    return price_period(replace(TEA, **changes)).quote.total.minor


def running(target, discount=FREE, *, is_recurring=True, ref="1"):
    return RunningDiscount(ref, target.upper(), discount, is_recurring, target)


INTRO = (Phase(2, eur(900)), Phase(3, eur(1900)))


@pytest.mark.parametrize(
    ("boxes_before", "minor"), [(0, 900), (1, 900), (2, 1900), (3, 2900), (40, 2900)]
)
def test_a_phase_holds_until_its_boxes_are_billed(boxes_before, minor):
    assert total(phases=INTRO, boxes_before=boxes_before) == minor


def test_a_discount_takes_off_what_the_phase_costs():
    half = running("box", Discount("percent", Decimal(50)))
    assert total(phases=INTRO, discounts=(half,)) == 450


def test_free_shipping_lowers_the_way_of_the_parcel_alone():
    assert total(shipping=eur(490)) == 3390
    assert total(shipping=eur(490), discounts=(running("shipping"),)) == 2900


def test_shipping_is_charged_for_each_box_of_a_prepaid_term_whatever_the_quantity():
    assert total(boxes=3, quantity=2, shipping=eur(490)) == 2 * 2900 + 3 * 490


def test_what_ships_nothing_has_no_shipping():
    assert total(boxes=0, shipping=eur(490)) == 2900


def test_the_sign_up_fee_is_discounted_only_by_its_own_discounts():
    fee = eur(1000)
    assert total(sign_up_fee=fee, discounts=(running("box"),)) == 1000
    assert total(sign_up_fee=fee, discounts=(running("fee"),)) == 2900


@pytest.mark.parametrize(
    ("boxes", "quantity", "discount", "minor"),
    [
        (1, 1, FREE, 0),
        (3, 1, FREE, 1933),
        (3, 2, FREE, 3867),
        (1, 1, Discount("percent", Decimal(50)), 1450),
        (1, 1, Discount("fixed", amount=eur(500)), 500),
        (3, 1, Discount("fixed", amount=eur(500)), 2433),
        (1, 1, Discount("fixed", amount=eur(5000)), 2900),
    ],
)
def test_the_first_box_is_free_or_costs_a_fixed_price(boxes, quantity, discount, minor):
    first = running("first_box", discount, is_recurring=False)
    assert total(boxes=boxes, quantity=quantity, discounts=(first,)) == minor


def test_a_fixed_first_box_in_another_currency_is_refused():
    first = running("first_box", Discount("fixed", amount=Money(500, "USD")))
    with pytest.raises(CurrencyMismatch):
        price_period(replace(TEA, discounts=(first,)))


def test_an_add_on_is_taxed_at_its_own_rate():
    mug = SoldBeside("Mug", "mug", eur(1190), 1, Decimal(19), False)
    priced = price_period(replace(TEA, beside=(mug,))).quote
    assert priced.total.minor == 4090
    assert [(rate, tax.minor) for rate, _, tax in priced.taxes] == [
        (Decimal(19), 190),
        (Decimal(7), 190),
    ]


def test_the_monthly_value_counts_what_comes_again_and_nothing_else():
    plain = price_period(TEA).mrr
    mug = SoldBeside("Mug", "mug", eur(1190), 1, Decimal(19), False)
    biscuits = SoldBeside("Biscuits", "biscuits", eur(535), 1, Decimal(7), True)
    more = replace(TEA, shipping=eur(490), sign_up_fee=eur(1000), beside=(mug,))
    assert price_period(more).mrr == plain
    assert price_period(replace(more, beside=(mug, biscuits))).mrr.minor == plain.minor + 500
    once = running("box", is_recurring=False)
    assert price_period(replace(more, discounts=(once,))).mrr == plain
    assert price_period(replace(more, discounts=(running("box"),))).mrr.is_zero


def test_a_shop_may_round_the_tax_of_each_line():
    odd = replace(TEA, amount=eur(33), tax_rate=Decimal(19), inclusive=False)
    two = SoldBeside("Sugar", "sugar", eur(33), 1, Decimal(19), True)
    three = SoldBeside("Milk", "milk", eur(33), 1, Decimal(19), True)
    terms = replace(odd, beside=(two, three))
    assert price_period(terms).quote.tax.minor == 19
    assert price_period(replace(terms, rounding="line")).quote.tax.minor == 18


discounts = st.tuples(
    st.sampled_from(["box", "shipping", "fee", "first_box"]),
    st.one_of(
        st.integers(0, 100).map(lambda percent: Discount("percent", Decimal(percent))),
        st.integers(0, 9000).map(lambda minor: Discount("fixed", amount=eur(minor))),
    ),
    st.booleans(),
)
terms = st.builds(
    lambda amount, boxes, quantity, before, shipping, fee, inclusive, rounding, running_: replace(
        TEA,
        amount=eur(amount),
        boxes=boxes,
        quantity=quantity,
        boxes_before=before,
        phases=INTRO,
        shipping=eur(shipping),
        sign_up_fee=eur(fee),
        inclusive=inclusive,
        rounding=rounding,
        discounts=tuple(
            running(target, discount, is_recurring=again, ref=str(i))
            for i, (target, discount, again) in enumerate(running_)
        ),
    ),
    st.integers(0, 90000),
    st.integers(0, 12),
    st.integers(1, 5),
    st.integers(0, 5),
    st.integers(0, 900),
    st.integers(0, 2000),
    st.booleans(),
    st.sampled_from(["sum", "line"]),
    st.lists(discounts, max_size=4),
)


@given(terms)
def test_no_discounts_lower_a_period_below_zero_and_its_lines_add_up(one):
    priced = price_period(one).quote
    assert priced.total.minor >= 0
    rests = {
        place: line.amount.minor
        + sum(off.amount.minor for off in priced.lines if off.lowers == place)
        for place, line in enumerate(priced.lines)
        if line.kind is not LineKind.DISCOUNT
    }
    assert all(rest >= 0 for rest in rests.values())
    assert sum(line.tax.minor for line in priced.lines) == priced.tax.minor
    assert priced.net.minor + priced.tax.minor == priced.total.minor


@given(terms)
def test_what_each_discount_took_is_what_the_lines_say(one):
    priced = price_period(one)
    off = -sum(line.amount.minor for line in priced.quote.lines if line.kind is LineKind.DISCOUNT)
    assert sum(taken.minor for _, taken in priced.taken) == off


PAID_BY_NOBODY = [Treatment.REVERSE_CHARGE, Treatment.EXEMPT, Treatment.EXPORT]


@pytest.mark.parametrize("treatment", PAID_BY_NOBODY)
@pytest.mark.parametrize(
    ("gross", "rate", "net"),
    [
        (2900, "7", 2710),
        (1190, "19", 1000),
        (2000, "20", 1667),
        (1210, "21", 1000),
        (999, "5.5", 947),
        (1, "19", 1),
        (0, "19", 0),
        (3500, "25.5", 2789),
        (2700, "0", 2700),
    ],
)
def test_a_buyer_who_bears_no_tax_pays_the_price_without_it(gross, rate, net, treatment):
    terms = replace(TEA, amount=eur(gross), tax_rate=Decimal(rate), treatment=treatment)
    priced = price_period(terms)

    assert (priced.quote.total.minor, priced.quote.tax.minor) == (net, 0)
    assert priced.quote.taxes == ((Decimal(0), eur(net), eur(0)),)
    assert priced.treatment is treatment


def test_a_price_without_tax_inside_stays_as_it_is_for_a_buyer_who_bears_none():
    terms = replace(TEA, inclusive=False, treatment=Treatment.REVERSE_CHARGE)

    assert price_period(terms).quote.total == TEA.amount


def test_without_tax_quantity_times_price_still_reads_right_on_every_line():
    terms = replace(
        TEA,
        quantity=3,
        surcharges=(("Milk", "milk=yes", eur(199)),),
        shipping=eur(490),
        sign_up_fee=eur(500),
        beside=(SoldBeside("Cup", "cup", eur(1190), 2, Decimal(19), is_recurring=True),),
        discounts=(RunningDiscount("1", "FIVE", Discount("fixed", amount=eur(535)), True),),
        treatment=Treatment.REVERSE_CHARGE,
    )
    quote = price_period(terms).quote

    assert all(line.unit * line.quantity == line.amount for line in quote.lines)
    assert {line.tax_rate for line in quote.lines} == {Decimal(0)}
    assert [line.amount.minor for line in quote.lines if line.kind == "addon"] == [2000]
    assert sum(line.amount.minor for line in quote.lines if line.kind == "discount") == -500
    assert quote.total == quote.net


@given(st.integers(0, 10**7), st.sampled_from(["0", "5.5", "7", "19", "25.5"]), st.integers(1, 9))
def test_the_monthly_value_of_a_firm_is_that_of_a_consumer_to_a_unit_each(gross, rate, count):
    consumer = replace(TEA, amount=eur(gross), tax_rate=Decimal(rate), quantity=count)
    firm = replace(consumer, treatment=Treatment.REVERSE_CHARGE)

    assert abs(price_period(consumer).mrr.minor - price_period(firm).mrr.minor) <= count
