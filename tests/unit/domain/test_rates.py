"""The rate table: every country, every change on its day, nothing guessed."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from storefront.domain import rates
from storefront.domain.rates import (
    CHECKED_ON,
    EU,
    FIRST_DAY,
    RATES,
    REGIONS,
    NoRate,
    Rates,
    rate_for,
)

#: Standard rate and the rate of packaged everyday food, read off each state's own tables.
CHECKED = """
    AT 20 10    | BE 21 6   | BG 20 20   | CY 19 5  | CZ 21 12  | DE 19 7   | DK 25 25
    EE 24 24    | ES 21 10  | FI 25.5 13.5 | FR 20 5.5 | GR 24 13 | HR 25 25 | HU 27 27
    IE 23 0     | IT 22 10  | LT 21 21   | LU 17 3  | LV 21 21  | MT 18 0   | NL 21 9
    PL 23 5     | PT 23 6   | RO 21 11   | SE 25 6  | SI 22 9.5 | SK 23 19
    GB 20 0     | CH 8.1 2.6
    US-CA 7.25 0 | US-CO 2.9 0 | US-DE 0 0 | US-FL 6 0 | US-IL 6.25 0 | US-MA 6.25 0
    US-MT 0 0 | US-NH 0 0 | US-NY 4 0 | US-OR 0 0 | US-PA 6 0 | US-TN 7 4 | US-TX 6.25 0
    US-VA 5.3 1 | US-WA 6.5 0
"""
ROWS = [entry.split() for entry in CHECKED.replace("\n", "|").split("|") if entry.strip()]


def test_the_table_covers_the_eu_great_britain_switzerland_and_some_us_states():
    assert len(EU) == 27
    assert set(RATES) == EU | {"GB", "CH"}
    assert {place for place, _, _ in ROWS} == {*RATES, *(f"US-{state}" for state in REGIONS["US"])}


def test_the_written_table_is_read_entry_by_entry_and_sorted_by_place():
    later = date(2026, 1, 1)
    table = rates._table(
        "\n  CH 8.1 2.6 | AT 20 10\n  FR 20 5.5\n",
        {"EE": ((FIRST_DAY, "22", "9"), (later, "24", "13.5"))},
    )

    assert table == {
        "AT": (Rates(FIRST_DAY, Decimal(20), Decimal(10)),),
        "CH": (Rates(FIRST_DAY, Decimal("8.1"), Decimal("2.6")),),
        "EE": (
            Rates(FIRST_DAY, Decimal(22), Decimal(9)),
            Rates(later, Decimal(24), Decimal("13.5")),
        ),
        "FR": (Rates(FIRST_DAY, Decimal(20), Decimal("5.5")),),
    }
    assert list(table) == ["AT", "CH", "EE", "FR"]


@pytest.mark.parametrize(("place", "standard", "food"), ROWS)
@pytest.mark.parametrize("on", [CHECKED_ON, date(2026, 12, 31), date(2027, 3, 2)])
def test_every_rate_is_the_one_on_paper(place, standard, food, on):
    country, _, region = place.partition("-")

    assert rate_for(country, "standard", on, region) == Decimal(standard)
    assert rate_for(country, "reduced", on, region) == Decimal(food)
    assert rate_for(country, "zero", on, region) == 0


@pytest.mark.parametrize("country", sorted(RATES))
def test_rates_are_in_order_and_plausible(country):
    rows = RATES[country]

    assert [row.since for row in rows] == sorted({row.since for row in rows})
    assert rows[0].since == FIRST_DAY
    assert all(0 <= row.reduced <= row.standard <= 27 for row in rows)


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


def test_groceries_in_illinois_are_free_of_state_tax_from_2026():
    assert rate_for("US", "reduced", date(2025, 12, 31), "IL") == 1
    assert rate_for("US", "reduced", date(2026, 1, 1), "IL") == 0


def test_what_is_not_known_is_refused_not_guessed():
    with pytest.raises(NoRate) as refused:
        rate_for("NO", "standard", CHECKED_ON)
    assert refused.value.params == {"country": "NO", "on": CHECKED_ON.isoformat()}
    with pytest.raises(NoRate) as refused:
        rate_for("US", "standard", CHECKED_ON, "NJ")
    assert refused.value.params["region"] == "NJ"
    with pytest.raises(NoRate) as refused:
        rate_for("US", "reduced", CHECKED_ON)
    assert refused.value.params["region"] == ""
    with pytest.raises(NoRate):
        rate_for("DE", "standard", FIRST_DAY - timedelta(days=1))
    with pytest.raises(ValueError, match="tax class"):
        rate_for("DE", "luxury", CHECKED_ON)
