"""Which tax a sale bears: the rate of its place and day, or none, and why.

One object, ``TaxRules``, holds what the shop knows (its own rates, its country, how it rounds);
``TaxRules.decide`` is the only place where a rate is chosen. Pages, renewals, the checkout and
changes of plan all ask it.
Source: docs/decisions/0071-tax-treatment.md and 0072-own-rates.md.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from storefront.domain.rates import EU, REGIONS, TaxClass, rate_for
from storefront.domain.regions import region_code
from storefront.domain.taxes import Rounding

#: Countries where a seller abroad owes the tax of the small parcels it sends there.
COLLECTED_BY_SELLERS_ABROAD = frozenset({"GB"})
#: Prefixes of VAT numbers that are no country code of their own.
_PREFIXES = {"EL": "GR"}
#: The table of the product, the merchant's own row, the table because the provider was silent.
TABLE, OWN, FALLBACK = "table", "own", "fallback"


class Treatment(StrEnum):
    """How a document is taxed; other than standard it bears no tax and says why."""

    STANDARD = "standard"
    REVERSE_CHARGE = "reverse_charge"
    EXEMPT = "exempt"
    EXPORT = "export"


class TaxIdState(StrEnum):
    """What is known of a VAT number; only a valid one changes what is charged."""

    NONE = ""
    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Buyer:
    """What of the buyer decides about tax."""

    tax_id: str = ""
    tax_id_state: str = ""
    is_exempt: bool = False


#: Nobody in particular: what a page shows before it knows who reads it.
CONSUMER = Buyer()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box goes, as far as tax asks; ``region`` as typed or as a code."""

    country: str
    region: str = ""
    postcode: str = ""
    city: str = ""


@dataclass(frozen=True, slots=True)
class OwnRate:
    """A row the merchant entered; it stands before the product's table from ``since`` on."""

    country: str
    region: str
    tax_class: str
    since: date
    rate: Decimal


@dataclass(frozen=True, slots=True)
class TaxQuestion:
    """What a tax provider is asked: the rate of one place, class and tax point."""

    seller_country: str
    place: Place
    tax_class: str
    on: date


@dataclass(frozen=True, slots=True)
class TaxAnswer:
    """A provider's rate in percent; ``provider`` is its name for the document."""

    rate: Decimal
    provider: str


@dataclass(frozen=True, slots=True)
class Taxed:
    """The decision: ``rate`` is the one inside a consumer's price, charged only if standard.

    ``source`` says where the rate comes from: table, own, fallback (the provider was silent)
    or the provider's name.
    """

    rate: Decimal
    treatment: Treatment = Treatment.STANDARD
    source: str = TABLE


def treatment_of(
    seller_country: str, country: str, buyer: Buyer, *, is_registered: bool = False
) -> Treatment:
    """Return how a sale from ``seller_country`` into ``country`` is taxed.

    In this order: a customer who is exempt pays no tax anywhere. Goods that leave the seller's
    tax area are an export, unless the shop ``is_registered`` there or that country has sellers
    abroad collect its tax. Inside the European Union a firm of another member state with a
    valid VAT number accounts for the tax itself. Everything else is standard.
    Source: Directive 2006/112/EC, articles 138, 146(1)(a) and 196;
    docs/decisions/0071-tax-treatment.md.

    >>> firm = Buyer("FR40303265045", "valid")
    >>> treatment_of("DE", "FR", firm).value
    'reverse_charge'
    >>> treatment_of("DE", "DE", firm).value
    'standard'
    """
    if buyer.is_exempt:
        return Treatment.EXEMPT
    if tax_area(seller_country) != tax_area(country):
        collects = is_registered or country in COLLECTED_BY_SELLERS_ABROAD
        return Treatment.STANDARD if collects else Treatment.EXPORT
    if buyer.tax_id_state != TaxIdState.VALID or country == seller_country:
        return Treatment.STANDARD
    other = country_of_tax_id(buyer.tax_id)
    firm = country in EU and seller_country in EU and other in EU and other != seller_country
    return Treatment.REVERSE_CHARGE if firm else Treatment.STANDARD


def tax_area(country: str) -> str:
    """Return the area a country shares its tax border with: the EU, or the country alone."""
    return "EU" if country in EU else country


def country_of_tax_id(number: str) -> str:
    """Return the country of a VAT number with prefix; Greek ones begin with EL.

    >>> country_of_tax_id("EL094259216")
    'GR'
    """
    return _PREFIXES.get(number[:2], number[:2])


@dataclass(frozen=True, slots=True)
class Sale:
    """Who buys where, under which rules: all that decides the tax of what is sold."""

    taxes: TaxRules
    place: Place
    buyer: Buyer = CONSUMER

    @property
    def country(self) -> str:
        """The country sent to; the seller's own where nothing is sent."""
        return self.place.country or self.taxes.seller_country

    def tax(self, tax_class: TaxClass, on: date) -> Taxed:
        """Return the tax of a product at the tax point ``on``. Raises ``NoRate``."""
        return self.taxes.decide(self.place, tax_class, on, self.buyer)


