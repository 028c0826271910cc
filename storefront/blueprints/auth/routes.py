"""The pages of signing in and out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, request, session, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.auth import limits
from storefront.blueprints.auth.forms import CodeForm, MailForm, PasswordForm, SecondStepForm
from storefront.blueprints.auth.second_step import (
    ask_second_step,
    forget_waiting,
    refused_second_step,
    second_step_page,
    too_late,
    waiting,
)
from storefront.blueprints.auth.staff import add_staff_password
from storefront.blueprints.context import runtime
from storefront.formats import clock_time
from storefront.htmx import go, show
from storefront.logins import (
    HOST,
    current_customer,
    forget_customer,
    host_identity,
    remember_customer,
)
from storefront.security import PUBLIC, register_policy, return_target, safe_target
from storefront.services import sessions, signin
from storefront.services.signin import KnownCustomer
from storefront.templating import shop_zone, writing_locale

bp = Blueprint("auth", __name__)
add_staff_password(bp)
register_policy(
    {
        "auth.sign_in": PUBLIC,
        "auth.host": PUBLIC,
        "auth.password": PUBLIC,
        "auth.code": PUBLIC,
        "auth.link": PUBLIC,
        "auth.second_step": PUBLIC,
        "auth.sign_out": PUBLIC,
    }
)

#: Where the typed address waits for its code: our signed cookie, never the page's address.
_ASKED = "sign_in_email"


@bp.route("/sign-in", methods=["GET", "POST"])
def sign_in() -> Response:
    """Ask for an e-mail address and mail a code to it."""
    if request.method == "GET":
        return _welcome()
    rt, form = runtime(), MailForm(request.form)
    if not form.validate():
        return _sign_in_page(form, PasswordForm(), 422)
    wait = limits.may_ask_for_mail(rt, form.email.address)
    if wait:
        return _too_many(wait)
    signin.request_link(rt, form.email.address, safe_target(request.form.get("next")))
    session[_ASKED] = form.email.address
    return go(url_for("auth.code", next=safe_target(request.form.get("next"))))


@bp.post("/sign-in/host")
def host() -> Response:
    """Let somebody in whom the shop around us has signed in, and remember who that is."""
    identity = host_identity()
    known = identity and signin.welcome_host(runtime(), HOST, identity)
    if known:
        return _leave()
    text = _("Sign in here once with the same e-mail, then both shops know you.")
    return go(url_for("auth.sign_in", next=safe_target(request.form.get("next"))), text)


@bp.post("/sign-in/password")
def password() -> Response:
    """Sign in with a password."""
    rt, form = runtime(), PasswordForm(request.form)
    mail = MailForm(request.form)
    if not form.validate():
        return _sign_in_page(mail, form, 422)
    email = form.email.address
    wait = limits.may_try_password(rt, email)
    if wait:
        return _too_many(wait)
    found = signin.check_password(rt, email, form.password.data or "")
    if found is None:
        form.password.errors = [_("E-mail and password do not match")]
        return _sign_in_page(mail, form, 422)
    limits.password_was_right(rt, email)
    return _enter(found, "password")


@bp.route("/sign-in/code", methods=["GET", "POST"])
def code() -> Response:
    """Ask for the six digits of the mail."""
    rt, email, form = runtime(), session.get(_ASKED), CodeForm(request.form)
    if not email:
        return go(url_for("auth.sign_in", next=safe_target(request.values.get("next"))))
    if request.method == "GET":
        return _code_page(form, email)
    if not form.validate():
        return _code_page(form, email, 422)
    wait = limits.may_try_code(rt, email)
    if wait:
        return _too_many(wait)
    try:
        found = signin.take_code(rt, email, form.code.data or "")
    except signin.CodeRefused as refused:
        form.code.errors = [_refused_code(refused.params["left"])]
        return _code_page(form, email, 422)
    return _enter(found, "code")


@bp.route("/sign-in/link/<token>", methods=["GET", "POST"])
def link(token: str) -> Response:
    """Open the link of a mail: looking changes nothing, the button signs in."""
    rt = runtime()
    if request.method == "GET":
        target = safe_target(request.args.get("next"))
        return _page("link", token=token, next=target)
    wait = limits.may_try_link(rt)
    if wait:
        return _too_many(wait)
    try:
        found = signin.take_link(rt, token)
    except signin.LinkRefused:
        message = _("That link is older than 10 minutes or was used. Ask for a new one.")
        return go(url_for("auth.sign_in", next=safe_target(request.form.get("next"))), message)
    return _enter(found, "link")


@bp.route("/sign-in/second", methods=["GET", "POST"])
def second_step() -> Response:
    """Ask for the code of the authenticator of somebody who has given the first proof."""
    found = waiting("customer")
    if found is None:
        return too_late("customer")
    form = SecondStepForm(request.form)
    if request.method == "GET":
        return second_step_page("customer", form)
    person_id, method = found
    return refused_second_step("customer", person_id, form) or _let_in(person_id, method)


@bp.post("/sign-out")
def sign_out() -> Response:
    """End this browser's session."""
    customer = current_customer()
    if customer and customer.session_id:
        sessions.end_session(runtime(), customer.session_id)
    forget_customer()
    session.pop(_ASKED, None)
    if current_customer() is not None:
        text = _("The shop around this page still knows you. Sign out there to leave.")
        return go(url_for("account.home"), text)
    return go(url_for("auth.sign_in"), _("You are signed out."))


