"""Forms about delivery: a zone with its prices by weight, a trial, what boxes weigh."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import Field, SelectField, StringField, TextAreaField, ValidationError
from wtforms.validators import Length

from storefront.blueprints.admin.fields import (
    LineField,
    MoneyField,
    WholeField,
    checks,
    choices_of,
    plain_money,
)
from storefront.blueprints.forms import Form
from storefront.domain.money import Money
from storefront.domain.shipping import Area, Band, Tariff, Zone, postcode_key
from storefront.services.shipping import ZoneDraft

#: Stands for every other country in forms; the table keeps an empty text.
OTHER = "other"
#: Prices by weight in a form that has not been saved with more yet, and the most of them.
ROWS, MOST_ROWS = 3, 20
#: The heaviest a box may be for a price, in grams.
MOST_GRAMS = 100_000
#: Longest beginning of a postcode; longer ones were written without commas.
_LONGEST = 10


def areas_of_postcodes(text: str) -> list[Area]:
    """Return the areas of lines such as "DE 18565, 25846". Raises ``ValueError`` with words."""
    found: list[Area] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = re.fullmatch(r"([A-Za-z]{2})[\s:]+(.+)", line)
        if match is None:
            raise ValueError(
                _("Begin each line with the country, like DE 18565, 25846: “%(line)s”", line=line)
            )
        for part in filter(None, map(str.strip, re.split(r"[,;]", match[2]))):
            prefix = postcode_key(part)
            if not prefix or len(prefix) > _LONGEST:
                raise ValueError(_("Separate postcodes by commas: “%(line)s”", line=line))
            found.append(Area(match[1].upper(), prefix))
    return list(dict.fromkeys(found))


def postcodes_text(areas: Sequence[Area]) -> str:
    """Return the postcodes of a zone as they are typed, a line for each country."""
    lines: dict[str, list[str]] = {}
    for area in areas:
        if area.prefix:
            lines.setdefault(area.country, []).append(area.prefix)
    return "\n".join(f"{country} {', '.join(codes)}" for country, codes in lines.items())


class ZoneForm(Form):
    """A zone: where it is, and what a box costs there by its weight.

    The prices are ``from_N`` (grams) and ``cost_N``; the first begins at 0 and is needed.
    """

    name = LineField(
        lazy_gettext("Name"), [Length(max=80, message=lazy_gettext("Use 80 characters or fewer"))]
    )
    countries = checks(lazy_gettext("Whole countries"))
    postcodes = TextAreaField(lazy_gettext("Postcodes"), filters=[lambda text: text or ""])
    kind = SelectField(
        lazy_gettext("Boxes"),
        choices=choices_of(
            [
                ("sent", lazy_gettext("are sent at these prices")),
                ("blocked", lazy_gettext("are not sent there")),
            ]
        ),
        default="sent",
    )
    free_from = MoneyField(lazy_gettext("Free from"))

    def bands(self) -> list[tuple[Field, MoneyField]]:
        """Return the fields of each price: from which weight on, and what it costs."""
        return [(self[f"from_{n}"], self[f"cost_{n}"]) for n in range(self.rows)]

    rows = ROWS
    currency = "EUR"

    @property
    def is_blocked(self) -> bool:
        return bool(self.kind.data == "blocked")

    def areas(self) -> tuple[Area, ...]:
        """Return the places of a valid form."""
        whole = [Area("" if one == OTHER else one) for one in self.countries.data or ()]
        return tuple(dict.fromkeys([*whole, *areas_of_postcodes(self.postcodes.data or "")]))

    def draft(self) -> ZoneDraft:
        """Return the zone of a valid form; its prices in the order of their weights."""
        if self.is_blocked:
            return ZoneDraft(self.areas(), None, self.name.text)
        bands = [
            Band(weight.number or 0, cost.money)
            for weight, cost in self.bands()
            if (cost.data or "").strip()
        ]
        free = self.free_from.money if (self.free_from.data or "").strip() else None
        tariff = Tariff(tuple(sorted(bands, key=lambda band: band.from_grams)), free)
        return ZoneDraft(self.areas(), tariff, self.name.text)

    def validate_postcodes(self, field: TextAreaField) -> None:
        try:
            areas = areas_of_postcodes(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not areas and not self.countries.data:
            raise ValidationError(_("Tick a country above or enter postcodes"))

    def validate(self, extra_validators: Any = None) -> bool:
        """Check each field, then the prices against one another; errors stand at their field."""
        fine = bool(super().validate(extra_validators))
        if self.is_blocked:
            return fine
        seen: set[int] = set()
        for number, (weight, cost) in enumerate(self.bands()):
            if weight.errors or cost.errors:
                fine = False
                continue
            problem = self._problem(number, weight, cost, seen)
            if problem is not None:
                where, words = problem
                where.errors = [*where.errors, words]
                fine = False
        return fine

    def _problem(
        self, number: int, weight: Any, cost: MoneyField, seen: set[int]
    ) -> tuple[Field, str] | None:
        has_cost = bool((cost.data or "").strip())
        if number == 0:
            seen.add(0)
            return None if has_cost else (cost, _("Enter what one box costs, such as 4.90"))
        if not has_cost:
            missing = weight.number is not None
            return (cost, _("Enter what a box of this weight costs")) if missing else None
        if weight.number is None:
            return weight, _("Enter the weight from which this price holds")
        if weight.number in seen:
            return weight, _("Another price begins at %(num)s g already", num=weight.number)
        seen.add(weight.number)
        return None


def zone_form(
    formdata: Any,
    currency: str,
    countries: Sequence[tuple[str, str]],
    zone: Zone | None = None,
) -> ZoneForm:
    """Return the form of a zone, filled with ``zone``, and with rows to spare."""
    tariff = next((one for one in zone.tariffs if one.currency == currency), None) if zone else None
    typed = 0
    if formdata:
        numbers = [re.fullmatch(r"cost_(\d{1,2})", name) for name in formdata]
        typed = max((int(found[1]) + 1 for found in numbers if found), default=0)
    spare = len(tariff.bands) + 2 if tariff else ROWS
    rows = min(max(typed, spare, ROWS), MOST_ROWS)
    fields: dict[str, Any] = {"rows": rows, "currency": currency}
    for n in range(rows):
        # The first price holds from 0 on, so its field takes nothing else.
        fields[f"from_{n}"] = WholeField(_("From, grams"), 1 if n else 0, MOST_GRAMS)
        fields[f"cost_{n}"] = MoneyField(_("Cost of one box"))
    form = type("PricedZoneForm", (ZoneForm,), fields)(formdata, data=_known(zone, tariff))
    form.free_from.currency = currency
    for n in range(rows):
        form[f"cost_{n}"].currency = currency
    form["from_0"].data = "0"
    form.countries.choices = choices_of(countries)
    return form


def _known(zone: Zone | None, tariff: Tariff | None) -> dict[str, Any]:
    if zone is None:
        return {}
    known: dict[str, Any] = {
        "name": zone.name,
        "countries": [area.country or OTHER for area in zone.areas if not area.prefix],
        "postcodes": postcodes_text(zone.areas),
        "kind": "blocked" if zone.is_blocked else "sent",
    }
    for n, band in enumerate(tariff.bands if tariff else ()):
        known[f"from_{n}"] = str(band.from_grams)
        known[f"cost_{n}"] = plain_money(band.amount)
    if tariff and tariff.free_from is not None:
        known["free_from"] = plain_money(tariff.free_from)
    return known


class TrialForm(Form):
    """A box that is sent nowhere: what would it cost?"""

    country = SelectField(lazy_gettext("Country"))
    postcode = StringField(lazy_gettext("Postcode"), [Length(max=16)])
    grams = WholeField(lazy_gettext("Weight, grams"), 0, MOST_GRAMS)
    goods = MoneyField(lazy_gettext("Price of the goods"))

    def __init__(self, formdata: Any, currency: str, countries: Sequence[tuple[str, str]]) -> None:
        super().__init__(formdata)
        self.country.choices = choices_of(countries)
        self.goods.currency = currency

    @property
    def asked(self) -> tuple[str, str, int, Money]:
        """Country, postcode, grams and goods of a valid form."""
        weight = self.grams.number or 0
        return self.country.data, self.postcode.data or "", weight, self.goods.money


def weight_field(plan: str, option_key: str) -> str:
    """Return the name of a weight's field."""
    return f"grams-{plan}-{option_key}" if option_key else f"grams-{plan}"


def read_weights(
    typed: Mapping[str, str], names: Sequence[tuple[str, str]]
) -> tuple[dict[tuple[str, str], int | None], dict[str, str]]:
    """Return grams by (plan, option key), and what is wrong by the name of the field."""
    found: dict[tuple[str, str], int | None] = {}
    wrong: dict[str, str] = {}
    for plan, key in names:
        field = weight_field(plan, key)
        text = typed.get(field, "").strip()
        if not text:
            found[plan, key] = None
        elif re.fullmatch(r"\d{1,6}", text, re.ASCII) and int(text) <= MOST_GRAMS:
            found[plan, key] = int(text)
        else:
            most = {"low": 0, "high": MOST_GRAMS}
            wrong[field] = _("Enter a whole number from %(low)s to %(high)s", **most)
    return found, wrong
