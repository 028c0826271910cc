"""What search engines are told of a plan."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.domain.structured import Sold, amount, plan_list, product


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [(2600, "EUR", "26.00"), (5, "EUR", "0.05"), (2600, "JPY", "2600"), (1, "KWD", "0.001")],
)
def test_an_amount_has_the_digits_of_its_currency(minor, currency, written):
    assert amount(Money(minor, currency)) == written


@given(st.integers(0, 10**12), st.sampled_from(["EUR", "JPY", "KWD", "USD"]))
def test_an_amount_reads_back_to_the_minor_unit(minor, currency):
    written = amount(Money(minor, currency))
    assert int(written.replace(".", "")) == minor
    assert "," not in written


def test_a_plan_has_an_offer_for_each_interval():
    sold = [
        Sold(Interval("month", 3), Money(7410, "EUR"), True, "https://shop.example/p?interval=3m"),
        Sold(Interval("week"), Money(700, "EUR"), None, "https://shop.example/p?interval=1w"),
    ]
    told = product(
        "Pot", "", "Nine Kettles", sold, "https://shop.example/pot.png", is_sold_out=False
    )
    first, second = told["offers"]
    assert told["description"] == "Pot"
    assert first["price"] == first["priceSpecification"]["price"] == "74.10"
    assert first["priceSpecification"]["billingDuration"] == 3
    assert first["priceSpecification"]["unitCode"] == "MON"
    assert first["priceSpecification"]["valueAddedTaxIncluded"] is True
    assert first["availability"] == "https://schema.org/InStock"
    assert second["priceSpecification"]["unitCode"] == "WEE"
    assert "valueAddedTaxIncluded" not in second["priceSpecification"]
    assert json.loads(json.dumps(told)) == told


def test_a_plan_that_is_sold_out_says_so():
    sold = [Sold(Interval("month"), Money(1, "EUR"), True, "https://shop.example/p")]
    told = product(
        "Pot", "Tea", "Nine Kettles", sold, "https://shop.example/pot.png", is_sold_out=True
    )
    assert told["offers"][0]["availability"] == "https://schema.org/SoldOut"


def test_plans_are_listed_in_their_order():
    told = plan_list([("Cup", "https://shop.example/cup"), ("Pot", "https://shop.example/pot")])
    assert [one["position"] for one in told["itemListElement"]] == [1, 2]
    assert [one["name"] for one in told["itemListElement"]] == ["Cup", "Pot"]
