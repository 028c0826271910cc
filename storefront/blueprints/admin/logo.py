"""The shop's logo, on the page of its look: put up and taken down."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from storefront.adapters.logos import read_logo
from storefront.blueprints.admin.base import who
from storefront.blueprints.admin.look import look_page
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.logo import LARGEST, MOST_BYTES, SMALLEST, Logo, NotAPicture, WrongSize
from storefront.htmx import go
from storefront.security import register_policy, staff
from storefront.services import logo as service

register_policy(
    dict.fromkeys(("admin.logo_save", "admin.logo_remove"), staff(permissions.SETTINGS_MANAGE))
)


class Refused(ValueError):
    """What was sent is no logo; the text says why."""


def add_logo(bp: Blueprint) -> None:
    """Add the two buttons to the admin's blueprint."""
    bp.add_url_rule("/look/logo", "logo_save", logo_save, methods=["POST"])
    bp.add_url_rule("/look/logo/remove", "logo_remove", logo_remove, methods=["POST"])


def logo_save() -> Response:
    """Put up the picture that was sent."""
    try:
        logo = _sent()
    except Refused as error:
        return look_page(422, logo_error=str(error), page_has_errors=True)
    service.put_up(runtime(), who(), logo)
    return go(url_for("admin.look"), _("The logo is up."))


def logo_remove() -> Response:
    """Show the shop's name again."""
    service.take_down(runtime(), who())
    return go(url_for("admin.look"), _("The name of the shop stands in the head of its pages."))


def _sent() -> Logo:
    upload = request.files.get("logo")
    if upload is None or not upload.filename:
        raise Refused(_("Choose a picture"))
    with upload.stream as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Refused(_("Choose a file of %(mb)s MB at most", mb=MOST_BYTES // 1_000_000))
    try:
        return read_logo(data)
    except NotAPicture:
        raise Refused(_("Choose a PNG or JPEG picture that is whole")) from None
    except WrongSize:
        text = _(
            "Choose a picture of %(least)s to %(most)s pixels each way",
            least=SMALLEST,
            most=LARGEST,
        )
        raise Refused(text) from None
