"""A staff user's own sign-ins: where, since when, and out."""

from __future__ import annotations

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page
from storefront.blueprints.auth import limits
from storefront.blueprints.browsers import browser
from storefront.blueprints.context import runtime, staff_user
from storefront.blueprints.two_step_desk import TwoStepDesk, TwoStepForm
from storefront.htmx import go
from storefront.logins import forget_staff
from storefront.queries.profile import staff_sessions
from storefront.security import register_policy, staff
from storefront.services import sessions as service
from storefront.services import signin
from storefront.services.two_step import Person

register_policy(
    {
        f"admin.{name}": staff()
        for name in ("profile", "profile_end", "profile_end_others", "two_step")
    }
)


def add_profile(bp: Blueprint) -> None:
    """Add the page about oneself."""
    bp.add_url_rule("/profile", "profile", profile)
    path = "/profile/sessions/<reference>/end"
    bp.add_url_rule(path, "profile_end", end, methods=["POST"])
    path = "/profile/sessions/end-others"
    bp.add_url_rule(path, "profile_end_others", end_others, methods=["POST"])
    path = "/profile/two-step"
    bp.add_url_rule(path, "two_step", two_step, methods=["GET", "POST"])


def profile() -> Response:
    """Show the browsers this staff user is signed in with."""
    rt, me = runtime(), staff_user()
    rt.session.rollback()
    return page(
        "people/profile",
        sessions=staff_sessions(rt.session, me.id, rt.now(), me.session_id),
        browser=browser,
        has_two_step=me.has_two_step,
    )


def two_step() -> Response:
    """Show how far the second step of this staff user is, and do what a button says."""
    rt, me = runtime(), staff_user()
    url = url_for("admin.two_step")
    return TwoStepDesk(
        person=Person("staff", me.id),
        email=me.email,
        has_password=True,
        url=url,
        show=lambda status, **context: page("people/two_step", status, **context),
        prove=_wrong_password,
        mail_code=lambda: go(url),
        end_others=lambda: service.end_all_staff_sessions(rt, me.id, keep=me.session_id),
    ).answer()


def _wrong_password(form: TwoStepForm) -> int:
    rt, me = runtime(), staff_user()
    if limits.may_try_password(rt, me.email, "staff"):
        form.present.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return 429
    if signin.check_staff_password(rt, me.email, form.present.data or "") is None:
        form.present.errors = [_("That is not your present password")]
        return 422
    limits.password_was_right(rt, me.email, "staff")
    return 0


def end(reference: str) -> Response:
    """Sign one browser out."""
    rt, me = runtime(), staff_user()
    rt.session.rollback()
    mine = any(
        one.is_this_one and one.reference == reference
        for one in staff_sessions(rt.session, me.id, rt.now(), me.session_id)
    )
    rt.session.rollback()
    if not service.revoke_of_staff(rt, me.id, reference):
        abort(404)
    if mine:
        forget_staff()
        return go(url_for("admin.sign_in"), _("You are signed out."))
    return go(url_for("admin.profile"), _("That browser is signed out."))


def end_others() -> Response:
    """Sign every other browser out."""
    me = staff_user()
    service.end_all_staff_sessions(runtime(), me.id, keep=me.session_id)
    return go(url_for("admin.profile"), _("All other browsers are signed out."))
