"""The rate table: every country, every change on its day, nothing guessed."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from storefront.domain.rates import CHECKED_ON, FIRST_DAY, RATES, NoRate, rate_for

EU = [
    "AT",
    "BE",
    "BG",
    "CY",
    "CZ",
    "DE",
    "DK",
    "EE",
    "ES",
    "FI",
    "FR",
    "GR",
    "HR",
    "HU",
    "IE",
    "IT",
    "LT",
    "LU",
    "LV",
    "MT",
    "NL",
    "PL",
    "PT",
    "RO",
    "SE",
    "SI",
    "SK",
]


def test_the_table_covers_the_eu_great_britain_and_switzerland():
    assert sorted(RATES) == sorted([*EU, "GB", "CH"])


@pytest.mark.parametrize("country", sorted(RATES))
def test_rates_are_in_order_and_plausible(country):
    rows = RATES[country]

    assert [row.since for row in rows] == sorted({row.since for row in rows})
    assert rows[0].since == FIRST_DAY
    assert all(0 <= row.reduced <= row.standard <= 27 for row in rows)


@pytest.mark.parametrize(
    ("country", "standard", "reduced"),
    [
        ("DE", "19", "7"),
        ("FR", "20", "5.5"),
        ("AT", "20", "10"),
        ("CH", "8.1", "2.6"),
        ("GB", "20", "0"),
        ("DK", "25", "25"),
        ("HU", "27", "18"),
        ("SI", "22", "9.5"),
    ],
)
def test_rates_of_the_day_of_checking(country, standard, reduced):
    assert rate_for(country, "standard", CHECKED_ON) == Decimal(standard)
    assert rate_for(country, "reduced", CHECKED_ON) == Decimal(reduced)
    assert rate_for(country, "zero", CHECKED_ON) == 0


@pytest.mark.parametrize(
    ("country", "tax_class", "day", "before", "after"),
    [
        ("EE", "standard", date(2025, 7, 1), "22", "24"),
        ("RO", "standard", date(2025, 8, 1), "19", "21"),
        ("RO", "reduced", date(2025, 8, 1), "9", "11"),
        ("FI", "reduced", date(2026, 1, 1), "14", "13.5"),
        ("SE", "reduced", date(2026, 4, 1), "12", "6"),
        ("SE", "reduced", date(2028, 1, 1), "6", "12"),
    ],
)
def test_a_change_of_law_holds_from_its_first_day(country, tax_class, day, before, after):
    assert rate_for(country, tax_class, day - timedelta(days=1)) == Decimal(before)
    assert rate_for(country, tax_class, day) == Decimal(after)


def test_what_is_not_known_is_refused_not_guessed():
    with pytest.raises(NoRate) as refused:
        rate_for("US", "standard", CHECKED_ON)
    assert refused.value.params == {"country": "US", "on": CHECKED_ON.isoformat()}
    with pytest.raises(NoRate):
        rate_for("DE", "standard", FIRST_DAY - timedelta(days=1))
    with pytest.raises(ValueError, match="tax class"):
        rate_for("DE", "luxury", CHECKED_ON)
