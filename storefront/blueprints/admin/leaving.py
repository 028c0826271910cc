"""What is offered to somebody about to leave, and how often it was taken."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from wtforms import RadioField, SelectField, ValidationError

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.fields import LineField, WholeField, choices_of
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.domain import permissions
from storefront.domain.leaving import NO_OFFERS
from storefront.domain.pauses import BOXES_OFFERED
from storefront.htmx import go
from storefront.operations.catalogue import UnknownPlan
from storefront.queries.leaving import OfferView, offers
from storefront.queries.retry_schedules import plan_choices
from storefront.security import register_policy, staff
from storefront.services import leaving_offers as service
from storefront.templating import writing_locale

_NAMES = ("leaving", "leaving_new", "leaving_remove")
register_policy({f"admin.{name}": staff(permissions.PLANS_MANAGE) for name in _NAMES})
_KINDS = (
    ("pause", lazy_gettext("A pause of some boxes")),
    ("skip", lazy_gettext("To leave out the next box")),
    ("discount", lazy_gettext("A discount, by a code")),
    ("plan", lazy_gettext("A cheaper plan")),
)


class OfferForm(Form):
    """One offer."""

    kind = RadioField(lazy_gettext("What is offered"), choices=choices_of(_KINDS), default="pause")
    boxes = WholeField(lazy_gettext("So many boxes"), 1, BOXES_OFFERED, default="2")
    code = LineField(lazy_gettext("Code"))
    to_plan = SelectField(lazy_gettext("Cheaper plan"), validate_choice=True)
    plan = SelectField(lazy_gettext("Plan"), validate_choice=True)
    rest_days = WholeField(lazy_gettext("Not again for"), 1, service.LONGEST_REST, default="180")

    def validate_boxes(self, field: WholeField) -> None:
        if self.kind.data == "pause" and field.number is None:
            raise ValidationError(
                _("Enter a whole number from %(low)s to %(high)s", low=field.low, high=field.high)
            )

    def validate_to_plan(self, field: SelectField) -> None:
        if self.kind.data != "plan":
            return
        if not field.data:
            raise ValidationError(_("Choose the plan that is offered"))
        if field.data == self.plan.data:
            raise ValidationError(_("That is the plan they have. Choose another one"))

    def validate_rest_days(self, field: WholeField) -> None:
        if field.number is None:
            raise ValidationError(
                _("Enter a whole number from %(low)s to %(high)s", low=field.low, high=field.high)
            )

    def draft(self) -> service.OfferDraft:
        """Return the offer of a valid form."""
        return service.OfferDraft(
            self.kind.data,
            self.rest_days.number or 0,
            self.boxes.number or 0,
            self.code.text,
            self.plan.data or "",
            self.to_plan.data or "",
        )


def add_leaving(bp: Blueprint) -> None:
    """Add the list of offers, a new one, and how one is removed."""
    bp.add_url_rule("/leaving", "leaving", leaving)
    bp.add_url_rule("/leaving/new", "leaving_new", new, methods=["GET", "POST"])
    bp.add_url_rule("/leaving/<ref>/remove", "leaving_remove", remove, methods=["POST"])


def leaving() -> Response:
    """Show the offers with how often they were answered."""
    return page("leaving/leaving", **_context())


def new() -> Response:
    """Make an offer."""
    rt = runtime()
    plans = [(one.ref, one.name) for one in plan_choices(rt.session)]
    rt.session.rollback()
    form = OfferForm(request.form or None)
    form.plan.choices = choices_of([("", _("Any plan")), *plans])
    form.to_plan.choices = choices_of([("", _("No other plan")), *plans])
    if request.method == "GET" or not form.validate():
        return page("leaving/new", 200 if request.method == "GET" else 422, form=form)
    try:
        service.add_offer(rt, who(), form.draft())
    except UnknownPlan:
        form.plan.errors = [_("Choose one from the list")]
        return page("leaving/new", 422, form=form)
    except service.BadOffer:
        form.code.errors = [_("Enter a code of yours that lowers coming payments")]
        return page("leaving/new", 422, form=form)
    return go(url_for("admin.leaving"), _("Saved. It is offered from now on."))


def remove(ref: str) -> Response:
    """Offer something to nobody any more."""
    try:
        service.remove_offer(runtime(), who(), ref)
    except service.OfferGone:
        abort(404)
    return saved(_("Removed."), "leaving/leaving", url_for("admin.leaving"), **_context())


def _context() -> dict[str, Any]:
    names = writing_locale().territories
    return {
        "rows": [(one, _words(one)) for one in offers(runtime().session)],
        "nowhere": sorted(names.get(code, code) for code in NO_OFFERS),
    }


def _words(one: OfferView) -> str:
    if one.kind == "plan":
        return _("Change to %(plan)s", plan=one.to_plan)
    if one.kind == "pause":
        return ngettext("Pause for %(num)s box", "Pause for %(num)s boxes", one.boxes)
    return _("Skip the next box") if one.kind == "skip" else _("Code %(code)s", code=one.code)