@dataclass(frozen=True)
class TaxRules:
    """Everything the shop knows about tax on one day or another; a plain value."""

    seller_country: str
    rounding: Rounding = "sum"
    #: (country, region, class) -> the merchant's rates, oldest first.
    own: Mapping[tuple[str, str, str], Sequence[OwnRate]] = field(default_factory=dict)
    #: What a provider answered; a question it was silent on falls back.
    quoted: Mapping[TaxQuestion, TaxAnswer] = field(default_factory=dict)
    #: True where a provider was asked, so that silence is a fallback and is said.
    has_provider: bool = False
    #: Answers given before; forgotten with the rules themselves.
    _decided: dict[tuple[object, ...], Taxed] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @classmethod
    def of(cls, seller_country: str, rounding: Rounding, own: Sequence[OwnRate]) -> TaxRules:
        """Return the rules of a shop with its ``own`` rates in any order."""
        rows: dict[tuple[str, str, str], list[OwnRate]] = {}
        for row in sorted(own, key=lambda row: row.since):
            rows.setdefault((row.country, row.region, row.tax_class), []).append(row)
        return cls(seller_country, rounding, rows)

    def with_quotes(self, quoted: Mapping[TaxQuestion, TaxAnswer]) -> TaxRules:
        """Return the same rules with a provider's answers, which stand before every table."""
        return replace(self, quoted={**self.quoted, **quoted}, has_provider=True)

    def decide(self, place: Place, tax_class: TaxClass, on: date, buyer: Buyer) -> Taxed:
        """Return rate and treatment of a sale to ``buyer`` at the tax point ``on``.

        A place without a country is the seller's own. Raises ``NoRate`` where no rate is
        known, also for a firm that pays none: what is inside its price would be a guess.
        """
        if self.has_provider:
            return self._decide(place, tax_class, on, buyer)
        # Our own tables know no more of a place than this, so a run decides once for many.
        asked = (place.country, place.region, tax_class, on, buyer)
        found = self._decided.get(asked)
        if found is None:
            found = self._decided[asked] = self._decide(place, tax_class, on, buyer)
        return found

    def _decide(self, place: Place, tax_class: TaxClass, on: date, buyer: Buyer) -> Taxed:
        country = place.country or self.seller_country
        abroad = tax_area(self.seller_country) != tax_area(country)
        treatment = treatment_of(
            self.seller_country,
            country,
            buyer,
            is_registered=abroad and self.is_registered(country, on),
        )
        if treatment is Treatment.EXPORT:
            # What a consumer at home has inside the price; abroad nobody pays it.
            rate, source = self.rate(Place(self.seller_country), tax_class, on)
            return Taxed(rate, treatment, source)
        asked = treatment is Treatment.STANDARD and self.has_provider
        answer = self.quoted.get(self.question(place, tax_class, on)) if asked else None
        if answer is not None:
            return Taxed(answer.rate, treatment, answer.provider)
        rate, source = self.rate(Place(country, place.region), tax_class, on)
        return Taxed(rate, treatment, FALLBACK if asked else source)

    def question(self, place: Place, tax_class: str, on: date) -> TaxQuestion:
        """Return what a provider is asked about a sale to ``place``."""
        where = replace(place, country=place.country or self.seller_country)
        return TaxQuestion(self.seller_country, where, tax_class, on)

    def rate(self, place: Place, tax_class: TaxClass, on: date) -> tuple[Decimal, str]:
        """Return (rate, source) of a place: its region's own row, its country's, the table's.

        Raises ``NoRate``.
        """
        region = region_code(place.country, place.region)
        for where in dict.fromkeys((region, "")):
            row = self.own_rate(place.country, where, tax_class, on)
            if row is not None:
                return row.rate, OWN
        return rate_for(place.country, tax_class, on, region), TABLE

    def own_rate(self, country: str, region: str, tax_class: str, on: date) -> OwnRate | None:
        """Return the merchant's row in force on a day, or None."""
        rows = self.own.get((country, region, tax_class), ())
        index = bisect_right(rows, on, key=lambda row: row.since) - 1
        return rows[index] if index >= 0 else None

    def is_registered(self, country: str, on: date) -> bool:
        """True where the merchant entered a rate for a country abroad: the shop collects there."""
        return any(key[0] == country and rows[0].since <= on for key, rows in self.own.items())

    def asks_region(self, country: str) -> bool:
        """True where the rate depends on a region, so that an address must name it."""
        if tax_area(country) != tax_area(self.seller_country) and not any(
            key[0] == country for key in self.own
        ):
            return False
        return country in REGIONS or any(key[0] == country and key[1] for key in self.own)

    def rate_at(self, place: Place, tax_class: TaxClass, on: date) -> Decimal:
        """Return the rate of a sale to a consumer at ``place``. Raises ``NoRate``."""
        return self.decide(place, tax_class, on, CONSUMER).rate
