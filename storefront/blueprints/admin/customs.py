"""What customs ask of products, and the boxes that wait for it before their export."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import SelectField, ValidationError
from wtforms.validators import Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import LineField, choices_of
from storefront.blueprints.admin.shipping import tabs
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.carriers.countries import ALPHA_3
from storefront.domain.customs import hs_code_of
from storefront.htmx import go
from storefront.operations.checkout import Market
from storefront.queries import customs as query
from storefront.queries.customs_ahead import customs_ahead
from storefront.security import register_policy, staff
from storefront.services import customs as service
from storefront.templating import writing_locale

_ACCESS = staff(permissions.PRODUCTS_MANAGE)
register_policy({"admin.customs": _ACCESS, "admin.customs_product": _ACCESS})


class CustomsForm(Form):
    """What is declared of a product; each part may be empty until it is known."""

    hs_code = LineField(lazy_gettext("HS code"))
    origin = SelectField(lazy_gettext("Country of origin"))
    text = LineField(
        lazy_gettext("What it is"),
        [Length(max=60, message=lazy_gettext("Use 60 characters or fewer"))],
    )

    def __init__(self, formdata: Any, **known: str) -> None:
        super().__init__(formdata, data=known)
        names = writing_locale().territories
        named = sorted((str(names.get(code, code)), code) for code in ALPHA_3)
        self.origin.choices = choices_of([("", "–"), *((code, name) for name, code in named)])

    def validate_hs_code(self, field: LineField) -> None:
        if field.text:
            try:
                hs_code_of(field.text)
            except ValueError:
                raise ValidationError(_("Enter 6, 8 or 10 digits, like 0902.10")) from None


def add_customs(bp: Blueprint) -> None:
    """Add the pages of customs."""
    bp.add_url_rule("/delivery/customs", "customs", customs)
    bp.add_url_rule(
        "/delivery/customs/<variant>", "customs_product", product, methods=["GET", "POST"]
    )


def customs() -> Response:
    """List products and waiting boxes."""
    rt = runtime()
    waiting = query.waiting_boxes(rt.session)
    countries = Market.of(rt.shop).countries
    return page(
        "shipping/customs",
        rows=query.customs_rows(rt.session),
        waiting=waiting[: query.LISTED],
        number=len(waiting),
        ahead=customs_ahead(rt.session, rt.shop.seller_country, countries),
        is_needed=query.crosses_border(rt.shop.seller_country, countries),
        part_names=part_names(),
        tabs=tabs("customs"),
    )


def product(variant: str) -> Response:
    """Show and change what is declared of one product."""
    rt = runtime()
    row = query.customs_row(rt.session, variant)
    rt.session.rollback()
    if row is None:
        abort(404)
    known = {"hs_code": row.data.hs_code, "origin": row.data.origin, "text": row.data.text}
    form = CustomsForm(request.form or None, **known)
    if request.method == "GET" or not form.validate():
        status = 200 if request.method == "GET" else 422
        return page("shipping/customs_product", status, form=form, row=row)
    draft = service.CustomsDraft(form.hs_code.text, form.origin.data or "", form.text.text)
    try:
        service.save_customs(rt, who(), variant, draft)
    except service.VariantGone:
        abort(404)
    return go(url_for("admin.customs"), _("Saved, also for boxes that are not exported yet."))


def part_names() -> dict[str, str]:
    """Return what can be missing, in words."""
    return {
        "hs_code": _("HS code"),
        "origin": _("country of origin"),
        "text": _("what it is"),
        "value": _("retail price"),
    }
