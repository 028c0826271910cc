"""Put right the tracking number of a parcel that left."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import StringField
from wtforms.validators import Length

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.boxes import found_box
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.tracking_rows import MOST_CARRIER, MOST_NUMBER
from storefront.htmx import go
from storefront.queries.replacements import BoxPage
from storefront.security import register_policy, staff
from storefront.services.parcel_numbers import BadNumber, NotSent, correct_number

register_policy({"admin.box_number": staff(permissions.BOXES_MANAGE)})


class NumberForm(Form):
    """Carrier and tracking number of a parcel."""

    carrier = StringField(
        lazy_gettext("Carrier"),
        [Length(max=MOST_CARRIER, message=lazy_gettext("This is too long"))],
        filters=[one_line],
    )
    number = StringField(
        lazy_gettext("Tracking number"),
        [Length(max=MOST_NUMBER, message=lazy_gettext("This is too long"))],
        filters=[one_line],
        description=lazy_gettext("Empty where the parcel travels without one."),
    )


def add_parcel_numbers(bp: Blueprint) -> None:
    """Add the page to the admin's blueprint."""
    bp.add_url_rule("/boxes/<box>/number", "box_number", edit, methods=["GET", "POST"])


def edit(box: str) -> Response:
    """Ask for the right number of a parcel, then keep it and tell its customer."""
    found = found_box(box)
    if not found.has_left:
        return go(url_for("admin.box", box=box))
    if request.method == "GET":
        return _page(found, NumberForm(data={"carrier": found.carrier, "number": found.tracking}))
    form = NumberForm(request.form)
    if not form.validate():
        return _page(found, form, 422)
    try:
        is_new = correct_number(
            runtime(), box, form.carrier.data or "", form.number.data or "", who()
        )
    except BadNumber:
        form.number.errors = [_("This is no tracking number")]
        return _page(found, form, 422)
    except NotSent:
        return go(url_for("admin.box", box=box))
    said = (
        _("Saved. The link in the account leads to it now.") if is_new else _("It is so already.")
    )
    return go(url_for("admin.box", box=box), said)


def _page(found: BoxPage, form: NumberForm, status: int = 200) -> Response:
    return page("boxes/number", status, box=found, form=form)
