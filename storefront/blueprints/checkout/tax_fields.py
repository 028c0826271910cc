"""What the delivery step asks and says about tax: region, VAT number, places without a rate."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _

from storefront import tax_desk
from storefront.adapters.tax_numbers import NotATaxNumber, normalise_tax_number
from storefront.blueprints.address_parts import region_missing
from storefront.blueprints.checkout.forms import DeliveryForm
from storefront.blueprints.places import asked_of_address
from storefront.domain.rates import EU, NoRate
from storefront.domain.tax_treatment import Place, TaxIdState, tax_area
from storefront.operations.checkout import Order
from storefront.runtime import Runtime
from storefront.templating import writing_locale


def asked(rt: Runtime, form: DeliveryForm, ships: bool) -> dict[str, Any]:
    """Say which fields beside street and town the page shows for the country of ``form``."""
    found = asked_of_address(rt, [form.place_country], ships=ships)
    return found | {"asks_tax_id": sells_to_firms(rt)}


def sells_to_firms(rt: Runtime) -> bool:
    """True where a VAT number can change what is charged: a seller in the EU."""
    return tax_area(rt.shop.seller_country) == "EU"


def check(rt: Runtime, order: Order, form: DeliveryForm) -> bool:
    """Put what tax has against the form beside its fields; True when there is nothing."""
    fine = True
    try:
        number_of(rt, form)
    except NotATaxNumber:
        form.tax_id.errors = [
            *form.tax_id.errors,
            _("That is no VAT number. It begins with the country's letters, like DE136695976"),
        ]
        fine = False
    country, region = form.country.data or "", form.region.data or ""
    place = Place(country, region, form.postcode.data or "", form.city.data or "")
    rules = rt.shop.taxes
    if rules.asks_region(country) and not region:
        form.region.errors = [*form.region.errors, region_missing(country, for_tax=True)]
        return False
    if rules.has_provider or rt.hooks.has("quote_tax"):
        return fine
    try:
        for item in order.items:
            rules.rate_at(place, item.plan.tax_class, rt.today())
    except NoRate:
        name = str(writing_locale().territories.get(country, country))
        where = f"{region}, {name}" if rules.asks_region(country) else name
        form.country.errors = [
            *form.country.errors,
            _("We cannot charge tax for %(where)s yet. Choose another country", where=where),
        ]
        fine = False
    return fine


def number_of(rt: Runtime, form: DeliveryForm) -> str:
    """Return the VAT number of the form, spelt well. Raises ``NotATaxNumber``."""
    if not sells_to_firms(rt):
        return ""
    country = form.country.data or ""
    return normalise_tax_number(form.tax_id.data or "", country if country in EU else "")


def state_of(rt: Runtime, order: Order, number: str) -> TaxIdState:
    """Return what is known of a number; one that this order knows already is not asked again."""
    known: Any = order.checkout
    if number and number == known.tax_id and known.tax_id_state == TaxIdState.VALID:
        return TaxIdState.VALID
    return tax_desk.check_number(rt, number)
