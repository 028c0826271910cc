"""How many subscribers each plan takes, and how many more can be sold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import BooleanField

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import WholeField
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions as may
from storefront.operations.catalogue import UnknownPlan
from storefront.queries.places import PlanPlacesRow, plan_places
from storefront.security import register_policy, staff
from storefront.services.places import set_places

_PAGE = "plans/places"
_MOST = 1_000_000

register_policy(dict.fromkeys(("admin.places", "admin.places_save"), staff(may.PLANS_MANAGE)))


class PlacesForm(Form):
    """The limits of one plan."""

    places = WholeField(lazy_gettext("Boxes at a time"), 1, _MOST)
    sells_by_stock = BooleanField(lazy_gettext("Sell only what there is free stock for"))


def add_places(bp: Blueprint) -> None:
    """Add the page of places to the admin's blueprint."""
    bp.add_url_rule("/places", "places", places)
    bp.add_url_rule("/places/<plan>", "places_save", save, methods=["POST"])


def places() -> Response:
    """Show every plan with its limits."""
    return page(_PAGE, **_context())


def save(plan: str) -> Response:
    """Set the limits of one plan."""
    form = PlacesForm(request.form, prefix=f"{plan}-")
    if not form.validate():
        return page(_PAGE, 422, **_context({plan: form}))
    try:
        set_places(
            runtime(), who(), plan, form.places.number, sells_by_stock=form.sells_by_stock.data
        )
    except UnknownPlan:
        abort(404)
    return saved(_("Saved."), _PAGE, url_for("admin.places"), **_context())


def _context(typed: Mapping[str, PlacesForm] | None = None) -> dict[str, Any]:
    rt = runtime()
    rows = plan_places(rt.session, rt.moment())
    rt.session.rollback()
    return {
        "rows": rows,
        "forms_of": {**{one.public_id: _form(one) for one in rows}, **(typed or {})},
    }


def _form(row: PlanPlacesRow) -> PlacesForm:
    limits = row.places
    values = {
        "places": "" if limits.places is None else str(limits.places),
        "sells_by_stock": limits.sells_by_stock,
    }
    return PlacesForm(None, data=values, prefix=f"{row.public_id}-")
