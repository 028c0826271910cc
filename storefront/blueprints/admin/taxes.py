"""Taxes: the rates in force, the merchant's own from a first day on, and how tax is rounded."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import RadioField, SelectField, StringField, ValidationError
from wtforms.validators import InputRequired

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import DayField, LineField, choices_of
from storefront.blueprints.admin.words import long_day
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.rates import CHECKED_ON
from storefront.domain.regions import region_code
from storefront.kept import register_kept
from storefront.operations.checkout import Market
from storefront.queries import taxes as query
from storefront.security import register_policy, staff
from storefront.services import taxes as service
from storefront.templating import writing_locale

_ACCESS = staff(permissions.SETTINGS_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in ("taxes", "tax_rate_add", "tax_rate_remove", "tax_rounding")
    }
)
register_kept(["admin.tax_rate_add"])
_CLASSES = [("standard", lazy_gettext("Standard")), ("reduced", lazy_gettext("Food"))]


class RateField(StringField):
    """A percentage from 0 to 100 with up to two decimals."""

    def pre_validate(self, form: Form) -> None:
        if self.read() is None:
            raise ValidationError(_("Enter a rate from 0 to 100, like 7 or 25.5"))

    def read(self) -> Decimal | None:
        """Return the rate, or None for what is none."""
        text = (self.data or "").strip().removesuffix("%").strip().replace(",", ".")
        if not re.fullmatch(r"\d{1,3}(\.\d{1,2})?", text, re.ASCII):
            return None
        return rate if (rate := Decimal(text)) <= 100 else None


class RateForm(Form):
    """A rate of one country, or a region of it, from a first day on."""

    country = SelectField(lazy_gettext("Country"))
    region = LineField(lazy_gettext("State or region"))
    tax_class = RadioField(lazy_gettext("For"), choices=choices_of(_CLASSES), default="standard")
    rate = RateField(lazy_gettext("Rate in percent"), [InputRequired(lazy_gettext("Enter a rate"))])
    since = DayField(
        lazy_gettext("First day"), [InputRequired(lazy_gettext("Enter the first day"))]
    )

    def validate_region(self, field: LineField) -> None:
        if len(region_code(self.country.data or "", field.text)) > 8:
            raise ValidationError(_("Enter the region's code, such as CA"))

    def draft(self) -> service.RateDraft:
        """Return what a valid form says."""
        country, rate, since = self.country.data, self.rate.read(), self.since.day
        assert rate is not None
        assert since is not None
        region = region_code(country, self.region.text)
        return service.RateDraft(country, region, self.tax_class.data, rate, since)


def add_taxes(bp: Blueprint) -> None:
    """Add the page and what is done on it."""
    bp.add_url_rule("/taxes", "taxes", taxes)
    bp.add_url_rule("/taxes/rates", "tax_rate_add", add_rate, methods=["POST"])
    bp.add_url_rule("/taxes/rates/<ref>/remove", "tax_rate_remove", remove, methods=["POST"])
    bp.add_url_rule("/taxes/rounding", "tax_rounding", rounding, methods=["POST"])


def taxes() -> Response:
    """Show the rates of today and the changes to come."""
    return page("taxes/taxes", **_context())


def add_rate() -> Response:
    """Add a rate; never into a time that is invoiced already."""
    rt, form = runtime(), _form(request.form)
    if form.validate():
        draft = form.draft()
        rt.session.rollback()
        try:
            service.add_rate(rt, who(), draft)
        except service.AlreadyInvoiced as error:
            form.since.errors = [_too_early(error)]
        except service.RateExists:
            form.since.errors = [_("A rate begins on that day already. Remove it first")]
        else:
            day = long_day(draft.since)
            text = _("Saved. It holds for every invoice from %(day)s on.", day=day)
            return _saved(text)
    rt.session.rollback()
    return page("taxes/taxes", 422, **_context(form))


def _too_early(error: service.AlreadyInvoiced) -> str:
    last = long_day(date.fromisoformat(error.params["last"]))
    return _(
        "There are invoices up to %(last)s with the old rate, and they keep it. "
        "Enter a later first day",
        last=last,
    )


def remove(ref: str) -> Response:
    """Take a coming rate away."""
    try:
        removed = service.remove_rate(runtime(), who(), ref)
    except service.RateInForce:
        runtime().session.rollback()
        return _saved(_("It has begun, so it stays. Add a rate with a later first day."))
    if not removed:
        abort(404)
    return _saved(_("Removed."))


def rounding() -> Response:
    """Round once per rate, or on each line."""
    chosen = request.form.get("rounding", "")
    if chosen not in service.ROUNDINGS:
        abort(400)
    changed = service.set_rounding(runtime(), who(), chosen)
    return _saved(_("Saved.") if changed else _("Nothing to save: it is all as before."))


def _saved(text: str) -> Response:
    return saved(text, "taxes/taxes", url_for("admin.taxes"), **_context())


def _context(form: RateForm | None = None) -> dict[str, Any]:
    rt = runtime()
    countries = Market.of(rt.shop).countries
    return {
        "found": query.tax_page(rt.session, rt.shop.taxes, countries, rt.today()),
        "form": form or _form(None),
        "wrong": form,
        "place": _place,
        "class_words": dict(_CLASSES),
        "checked_on": CHECKED_ON,
        "has_provider": rt.hooks.has("quote_tax"),
    }


def _place(country: str, region: str) -> str:
    name = str(writing_locale().territories.get(country, country))
    return f"{name}, {region}" if region else name


def _form(typed: Any) -> RateForm:
    shop = runtime().shop
    form = RateForm(typed)
    codes = dict.fromkeys([shop.seller_country, *Market.of(shop).countries])
    form.country.choices = choices_of(
        sorted(((c, _place(c, "")) for c in codes), key=lambda c: c[1])
    )
    return form
