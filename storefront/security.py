"""Who may open what, and that a change was meant: policy table, CSRF, return targets.

Every endpoint is in one table. A handler therefore never asks *whether* somebody is signed in;
it asks *whose* a thing is, and answers 404 when it is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import BadRequest

from storefront.extensions import csrf
from storefront.htmx import go
from storefront.kept import keep
from storefront.logins import current_customer, current_staff
from storefront.seen import seen
from storefront.services.api_tokens import find_token
from storefront.services.throttle import forget_tries, throttle

__all__ = [
    "CUSTOMER",
    "POLICY",
    "PUBLIC",
    "SIGNED",
    "Access",
    "CrossSiteRequest",
    "access_of_request",
    "check_policy",
    "forget_tries",
    "init_app",
    "register_policy",
    "register_without_token",
    "return_target",
    "safe_target",
    "staff",
    "throttle",
    "token",
]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call an endpoint."""

    kind: Literal["public", "customer", "staff", "signed", "token"]
    #: For staff: what the role must contain; empty means any staff user. For a token: its scope.
    permission: str = ""

    @property
    def is_machine(self) -> bool:
        """No browser calls it: no cookie opens it, so no form's token is asked for."""
        return self.kind in ("signed", "token")


#: Anybody.
PUBLIC = Access("public")
#: A signed-in customer.
CUSTOMER = Access("customer")
#: Another machine that signs its requests; the handler checks the signature on the raw body.
SIGNED = Access("signed")

#: Endpoint -> who may call it. Filled beside each blueprint, checked at start.
POLICY: dict[str, Access] = {"static": PUBLIC}

#: Endpoints of forms that need no token, because what they keep is of no use to a forger. Their
#: origin is checked all the same.
_WITHOUT_TOKEN: set[str] = set()

#: So many wrong keys of one address in ten minutes, so many calls with one key in a minute.
WRONG_TOKENS, WRONG_SECONDS, CALLS, CALLS_SECONDS = 20, 600, 120, 60

#: Pages for staff who have yet to set up the second step that their shop asks for.
_WITHOUT_TWO_STEP = {
    "admin.two_step",
    "admin.profile",
    "admin.profile_end",
    "admin.profile_end_others",
}

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


class CrossSiteRequest(BadRequest):
    """A change asked for by a page that is not ours."""


class PolicyError(RuntimeError):
    """An endpoint is missing from the policy table, or listed with two meanings."""


def staff(permission: str = "") -> Access:
    """A signed-in staff user whose role has ``permission``."""
    return Access("staff", permission)


def token(scope: str) -> Access:
    """A program of the merchant's with a key of this scope; handlers find it in ``g.api_token``."""
    return Access("token", scope)


def register_policy(entries: Mapping[str, Access]) -> None:
    """Add endpoints to the table. Raises :class:`PolicyError` if one is listed differently."""
    for endpoint, access in entries.items():
        if POLICY.setdefault(endpoint, access) != access:
            raise PolicyError(f"{endpoint} is listed as {POLICY[endpoint]} and as {access}")


def register_without_token(endpoints: Iterable[str]) -> None:
    """List forms that stand on pages which everybody is sent alike, so no token is in them.

    Only for what harms nobody when another page asks for it: nothing stored by us changes.
    """
    _WITHOUT_TOKEN.update(endpoints)


def check_policy(app: Flask) -> None:
    """Raise :class:`PolicyError` naming every endpoint of ``app`` that nobody listed."""
    unlisted = sorted({rule.endpoint for rule in app.url_map.iter_rules()} - POLICY.keys())
    if unlisted:
        raise PolicyError(f"not in the policy table: {', '.join(unlisted)}")


def access_of_request() -> Access | None:
    """Return who may call this request's endpoint; None when the address matches none."""
    return POLICY[request.endpoint] if request.endpoint else None


def init_app(app: Flask) -> None:
    """Check every request of ``app`` before its handler runs."""
    # Checked here, because a signed message of another machine carries no token.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    csrf.init_app(app)
    app.before_request(_refuse_nul)
    app.before_request(_check_origin_and_token)
    app.before_request(_check_access)


def safe_target(target: str | None) -> str | None:
    """Return ``target`` if it is a path of this site, else None: no open redirect.

    >>> safe_target("/account?page=2"), safe_target("//evil.example"), safe_target("http://a/b")
    ('/account?page=2', None, None)
    """
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    if any(ord(char) < 32 or char == "\\" for char in target):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def return_target(default: str) -> str:
    """Return where the visitor wanted to go (``next`` of form or query), else ``default``."""
    return safe_target(request.values.get("next")) or default