def _welcome() -> Response:
    """Show the page, or go straight on with somebody who is known already."""
    if current_customer() is not None:
        return _leave()
    identity = host_identity()
    if identity is not None and "other" not in request.args:
        if signin.may_welcome(identity):
            # Looking writes nothing; the page's own form does, and goes off by itself.
            return _page("host", email=identity.email, next=safe_target(request.args.get("next")))
        flash(_("Sign in here once with the same e-mail, then both shops know you."))
    return _sign_in_page(MailForm(), PasswordForm())


def _enter(found: KnownCustomer, method: str) -> Response:
    """Go on with somebody who has proved who they are: to the second step where there is one."""
    session.pop(_ASKED, None)
    return ask_second_step("customer", found.id, method) or _let_in(found.id, method)


def _let_in(customer_id: int, method: str) -> Response:
    """Start a new session, and go on."""
    rt = runtime()
    secret = sessions.start_session(
        rt, customer_id, method, request.remote_addr or "", request.headers.get("User-Agent", "")
    )
    forget_waiting("customer")
    remember_customer(secret)
    identity = host_identity()
    if identity is not None and method in {"code", "link"}:
        signin.link_host(rt, HOST, identity, customer_id)
    return _leave()


def _leave() -> Response:
    return go(return_target(url_for("account.home")))


def _refused_code(left: int) -> str:
    text = _("That code does not match. Check the newest e-mail or send a new one")
    # From the third wrong code on it helps to know how many are left.
    if 0 < left <= 2:
        return f"{text} ({ngettext('%(num)s try left', '%(num)s tries left', left)})"
    return text


def _too_many(until: Any) -> Response:
    at = clock_time(until.astimezone(shop_zone()), writing_locale())
    text = _("Too many tries. You can go on at %(time)s.", time=at)
    mail, other = MailForm(request.form), PasswordForm()
    if request.endpoint == "auth.code":
        form = CodeForm(request.form)
        form.code.errors = [text]
        return _code_page(form, session[_ASKED], 429)
    mail.email.errors = [text]
    return _sign_in_page(mail, other, 429)


def _sign_in_page(mail: MailForm, other: PasswordForm, status: int = 200) -> Response:
    return _page(
        "sign_in",
        status,
        form=mail,
        password_form=other,
        next=safe_target(request.values.get("next")),
        page_has_errors=status != 200,
    )


def _code_page(form: CodeForm, email: str, status: int = 200) -> Response:
    return _page(
        "code",
        status,
        form=form,
        email=email,
        next=safe_target(request.values.get("next")),
        page_has_errors=status != 200,
    )


def _page(name: str, status: int = 200, **context: Any) -> Response:
    folder = "storefront/auth"
    return show(f"{folder}/{name}.html", f"{folder}/_{name}.html", status, **context)
