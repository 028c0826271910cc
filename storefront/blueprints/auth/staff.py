"""The page behind a mailed link where a staff user chooses a password."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import PasswordField
from wtforms.validators import InputRequired

from storefront.blueprints.auth import limits
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.htmx import go, show
from storefront.security import PUBLIC, register_policy
from storefront.services import staff as service

register_policy({"auth.staff_password": PUBLIC})


class ChooseForm(Form):
    """A password to sign in with from now on."""

    password = PasswordField(
        lazy_gettext("New password"), [InputRequired(lazy_gettext("Enter a new password"))]
    )


def add_staff_password(bp: Blueprint) -> None:
    """Add the page to the blueprint of signing in."""
    path = "/sign-in/staff/<token>"
    bp.add_url_rule(path, "staff_password", staff_password, methods=["GET", "POST"])


def staff_password(token: str) -> Response:
    """Show the form; looking uses the link up as little as a wrong password does."""
    rt, form = runtime(), ChooseForm(request.form)
    email = service.person_of_link(rt, token)
    if email is None:
        return _too_late()
    if request.method == "GET":
        return _page(token, email, form)
    if not form.validate():
        return _page(token, email, form, 422)
    if limits.may_try_link(rt):
        form.password.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return _page(token, email, form, 429)
    try:
        service.choose_password(rt, token, form.password.data or "")
    except service.PasswordTooPlain:
        form.password.errors = [_("That one is too easy to guess. Choose another")]
        return _page(token, email, form, 422)
    except service.PasswordTooShort:
        form.password.errors = [_("Use 10 characters or more")]
        return _page(token, email, form, 422)
    except service.LinkRefused:
        return _too_late()
    return go(url_for("admin.sign_in"), _("Saved. Sign in with your new password."))


def _too_late() -> Response:
    text = _("That link is too old or was used. Ask an owner of the shop for a new one.")
    return go(url_for("admin.sign_in"), text)


def _page(token: str, email: str, form: ChooseForm, status: int = 200) -> Response:
    folder = "storefront/auth"
    return show(
        f"{folder}/staff_password.html",
        f"{folder}/_staff_password.html",
        status,
        token=token,
        email=email,
        form=form,
        page_has_errors=status != 200,
    )
