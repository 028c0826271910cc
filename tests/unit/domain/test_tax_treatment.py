"""Who bears the tax of a sale: a matrix of sellers, places and buyers, and the merchant's rates."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storefront.domain.rates import NoRate
from storefront.domain.regions import region_code
from storefront.domain.tax_treatment import (
    Buyer,
    OwnRate,
    Place,
    Sale,
    TaxAnswer,
    TaxQuestion,
    TaxRules,
    Treatment,
    tax_area,
    treatment_of,
)

DAY = date(2027, 3, 2)
CONSUMER = Buyer()
BUYERS = {
    "consumer": CONSUMER,
    "de_valid": Buyer("DE136695976", "valid"),
    "fr_valid": Buyer("FR40303265045", "valid"),
    "el_valid": Buyer("EL094259216", "valid"),
    "fr_pending": Buyer("FR40303265045", "pending"),
    "fr_invalid": Buyer("FR40303265045", "invalid"),
    "ch_valid": Buyer("CHE107787577", "valid"),
    "exempt": Buyer(is_exempt=True),
    "exempt_firm": Buyer("FR40303265045", "valid", is_exempt=True),
}
#: S standard, R reverse charge, X exempt, E export; columns as BUYERS.
MATRIX = """
    DE DE  S S S S S S S X X
    DE AT  S S R R S S S X X
    DE FR  S S R R S S S X X
    DE GR  S S R R S S S X X
    DE IE  S S R R S S S X X
    DE GB  S S S S S S S X X
    DE CH  E E E E E E E X X
    DE US  E E E E E E E X X
    DE NO  E E E E E E E X X
    FR FR  S S S S S S S X X
    FR DE  S R S R S S S X X
    FR BE  S R S R S S S X X
    FR CH  E E E E E E E X X
    GR GR  S S S S S S S X X
    GR FR  S R R S S S S X X
    CH CH  S S S S S S S X X
    CH DE  E E E E E E E X X
    CH FR  E E E E E E E X X
    CH GB  S S S S S S S X X
    GB GB  S S S S S S S X X
    GB FR  E E E E E E E X X
    US US  S S S S S S S X X
    US DE  E E E E E E E X X
    US GB  S S S S S S S X X
