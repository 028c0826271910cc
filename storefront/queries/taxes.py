"""The rates in force in the shop's countries, and those to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.rates import RATES, REGIONS, NoRate, TaxClass
from storefront.domain.tax_treatment import Buyer, Place, TaxRules, Treatment, tax_area
from storefront.models import TaxRate
from storefront.models.base import table_of

_CLASSES: tuple[TaxClass, ...] = ("standard", "reduced")


@dataclass(frozen=True, slots=True)
class InForce:
    """The rates of a place today, in percent; None where none is known.

    ``source`` is table or own; with ``is_export`` nothing is charged there.
    """

    country: str
    region: str
    standard: Decimal | None
    reduced: Decimal | None
    source: str
    is_export: bool


@dataclass(frozen=True, slots=True)
class Coming:
    """A change of a rate after today; one of the merchant's own has a ``ref``."""

    since: date
    country: str
    region: str
    tax_class: str
    rate: Decimal
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TaxPage:
    """Everything the page of taxes shows."""

    rates: tuple[InForce, ...]
    coming: tuple[Coming, ...]
    rounding: str


def tax_page(
    session: AnySession, taxes: TaxRules, countries: Sequence[str], today: date
) -> TaxPage:
    """Return the rates of ``countries`` today and every known change to come; one statement."""
    rates = [
        _in_force(taxes, country, region, today)
        for country in dict.fromkeys([taxes.seller_country, *countries])
        for region in _regions(taxes, country)
    ]
    coming = [*_own(session, today), *_by_law(countries, today)]
    coming.sort(key=lambda one: (one.since, one.country, one.region, one.tax_class))
    return TaxPage(tuple(rates), tuple(coming), taxes.rounding)


def _regions(taxes: TaxRules, country: str) -> list[str]:
    if not taxes.asks_region(country):
        return [""]
    own = {region for land, region, _ in taxes.own if land == country}
    return sorted({*REGIONS.get(country, ()), *own})


def _in_force(taxes: TaxRules, country: str, region: str, today: date) -> InForce:
    found = [_rate(taxes, country, region, each, today) for each in _CLASSES]
    export = tax_area(country) != tax_area(taxes.seller_country) and _is_export(
        taxes, country, region, today
    )
    sources = {source for _, source in found if source}
    return InForce(
        country,
        region,
        found[0][0],
        found[1][0],
        "own" if "own" in sources else "table",
        export,
    )


def _rate(
    taxes: TaxRules, country: str, region: str, tax_class: TaxClass, today: date
) -> tuple[Decimal | None, str]:
    try:
        return taxes.rate(Place(country, region), tax_class, today)
    except NoRate:
        return None, ""


def _is_export(taxes: TaxRules, country: str, region: str, today: date) -> bool:
    try:
        decided = taxes.decide(Place(country, region), "standard", today, Buyer())
    except NoRate:
        return False
    return decided.treatment is Treatment.EXPORT


def _own(session: AnySession, today: date) -> list[Coming]:
    table = table_of(TaxRate)
    rows = session.execute(sa.select(table).where(table.c.since_on > today))
    return [
        Coming(
            row.since_on,
            row.country,
            row.region,
            row.tax_class,
            Decimal(row.rate_bp).scaleb(-2),
            row.public_id,
        )
        for row in rows
    ]


def _by_law(countries: Sequence[str], today: date) -> list[Coming]:
    """Changes the product's table knows already."""
    found = []
    for country in countries:
        rows = RATES.get(country, ())
        for before, after in pairwise(rows):
            if after.since <= today:
                continue
            if after.standard != before.standard:
                found.append(Coming(after.since, country, "", "standard", after.standard))
            if after.reduced != before.reduced:
                found.append(Coming(after.since, country, "", "reduced", after.reduced))
    return found
