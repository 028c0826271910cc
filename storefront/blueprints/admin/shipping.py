"""What sending a box costs, by country."""

from __future__ import annotations

from typing import Any

from babel import Locale
from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import SelectField, ValidationError

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import MoneyField, choices_of
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.operations.discounts import shipping_rates
from storefront.security import register_policy, staff
from storefront.services import shipping as service
from storefront.templating import writing_locale

_ACCESS = staff(permissions.PLANS_MANAGE)
register_policy(
    {f"admin.{name}": _ACCESS for name in ("shipping", "shipping_save", "shipping_remove")}
)
#: Stands for every other country in forms; the table keeps an empty text.
_OTHER = "other"


class RateForm(Form):
    """The cost of one box to one country."""

    country = SelectField(lazy_gettext("Country"))
    amount = MoneyField(lazy_gettext("Cost of one box"))
    free_from = MoneyField(lazy_gettext("Free from"))

    def __init__(self, formdata: Any, currency: str, countries: list[tuple[str, str]]) -> None:
        super().__init__(formdata)
        self.amount.currency = self.free_from.currency = currency
        self.country.choices = choices_of(countries)

    def validate_amount(self, field: MoneyField) -> None:
        if not field.errors and not (field.data or "").strip():
            raise ValidationError(_("Enter what one box costs, such as 4.90"))


def add_shipping(bp: Blueprint) -> None:
    """Add the page of delivery costs."""
    bp.add_url_rule("/delivery", "shipping", shipping)
    bp.add_url_rule("/delivery", "shipping_save", save, methods=["POST"])
    bp.add_url_rule("/delivery/remove", "shipping_remove", remove, methods=["POST"])


def shipping() -> Response:
    """Show what is asked for delivery."""
    return page("shipping/shipping", **_context())


def save() -> Response:
    """Set the cost for a country."""
    rt = runtime()
    form = RateForm(request.form, rt.shop.currency, _countries())
    rt.session.rollback()
    if not form.validate():
        return page("shipping/shipping", 422, **{**_context(), "form": form})
    free_from = form.free_from.money if (form.free_from.data or "").strip() else None
    country = "" if form.country.data == _OTHER else form.country.data
    changed = service.save_rate(rt, who(), country, form.amount.money, free_from)
    text = _("Saved. It holds from the next payment on.") if changed else _("It is so already.")
    return saved(text, "shipping/shipping", url_for("admin.shipping"), **_context())


def remove() -> Response:
    """Ask nothing of its own for a country any more."""
    rt = runtime()
    country = request.form.get("country", "")
    if country not in dict(_countries()):
        abort(404)
    kept = "" if country == _OTHER else country
    service.remove_rate(rt, who(), kept, rt.shop.currency)
    return saved(_("Removed."), "shipping/shipping", url_for("admin.shipping"), **_context())


def _context() -> dict[str, Any]:
    rt = runtime()
    names = dict(_countries())
    rates = [
        rate for rate in shipping_rates(rt.session) if rate.amount.currency == rt.shop.currency
    ]
    return {
        "rates": [
            (rate.country or _OTHER, names.get(rate.country or _OTHER, rate.country), rate)
            for rate in sorted(rates, key=lambda one: (one.country == "", one.country))
        ],
        "form": RateForm(None, rt.shop.currency, _countries()),
        "currency": rt.shop.currency,
    }


def _countries() -> list[tuple[str, str]]:
    rt = runtime()
    names = Locale(writing_locale().language).territories
    known = {rate.country for rate in shipping_rates(rt.session) if rate.country}
    codes = [*rt.shop.countries, *sorted(known - set(rt.shop.countries))]
    return [*((code, names.get(code, code)) for code in codes), (_OTHER, _("Every other country"))]
