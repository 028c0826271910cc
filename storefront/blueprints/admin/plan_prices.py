"""The forms of prices on a plan's page: each on sale, another interval, what answers cost."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.fields import plain_money
from storefront.blueprints.admin.plan_forms import PriceForm, RepriceForm, SurchargeForm
from storefront.blueprints.admin.words import amount
from storefront.blueprints.intervals import interval_code
from storefront.domain.periods import Interval
from storefront.formats import interval_name
from storefront.queries.plans import PlanDetail, PriceRow
from storefront.templating import writing_locale


def price_forms(found: PlanDetail, currency: str) -> dict[str, Any]:
    """Return a form per price on sale by its public id; under ``""`` one for another interval."""
    forms: dict[str, Any] = {
        price.ref: reprice_form(price, {"amount": plain_money(price.amount)})
        for price in found.on_sale
    }
    return forms | {"": PriceForm(None, currency, interval_code(found.shipping))}


def sold_everywhere(found: PlanDetail, interval: Interval, currency: str) -> PriceRow | None:
    """Return the price for everywhere of ``interval``, if there is one on sale."""
    key = ("", currency, interval)
    matching = (p for p in found.on_sale if (p.country, p.amount.currency, p.interval) == key)
    return next(matching, None)


def reprice_form(
    price: PriceRow, now: dict[str, Any] | None = None, typed: Any = None
) -> RepriceForm:
    """Return the form of a price on sale, in its own currency."""
    return RepriceForm(typed, price.amount.currency, now, prefix=f"{price.ref}-")


def surcharge_forms(found: PlanDetail, currency: str) -> dict[str, SurchargeForm]:
    """Return a form per answer that costs more, by question and answer."""
    forms = {}
    for each in found.questions:
        for option in each.options:
            key = f"{each.code}.{option.code}"
            now = {"surcharge": plain_money(option.surcharge)}
            forms[key] = SurchargeForm(None, currency, now, prefix=f"{key}-")
    return forms


def place_of(country: str) -> str:
    """Return where a price is sold, in words."""
    return str(writing_locale().territories.get(country, country)) if country else _("Everywhere")


def sold_as(price: PriceRow) -> str:
    """Return what tells a price from the others of its plan: "Monthly, Austria"."""
    name = interval_name(price.interval)
    if not price.country:
        return name
    return _("%(interval)s, %(country)s", interval=name, country=place_of(price.country))


def keeping(price: PriceRow | None) -> str:
    """Say how many keep the price they have; empty when nobody does."""
    if price is None or not price.running:
        return ""
    return ngettext(
        "%(num)s subscriber keeps %(amount)s.",
        "%(num)s subscribers keep %(amount)s.",
        price.running,
        amount=amount(price.amount),
    )