"""
LETTERS = {"S": "standard", "R": "reverse_charge", "X": "exempt", "E": "export"}
CASES = [
    (seller, to, buyer, LETTERS[letter])
    for seller, to, *row in (line.split() for line in MATRIX.strip().splitlines())
    for buyer, letter in zip(BUYERS, row, strict=True)
]


@pytest.mark.parametrize(("seller", "to", "buyer", "expected"), CASES)
def test_the_treatment_follows_from_seller_place_and_buyer(seller, to, buyer, expected):
    assert treatment_of(seller, to, BUYERS[buyer]).value == expected


@pytest.mark.parametrize(("country", "area"), [("FR", "EU"), ("GR", "EU"), ("CH", "CH")])
def test_the_member_states_are_one_tax_area_and_any_other_country_is_its_own(country, area):
    assert tax_area(country) == area


@pytest.mark.parametrize(("seller", "to"), [("DE", "CH"), ("DE", "US"), ("CH", "DE"), ("US", "FR")])
def test_a_shop_registered_abroad_collects_there(seller, to):
    assert treatment_of(seller, to, CONSUMER, is_registered=True) is Treatment.STANDARD
    assert treatment_of(seller, to, BUYERS["exempt"], is_registered=True) is Treatment.EXEMPT


def rules(*own, seller="DE"):
    return TaxRules.of(
        seller,
        "sum",
        [OwnRate(a, b, c, date.fromisoformat(d), Decimal(e)) for a, b, c, d, e in own],
    )


def rate(book, place, tax_class="standard", on=DAY, buyer=CONSUMER):
    found = book.decide(place, tax_class, on, buyer)
    return str(found.rate), found.source, found.treatment.value


def test_the_merchants_row_stands_before_the_table_from_its_first_day():
    book = rules(("DE", "", "standard", "2027-07-01", "20"))

    assert rate(book, Place("DE"), on=date(2027, 6, 30)) == ("19", "table", "standard")
    assert rate(book, Place("DE"), on=date(2027, 7, 1)) == ("20", "own", "standard")
    assert rate(book, Place("DE"), "reduced", date(2027, 7, 1)) == ("7", "table", "standard")


def test_of_several_rows_the_latest_that_has_begun_counts():
    book = rules(
        ("DE", "", "standard", "2028-01-01", "21"),
        ("DE", "", "standard", "2026-01-01", "18"),
        ("DE", "", "standard", "2027-01-01", "20"),
    )

    assert rate(book, Place("DE"), on=DAY)[0] == "20"
    assert rate(book, Place("DE"), on=date(2026, 5, 1))[0] == "18"
    assert rate(book, Place("DE"), on=date(2028, 1, 1))[0] == "21"


def test_a_regions_row_stands_before_its_countrys_row_and_the_table():
    book = rules(
        ("US", "CA", "standard", "2026-01-01", "9.5"),
        ("US", "", "standard", "2026-01-01", "1"),
        seller="US",
    )

    assert rate(book, Place("US", "California"))[0] == "9.5"
    assert rate(book, Place("US", "NJ")) == ("1", "own", "standard")
    assert rate(rules(seller="US"), Place("US", "ny")) == ("4", "table", "standard")


def test_a_row_for_a_country_abroad_makes_the_shop_collect_there_from_its_first_day():
    book = rules(("CH", "", "reduced", "2027-07-01", "2.6"))

    assert rate(book, Place("CH"), "reduced") == ("7", "table", "export")
    assert rate(book, Place("CH"), "reduced", date(2027, 7, 1)) == ("2.6", "own", "standard")


def test_what_is_inside_an_exported_price_is_the_sellers_own_tax():
    assert rate(rules(), Place("NO"), "reduced") == ("7", "table", "export")
    own = rules(("DE", "", "reduced", "2026-01-01", "9"))
    assert rate(own, Place("NO"), "reduced") == ("9", "own", "export")


def test_a_place_without_country_is_the_sellers():
    assert rate(rules(), Place(""))[0] == "19"


@pytest.mark.parametrize("state", ["", "NJ", "Bavaria"])
def test_a_place_without_a_known_rate_is_refused_by_name(state):
    with pytest.raises(NoRate) as refused:
        rules(seller="US").decide(Place("US", state), "standard", DAY, CONSUMER)
    assert refused.value.code == "no_tax_rate"
    with pytest.raises(NoRate):
        rules(seller="US").rate_at(Place("US", state), "standard", DAY)


def test_a_state_is_asked_for_where_the_rate_depends_on_it():
    assert rules(seller="US").asks_region("US")
    assert not rules().asks_region("US")
    assert not rules().asks_region("FR")
    assert rules(("ES", "CN", "standard", "2026-01-01", "7")).asks_region("ES")
    assert not rules(("ES", "CN", "standard", "2026-01-01", "7")).asks_region("FR")
    assert not rules(("ES", "", "standard", "2026-01-01", "20")).asks_region("ES")
    assert rules(("US", "CA", "standard", "2026-01-01", "7.25")).asks_region("US")


def test_a_providers_answer_stands_before_every_table_and_silence_falls_back():
    book = rules(("DE", "", "standard", "2026-01-01", "18"))
    here = Place("DE", "", "07743", "Jena")
    question = TaxQuestion("DE", here, "standard", DAY)
    answered = book.with_quotes({question: TaxAnswer(Decimal("19.5"), "sample-tax")})

    assert rate(answered, here) == ("19.5", "sample-tax", "standard")
    assert rate(answered, replace(here, city="Gera")) == ("18", "fallback", "standard")
    assert rate(answered, Place("AT"), buyer=BUYERS["fr_valid"]) == (
        "20",
        "table",
        "reverse_charge",
    )


def test_a_provider_is_not_asked_about_a_firm_that_accounts_for_the_tax_itself():
    abroad = Place("AT")
    question = TaxQuestion("DE", abroad, "standard", DAY)
    answered = rules().with_quotes({question: TaxAnswer(Decimal(13), "sample-tax")})

    assert rate(answered, abroad) == ("13", "sample-tax", "standard")
    assert rate(answered, abroad, buyer=BUYERS["fr_valid"])[1:] == ("table", "reverse_charge")


def test_a_provider_is_asked_about_the_sellers_country_where_nothing_is_sent():
    question = rules().question(Place("", "", "07743", "Jena"), "standard", DAY)

    assert question == TaxQuestion("DE", Place("DE", "", "07743", "Jena"), "standard", DAY)
    assert rules().question(Place("AT"), "reduced", DAY).place == Place("AT")


@pytest.mark.parametrize(("buyer", "treatment"), [("consumer", "standard"), ("exempt", "exempt")])
def test_a_sale_bears_the_tax_of_its_buyer_place_class_and_day(buyer, treatment):
    book = rules(("AT", "", "reduced", "2027-07-01", "5"))
    sale = Sale(book, Place("AT"), BUYERS[buyer])

    assert sale.tax("reduced", date(2027, 6, 30)) == book.decide(
        Place("AT"), "reduced", date(2027, 6, 30), BUYERS[buyer]
    )
    found = sale.tax("reduced", date(2027, 7, 1))
    assert (str(found.rate), found.source, found.treatment.value) == ("5", "own", treatment)
    assert str(sale.tax("standard", DAY).rate) == "20"
    assert (sale.country, Sale(book, Place("")).country) == ("AT", "DE")


def test_the_rate_at_a_place_is_the_consumers_of_the_class_asked_for():
    assert rules().rate_at(Place("DE"), "reduced", DAY) == 7
    assert rules().rate_at(Place("DE"), "standard", DAY) == 19


def test_the_way_of_rounding_is_part_of_the_rules():
    assert rules().rounding == "sum"
    assert TaxRules.of("DE", "line", ()).rounding == "line"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("California", "CA"),
        ("new  york", "NY"),
        ("N.Y.", "NY"),
        ("tx", "TX"),
        ("Ontario", "ONTARIO"),
    ],
)
def test_a_state_is_known_by_code_and_name(typed, code):
    assert region_code("US", typed) == code


COUNTRIES = st.sampled_from(["DE", "FR", "GR", "CH", "GB", "US", "NO"])


@given(COUNTRIES, COUNTRIES, st.sampled_from(sorted(BUYERS)))
def test_only_a_valid_number_of_another_member_state_ever_moves_the_tax(seller, to, buyer):
    found = treatment_of(seller, to, BUYERS[buyer])
    plain = treatment_of(seller, to, replace(BUYERS[buyer], tax_id_state=""))

    assert found is plain or (found is Treatment.REVERSE_CHARGE and plain is Treatment.STANDARD)
