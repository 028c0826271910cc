"""The parts of an address form that follow its country: order, names, regions, postcode."""

from __future__ import annotations

import re
from typing import Any

from flask import request
from flask_babel import gettext as _
from markupsafe import Markup
from wtforms import Field, StringField, ValidationError
from wtforms.validators import StopValidation
from wtforms.widgets import TextInput

from storefront.domain.addresses import PostalLayout, layout_of
from storefront.domain.regions import region_value
from storefront.templating import attributes

#: Field of the button that shows the form anew for the country that was chosen; its value is the
#: country the form was made for, so that Enter in a line, which presses it, saves as usual.
TURN = "turn"
#: How the fields of a second address of the same form begin.
BILLING = "billing-"
#: Characters of a part, as the columns of ``address`` have them.
_MOST = {"street": "120", "postcode": "16", "city": "80", "region": "80"}
_LETTERS = {"autocapitalize": "characters"}


def is_turning() -> bool:
    """Return whether only the country of the form was changed: nothing is to be saved."""
    posted = request.form
    return any(
        posted[prefix + TURN] != posted.get(prefix + "country")
        for prefix in ("", BILLING)
        if prefix + TURN in posted
    )


def part_name(layout: PostalLayout, part: str) -> str:
    """Return what a part of an address is called in its country."""
    names = {
        "street": _("Street and number"),
        "postcode": _("Postcode"),
        "zip": _("ZIP code"),
        "eircode": _("Eircode"),
        "pin": _("PIN code"),
        "suburb": _("Suburb or town"),
        "region": _("State or region"),
        "state": _("State or territory"),
        "province": _("Province"),
        "prefecture": _("Prefecture"),
        "county": _("County"),
    }
    # "Town" alone is what most countries say; where districts are meant as well, "City".
    names["city"] = _("City") if layout.words.get("city") == "city" else _("Town")
    return names[layout.words.get(part, part)]


def region_missing(country: str, *, for_tax: bool = False) -> str:
    """Ask for a region by its name in ``country``, and say who needs it: carrier or taxes."""
    word = layout_of(country).words.get("region", "region")
    if for_tax:
        return {
            "state": _("Enter the state; taxes depend on it"),
            "province": _("Enter the province; taxes depend on it"),
            "prefecture": _("Enter the prefecture; taxes depend on it"),
            "county": _("Enter the county; taxes depend on it"),
            "region": _("Enter the region; taxes depend on it"),
        }[word]
    return {
        "state": _("Enter the state; the carrier needs it"),
        "province": _("Enter the province; the carrier needs it"),
        "prefecture": _("Enter the prefecture; the carrier needs it"),
        "county": _("Enter the county; the carrier needs it"),
        "region": _("Enter the region; the carrier needs it"),
    }[word]


class Needed:
    """A part that cannot be left empty in its country, asked for by its name there."""

    def __call__(self, form: Any, field: Field) -> None:
        if field.data:
            return
        layout: PostalLayout = form.layout
        field.errors = []
        if field.short_name == "postcode" and not layout.needs_postcode:
            raise StopValidation
        messages = {
            "postcode": _("Enter the postcode"),
            "zip": _("Enter the ZIP code"),
            "pin": _("Enter the PIN code"),
            "city": _("Enter the town"),
        }
        raise StopValidation(messages[layout.words.get(field.short_name, field.short_name)])


class _Regions(TextInput):
    """A list of regions where the country has one, else a line to type in."""

    def __call__(self, field: Any, **given: Any) -> Markup:
        regions = field.layout.regions
        if not regions:
            return super().__call__(field, **given)
        chosen = region_value(field.country, field.data or "")
        known = any(value == chosen for value, _name in regions)
        options = [("", _("Choose one")), *regions]
        if chosen and not known:
            # Typed before there was a list: it stays until another is chosen.
            options.append((chosen, chosen))
        given.pop("maxlength", None)
        rows = [
            Markup("<option{}>{}</option>").format(
                attributes({"value": value, "selected": value == chosen}), name
            )
            for value, name in options
        ]
        given = {"id": field.id, "name": field.name, **given}
        return Markup("<select{}>{}</select>").format(attributes(given), Markup("").join(rows))


class RegionField(StringField):
    """State, province or prefecture; ``country`` is that of the form it stands in."""

    widget = _Regions()
    country = ""

    @property
    def layout(self) -> PostalLayout:
        return layout_of(self.country)

    def pre_validate(self, form: Any) -> None:
        """Keep the region as the post writes it."""
        typed: str = self.data or ""  # type: ignore[has-type]
        self.data = region_value(form.place_country, typed)


class PostalParts:
    """Mixed into a form with the fields of an address: what its country makes of them."""

    #: The country where the form does not ask for it.
    of_country = ""

    @property
    def turn(self) -> str:
        """The name of the button that shows the fields of another country."""
        form: Any = self
        return form._prefix + TURN

    @property
    def place_country(self) -> str:
        """The country of the address, by code."""
        form: Any = self
        return self.of_country or form.country.data or ""

    @property
    def layout(self) -> PostalLayout:
        """How an address is written in that country."""
        return layout_of(self.place_country)

    def place_rows(self, asks_region: bool) -> list[list[tuple[Any, str, bool, dict[str, Any]]]]:
        """Return the fields of the place line by line: (field, name, may be left out, attributes).

        Without ``asks_region`` none is asked for.
        """
        form: Any = self
        layout = self.layout
        form.region.country = self.place_country
        return [
            [self._part(form[part], part, layout) for part in row]
            for row in layout.rows()
            if asks_region or row != ("region",)
        ]

    def _part(
        self, field: Any, part: str, layout: PostalLayout
    ) -> tuple[Any, str, bool, dict[str, Any]]:
        extra = {"maxlength": _MOST[part]}
        if part == "postcode":
            extra |= {"inputmode": "numeric"} if layout.is_numeric else _LETTERS
        may_lack = part == "postcode" and not layout.needs_postcode
        return field, part_name(layout, part), may_lack, extra


def check_postcode(form: Any, field: Any) -> None:
    """Refuse a postcode that is none in its country. Raises ``ValidationError``."""
    layout = form.layout
    if layout.pattern and field.data and not re.fullmatch(layout.pattern, field.data):
        raise ValidationError(
            _("Postcodes there look like %(example)s. Check yours", example=layout.example)
        )