def _refuse_nul() -> None:
    """No text of ours holds a NUL and PostgreSQL can keep none, so it is refused here, once."""
    access = access_of_request()
    if access is None or access.is_machine:
        return
    if "\0" in request.path or b"%00" in request.query_string:
        abort(400)
    if request.method not in _SAFE_METHODS:
        values = (value for _name, each in request.form.lists() for value in each)
        if any("\0" in value for value in values):
            abort(400)


def _check_origin_and_token() -> Response | None:
    access = access_of_request()
    if access is None or access.is_machine or request.method in _SAFE_METHODS:
        return None
    if not _comes_from_us():
        raise CrossSiteRequest("This request did not come from our own page.")
    if current_app.config["WTF_CSRF_ENABLED"] and request.endpoint not in _WITHOUT_TOKEN:
        try:
            csrf.protect()
        except CSRFError:
            # A browser that lost its cookies lost the token with them: what is missing is the
            # person. What was sent is not kept, since it may be somebody else's.
            door = _door(access)
            if door is None:
                raise
            return _ask_to_sign_in(*door, may_keep=False)
    return None


def _comes_from_us() -> bool:
    """Judge by Fetch-Metadata, else by Origin; browsers that send neither have the token only."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


def _check_access() -> Response | None:
    access = access_of_request()
    if access is None or access in {PUBLIC, SIGNED}:
        return None
    if access.kind == "token":
        _check_token(access.permission)
        return None
    door = _door(access)
    if door is not None:
        return _ask_to_sign_in(*door)
    if access is CUSTOMER:
        seen("customer", current_customer())
        return None
    who = current_staff()
    if who is None:
        # Signed out between the two questions.
        abort(401)
    seen("staff", who)
    if not who.has_two_step and request.endpoint not in _WITHOUT_TWO_STEP and _is_required():
        text = _("This shop asks its staff for a second step. Set it up first.")
        return go(url_for("admin.two_step"), text)
    if not who.may(access.permission):
        g.missing_permission = access.permission
        abort(403)
    return None


def _is_required() -> bool:
    """Whether all staff have to sign in with a second step."""
    rt = current_app.extensions["storefront"]
    return bool(rt.shop.staff_two_step)


def _check_token(scope: str) -> None:
    """Let a program in by ``Authorization: Bearer …``; who guesses is slowed down."""
    rt = current_app.extensions["storefront"]
    kind, _space, secret = request.headers.get("Authorization", "").partition(" ")
    found = find_token(rt, secret.strip(), scope) if kind.lower() == "bearer" else None
    sender = request.remote_addr or ""
    if found is None:
        if throttle(rt, "api_wrong", sender, WRONG_TOKENS, WRONG_SECONDS):
            abort(429)
        abort(401)
    if throttle(rt, "api", found, CALLS, CALLS_SECONDS):
        abort(429)
    g.api_token = found


def _door(access: Access) -> tuple[str, str] | None:
    """Return where somebody signs in, and as what, while nobody who is asked for has."""
    if access is CUSTOMER and current_customer() is None:
        return "auth.sign_in", "customer"
    if access.kind == "staff" and current_staff() is None:
        return "admin.sign_in", "staff"
    return None


def _ask_to_sign_in(endpoint: str, kind: str, *, may_keep: bool = True) -> Response:
    if endpoint not in current_app.view_functions:
        abort(401)
    wanted = _page_wanted()
    to = url_for(endpoint, next=wanted)
    if may_keep and keep(kind, wanted):
        text = _("You were signed out. Sign in again: what you typed is kept.")
        return go(to, text, status=401)
    return go(to, status=401)


def _page_wanted() -> str | None:
    """Return the page to show after signing in: this one, or the page a form was sent from."""
    wanted: str | None = request.script_root + request.full_path.rstrip("?")
    if request.method not in _SAFE_METHODS or request.headers.get("HX-Request-Type") == "partial":
        sent_from = urlsplit(request.headers.get("HX-Current-URL") or request.referrer or "")
        ours = sent_from.netloc == request.host
        query = f"?{sent_from.query}" if sent_from.query else ""
        wanted = f"{sent_from.path}{query}" if ours else None
    return safe_target(wanted)
