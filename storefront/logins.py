"""Who is asking: the customer and the staff user of this request.

Two kinds of login that never mix: each has its own secret in our session cookie, its own table
of session rows, and its own pages. Signing in as one never signs in as the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from flask import current_app, g, request, session
from flask_login import UserMixin, current_user, login_user, logout_user

from storefront.database import reading
from storefront.extensions import login_manager
from storefront.hooks import Identity
from storefront.plugins import request_info, resolve_identity
from storefront.queries.logins import (
    CustomerLogin,
    StaffLogin,
    customer_of_host,
    customer_of_secret,
    customer_of_session,
    staff_of_secret,
    staff_of_session,
)
from storefront.runtime import Runtime

#: Name of the shop around us in ``host_identity``; one shop is mounted into one host.
HOST = "host"
_STAFF_KEY = "staff"
T = TypeVar("T")


# The login row knows address and browser; a changed address alone ends nobody's session.
login_manager.session_protection = None


class CustomerUser(UserMixin):
    """What Flask-Login keeps: the session's secret as id, so that a revoked row ends it."""

    def __init__(self, login: CustomerLogin, secret: str) -> None:
        self.login = login
        self._secret = secret

    def get_id(self) -> str:
        return self._secret


@login_manager.user_loader
def load_customer(secret: str) -> CustomerUser | None:
    """Return the customer of a session secret, or None if the session has ended."""
    rt = _runtime()
    login = _look_up(rt, lambda: customer_of_session(rt.session, secret, rt.now()))
    return CustomerUser(login, secret) if login else None


def current_customer() -> CustomerLogin | None:
    """Return the signed-in customer: by our own session, else by the shop around us."""
    if current_user.is_authenticated:
        return cast("CustomerLogin", current_user.login)
    if "host_customer" not in g:
        g.host_customer = _customer_of_host()
    return cast("CustomerLogin | None", g.host_customer)


def current_staff() -> StaffLogin | None:
    """Return the signed-in staff user."""
    if "staff_login" not in g:
        secret = session.get(_STAFF_KEY)
        rt = _runtime()
        g.staff_login = (
            _look_up(rt, lambda: staff_of_session(rt.session, secret, rt.now())) if secret else None
        )
    return cast("StaffLogin | None", g.staff_login)


def owner_of_browser(kind: str) -> str | None:
    """Return the public id of whom this browser was signed in as, also after the session ended.

    ``kind`` is customer or staff. It lets nobody in: it only says whose a form was.
    """
    secret = session.get("_user_id" if kind == "customer" else _STAFF_KEY)
    rt = _runtime()
    query = customer_of_secret if kind == "customer" else staff_of_secret
    return _look_up(rt, lambda: query(rt.session, secret)) if secret else None


def host_identity() -> Identity | None:
    """Return who the shop around us says is there, whether or not we know that person."""
    if "host_identity" not in g:
        g.host_identity = resolve_identity(_runtime(), request_info(request.environ))
    return cast("Identity | None", g.host_identity)


def remember_customer(secret: str) -> None:
    """Put the secret of a new ``login_session`` row into the browser. The row is committed."""
    user = load_customer(secret)
    if user is None:
        raise ValueError("no such session")
    _renew_csrf_token()
    login_user(user)
    session.permanent = True
    g.pop("host_customer", None)


def forget_customer() -> None:
    """Take the customer's secret out of the browser; the caller has revoked the row."""
    logout_user()
    _renew_csrf_token()
    g.pop("host_customer", None)


def remember_staff(secret: str) -> None:
    """Put the secret of a new ``staff_session`` row into the browser. The row is committed."""
    _renew_csrf_token()
    session[_STAFF_KEY] = secret
    session.permanent = True
    g.pop("staff_login", None)


def forget_staff() -> None:
    """Take the staff secret out of the browser; the caller has revoked the row."""
    session.pop(_STAFF_KEY, None)
    _renew_csrf_token()
    g.pop("staff_login", None)


def _customer_of_host() -> CustomerLogin | None:
    identity = host_identity()
    if identity is None:
        return None
    rt = _runtime()
    return _look_up(rt, lambda: customer_of_host(rt.session, HOST, identity.ref))


def _look_up(rt: Runtime, query: Callable[[], T]) -> T:
    """Run ``query`` without taking the write lock that a POST would otherwise hold from here on."""
    inside = rt.session().in_transaction()
    with reading():
        found = query()
    if not inside:
        rt.session.rollback()
    return found


def _renew_csrf_token() -> None:
    """A token from before the sign-in must not work after it."""
    session.pop("csrf_token", None)
    g.pop("csrf_token", None)


def _runtime() -> Runtime:
    return cast("Runtime", current_app.extensions["storefront"])
