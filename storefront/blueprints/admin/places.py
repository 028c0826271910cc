"""How many subscribers each plan takes, and how many more can be sold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import BooleanField

from storefront.blueprints.admin.base import may as may_here
from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import WholeField
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions as may
from storefront.htmx import done
from storefront.operations.catalogue import UnknownPlan
from storefront.operations.waiting import HOURS
from storefront.queries.places import PlanPlacesRow, plan_places
from storefront.queries.waiting import plan_by_ref, waiting_counts, waiting_list
from storefront.security import register_policy, staff
from storefront.services import waiting as service
from storefront.services.places import set_places

_PAGE = "plans/places"
_MOST = 1_000_000
_MOST_HOURS = 720

register_policy(dict.fromkeys(("admin.places", "admin.places_save"), staff(may.PLANS_MANAGE)))
_LIST, _LIST_PANEL = "plans/waiting", "storefront/admin/plans/_waiting.html"
register_policy(
    dict.fromkeys(
        ("admin.waiting", "admin.invite_waiting", "admin.remove_waiting"), staff(may.PLANS_MANAGE)
    )
)


class PlacesForm(Form):
    """The limits of one plan."""

    places = WholeField(lazy_gettext("Boxes at a time"), 1, _MOST)
    sells_by_stock = BooleanField(lazy_gettext("Sell only what there is free stock for"))
    invite_hours = WholeField(lazy_gettext("Hours for which a place is kept"), 1, _MOST_HOURS)


def add_places(bp: Blueprint) -> None:
    """Add the page of places to the admin's blueprint."""
    bp.add_url_rule("/places", "places", places)
    bp.add_url_rule("/places/<plan>", "places_save", save, methods=["POST"])
    rule = "/places/<plan>/waiting"
    bp.add_url_rule(rule, "waiting", waiting)
    bp.add_url_rule(f"{rule}/<place>/invite", "invite_waiting", invite, methods=["POST"])
    bp.add_url_rule(f"{rule}/<place>/remove", "remove_waiting", remove, methods=["POST"])


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
            runtime(),
            who(),
            plan,
            form.places.number,
            sells_by_stock=form.sells_by_stock.data,
            invite_hours=form.invite_hours.number or HOURS,
        )
    except UnknownPlan:
        abort(404)
    return saved(_("Saved."), _PAGE, url_for("admin.places"), **_context())


def waiting(plan: str) -> Response:
    """Show who waits for a place of a plan; their e-mails only to who may see subscribers."""
    if not may_here(may.SUBSCRIBERS_VIEW):
        abort(403)
    return page(_LIST, **_list(plan))


def invite(plan: str, place: str) -> Response:
    """Invite somebody before their turn."""
    if not may_here(may.SUBSCRIBERS_VIEW):
        abort(403)
    try:
        service.invite(runtime(), who(), place)
    except service.NotWaiting:
        return _refused(plan, _("They are invited already, or not on the list any more."))
    except service.NoPlaceFree:
        return _refused(
            plan, _("No place is free. Set more places, or wait until somebody leaves.")
        )
    return _list_done(plan, _("Invited. A place is kept for them."))


def remove(plan: str, place: str) -> Response:
    """Take somebody off the list."""
    if not may_here(may.SUBSCRIBERS_VIEW):
        abort(403)
    try:
        service.remove(runtime(), who(), place)
    except service.NotWaiting:
        return _refused(plan, _("They are not on the list any more."))
    return _list_done(plan, _("Removed. The e-mail is deleted."))


def _list(plan: str) -> dict[str, Any]:
    rt = runtime()
    found = plan_by_ref(rt.session, plan)
    rows = waiting_list(rt.session, plan)
    total = waiting_counts(rt.session, [plan]).get(plan, 0)
    rt.session.rollback()
    if found is None:
        abort(404)
    return {"plan": found, "rows": rows, "total": total}


def _list_done(plan: str, message: str) -> Response:
    return done(message, _LIST_PANEL, url_for("admin.waiting", plan=plan), **_list(plan))


def _refused(plan: str, text: str) -> Response:
    return page(_LIST, 422, refused=text, **_list(plan))


def _context(typed: Mapping[str, PlacesForm] | None = None) -> dict[str, Any]:
    rt = runtime()
    rows = plan_places(rt.session, rt.moment())
    people = waiting_counts(rt.session, [one.public_id for one in rows])
    rt.session.rollback()
    return {
        "rows": rows,
        "waiting": people,
        "forms_of": {**{one.public_id: _form(one) for one in rows}, **(typed or {})},
    }


def _form(row: PlanPlacesRow) -> PlacesForm:
    limits = row.places
    values = {
        "places": "" if limits.places is None else str(limits.places),
        "sells_by_stock": limits.sells_by_stock,
        "invite_hours": str(row.invite_hours),
    }
    return PlacesForm(None, data=values, prefix=f"{row.public_id}-")
