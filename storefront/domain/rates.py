"""Tax rates of the EU, Great Britain, Switzerland and some US states, each with its first day.

Source of the EU states' rates: European Commission, Taxes in Europe Database, as of
2026-09-29. Which of a state's reduced rates covers ordinary food, the days of past changes,
Great Britain, Switzerland and the US states were entered by hand; where each comes from, and
what was not looked up, stands in docs/decisions/0015-tax-rates-as-dated-data.md. A shop has
its adviser confirm the rates it uses and the class of each product. A US state's rate is the
state's alone: what counties and cities add on top is the merchant's own row or a tax provider's
answer.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from storefront.domain.errors import DomainError

TaxClass = Literal["standard", "reduced", "zero"]

#: The table answers for no day before this one.
FIRST_DAY = date(2025, 1, 1)
#: The day of the database the EU states' present rates were taken from.
CHECKED_ON = date(2026, 9, 29)


@dataclass(frozen=True, slots=True)
class Rates:
    """Percentages in force from ``since`` on; ``reduced`` is the one for ordinary food.

    Where food has no rate of its own ``reduced`` is the standard rate.
    """

    since: date
    standard: Decimal
    reduced: Decimal


class NoRate(DomainError):
    """No tax rate is known for a country on a day."""

    code = "no_tax_rate"


_ALWAYS = """
    AT 20 10 | BE 21 6 | BG 20 20 | CH 8.1 2.6 | CY 19 5 | CZ 21 12 | DE 19 7 | DK 25 25
    ES 21 10 | FR 20 5.5 | GB 20 0 | GR 24 13 | HR 25 25 | HU 27 27 | IE 23 0 | IT 22 10
    LT 21 21 | LU 17 3 | LV 21 21 | MT 18 0 | NL 21 9 | PL 23 5 | PT 23 6 | SI 22 9.5
    SK 23 19
"""
#: Countries whose rates changed, or will by law, since the first day of the table.
_CHANGED: dict[str, tuple[tuple[date, str, str], ...]] = {
    "EE": ((FIRST_DAY, "22", "22"), (date(2025, 7, 1), "24", "24")),
    "FI": ((FIRST_DAY, "25.5", "14"), (date(2026, 1, 1), "25.5", "13.5")),
    "RO": ((FIRST_DAY, "19", "9"), (date(2025, 8, 1), "21", "11")),
    "SE": (
        (FIRST_DAY, "25", "12"),
        (date(2026, 4, 1), "25", "6"),
        (date(2028, 1, 1), "25", "12"),
    ),
}


#: Great Britain and Switzerland stand in the same table but are no member states.
_NOT_EU = frozenset({"CH", "GB"})

#: US states: standard rate and the rate for groceries, where most states tax food less or not.
_STATES = """
    CA 7.25 0 | CO 2.9 0 | DE 0 0 | FL 6 0 | MA 6.25 0 | MT 0 0 | NH 0 0
    NY 4 0 | OR 0 0 | PA 6 0 | TN 7 4 | TX 6.25 0 | VA 5.3 1 | WA 6.5 0
"""
_CHANGED_STATES: dict[str, tuple[tuple[date, str, str], ...]] = {
    "IL": ((FIRST_DAY, "6.25", "1"), (date(2026, 1, 1), "6.25", "0")),
}


def _table(
    same: str, changed: Mapping[str, tuple[tuple[date, str, str], ...]]
) -> dict[str, tuple[Rates, ...]]:
    table: dict[str, tuple[Rates, ...]] = {}
    for entry in same.replace("\n", "|").split("|"):
        if entry.strip():
            place, full, food = entry.split()
            table[place] = (Rates(FIRST_DAY, Decimal(full), Decimal(food)),)
    for place, rows in changed.items():
        table[place] = tuple(
            Rates(since, Decimal(full), Decimal(food)) for since, full, food in rows
        )
    return dict(sorted(table.items()))


#: Country code (ISO 3166-1, Greece as GR) to its rates, oldest first.
RATES: dict[str, tuple[Rates, ...]] = _table(_ALWAYS, _CHANGED)
#: The member states of the European Union.
EU = frozenset(RATES) - _NOT_EU
#: Country taxed by region -> region code -> its rates, oldest first.
REGIONS: dict[str, dict[str, tuple[Rates, ...]]] = {"US": _table(_STATES, _CHANGED_STATES)}


def rate_for(country: str, tax_class: TaxClass, on: date, region: str = "") -> Decimal:
    """Return the rate in percent for ``country`` on the tax point ``on``.

    ``tax_class`` "standard", "reduced" (ordinary food) or "zero"; zero is zero anywhere.
    ``region`` decides in a country taxed by region and is ignored in any other.
    Raises ``NoRate`` for a place outside the table or a day before it begins,
    ``ValueError`` for another class.
    Source: docs/decisions/0015-tax-rates-as-dated-data.md.

    >>> rate_for("DE", "reduced", date(2027, 3, 1))
    Decimal('7')
    >>> [rate_for("FI", "reduced", date(year, 6, 1)) for year in (2025, 2026)]
    [Decimal('14'), Decimal('13.5')]
    >>> rate_for("US", "standard", date(2027, 3, 1), "CA")
    Decimal('7.25')
    """
    if tax_class == "zero":
        return Decimal(0)
    by_region = REGIONS.get(country)
    rows = RATES.get(country, ()) if by_region is None else by_region.get(region, ())
    index = bisect_right(rows, on, key=lambda row: row.since) - 1
    if index < 0:
        where = {} if by_region is None else {"region": region}
        raise NoRate(country=country, on=on.isoformat(), **where)
    if tax_class == "standard":
        return rows[index].standard
    if tax_class == "reduced":
        return rows[index].reduced
    raise ValueError(f"unknown tax class {tax_class!r}")
