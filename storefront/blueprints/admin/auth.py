"""Sign staff in and out. Another table, another secret, another page than customers'."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import PasswordField
from wtforms.validators import InputRequired

from storefront.blueprints.auth import limits
from storefront.blueprints.auth.forms import Email, SecondStepForm
from storefront.blueprints.auth.second_step import (
    ask_second_step,
    forget_waiting,
    refused_second_step,
    second_step_page,
    too_late,
    waiting,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.forms import Form
from storefront.formats import clock_time
from storefront.htmx import go, show
from storefront.logins import current_staff, forget_staff, remember_staff
from storefront.security import PUBLIC, register_policy, return_target, safe_target
from storefront.services import sessions, signin
from storefront.templating import shop_zone, writing_locale

register_policy({f"admin.{name}": PUBLIC for name in ("sign_in", "second_step", "sign_out")})


class StaffForm(Form):
    """E-mail and password."""

    email = Email(lazy_gettext("E-mail"), [InputRequired(lazy_gettext("Enter your e-mail"))])
    password = PasswordField(
        lazy_gettext("Password"), [InputRequired(lazy_gettext("Enter your password"))]
    )


def add_sign_in(bp: Blueprint) -> None:
    """Add the pages of signing in and out to the admin's blueprint."""
    bp.add_url_rule("/sign-in", "sign_in", sign_in, methods=["GET", "POST"])
    bp.add_url_rule("/sign-in/second", "second_step", second_step, methods=["GET", "POST"])
    bp.add_url_rule("/sign-out", "sign_out", sign_out, methods=["POST"])


def sign_in() -> Response:
    """Ask for e-mail and password."""
    rt, form = runtime(), StaffForm(request.form)
    if request.method == "GET":
        return _leave() if current_staff() else _page(form)
    if not form.validate():
        return _page(form, 422)
    email = form.email.address
    wait = limits.may_try_password(rt, email, "staff")
    if wait:
        at = clock_time(wait.astimezone(shop_zone()), writing_locale())
        form.email.errors = [_("Too many tries. You can go on at %(time)s.", time=at)]
        return _page(form, 429)
    staff_id = signin.check_staff_password(rt, email, form.password.data or "")
    if staff_id is None:
        form.password.errors = [_("E-mail and password do not match")]
        return _page(form, 422)
    limits.password_was_right(rt, email, "staff")
    return ask_second_step("staff", staff_id, "password") or _let_in(staff_id)


def second_step() -> Response:
    """Ask for the code of the authenticator of somebody who has given the password."""
    found = waiting("staff")
    if found is None:
        return too_late("staff")
    form = SecondStepForm(request.form)
    if request.method == "GET":
        return second_step_page("staff", form)
    return refused_second_step("staff", found[0], form) or _let_in(found[0])


def _let_in(staff_id: int) -> Response:
    rt = runtime()
    secret = sessions.start_staff_session(
        rt, staff_id, request.remote_addr or "", request.headers.get("User-Agent", "")
    )
    forget_waiting("staff")
    remember_staff(secret)
    return _leave()


def sign_out() -> Response:
    """End this browser's staff session."""
    who = current_staff()
    if who is not None:
        sessions.end_staff_session(runtime(), who.session_id)
    forget_staff()
    return go(url_for("admin.sign_in"), _("You are signed out."))


def _leave() -> Response:
    return go(return_target(url_for("admin.today")))


def _page(form: StaffForm, status: int = 200) -> Response:
    return show(
        "storefront/auth/staff.html",
        "storefront/auth/_staff.html",
        status,
        form=form,
        next=safe_target(request.values.get("next")),
        page_has_errors=status != 200,
    )
