"""A staff user's own sign-ins: where, since when, and out."""

from __future__ import annotations

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page
from storefront.blueprints.browsers import browser
from storefront.blueprints.context import runtime, staff_user
from storefront.htmx import go
from storefront.logins import forget_staff
from storefront.queries.profile import staff_sessions
from storefront.security import register_policy, staff
from storefront.services import sessions as service

register_policy(
    {f"admin.{name}": staff() for name in ("profile", "profile_end", "profile_end_others")}
)


def add_profile(bp: Blueprint) -> None:
    """Add the page about oneself."""
    bp.add_url_rule("/profile", "profile", profile)
    path = "/profile/sessions/<reference>/end"
    bp.add_url_rule(path, "profile_end", end, methods=["POST"])
    path = "/profile/sessions/end-others"
    bp.add_url_rule(path, "profile_end_others", end_others, methods=["POST"])


def profile() -> Response:
    """Show the browsers this staff user is signed in with."""
    rt, me = runtime(), staff_user()
    rt.session.rollback()
    return page(
        "people/profile",
        sessions=staff_sessions(rt.session, me.id, rt.now(), me.session_id),
        browser=browser,
    )


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
