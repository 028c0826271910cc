"""Rates of countries become zones, and no box costs another amount than before."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storefront import migrate
from storefront.domain.money import Money
from storefront.domain.shipping import shipping_cost
from storefront.operations.shipping import read_delivery
from tests.migrations.test_rows_kept import at_first_revision
from tests.support.databases import Database, Databases

COUNTRIES = ["", "DE", "AT", "FR", "CH", "NL"]
CURRENCIES = ["EUR", "CHF", "USD"]
#: (country, currency, amount, free from).
Rates = Sequence[tuple[str, str, int, int | None]]


def cost_before(rates: Rates, country: str, goods: Money) -> Money | None:
    """Return what a box cost before there were zones, by the rule of that time."""
    fitting = [one for one in rates if one[0] in ("", country) and one[1] == goods.currency]
    if not fitting:
        return None
    _country, currency, minor, free = max(fitting, key=lambda one: one[0])
    return Money(0 if free is not None and goods.minor >= free else minor, currency)


def test_no_box_costs_another_amount_after_the_rates_became_zones(
    database: Database, databases: Databases, tmp_path: Path
) -> None:
    random = Random(14)
    rates = [
        (country, currency, random.randint(0, 2000), random.choice([None, 0, 4000, 10_000]))
        for country in COUNTRIES
        for currency in CURRENCIES
        if random.random() < 0.6
    ]
    old = at_first_revision(database, databases, tmp_path)
    with old.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO shipping_rate (country, currency, amount_minor, free_from_minor) "
                "VALUES (:country, :currency, :minor, :free)"
            ),
            [
                dict(zip(("country", "currency", "minor", "free"), one, strict=True))
                for one in rates
            ],
        )

    migrate.upgrade(old)

    with Session(old) as session:
        delivery = read_delivery(session)
    asked = [
        (country, Money(minor, currency))
        for country in [*COUNTRIES[1:], "IT", "US"]
        for currency in CURRENCIES
        for minor in (0, 3999, 4000, 9999, 10_000)
    ]
    before = [cost_before(rates, country, goods) for country, goods in asked]
    after = [
        shipping_cost(delivery.zones, country, postcode, grams, goods)
        for (country, goods), postcode, grams in zip(
            asked, ["", "07743", "18565", "1012 AB"] * 99, [0, 700, 30_000] * 99, strict=False
        )
    ]
    assert after == before
    # The comparison is worth something: there are places with and without a price.
    assert None in before
    assert len(set(before)) > 8
    old.dispose()
