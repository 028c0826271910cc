"""Sign-ins, password, and what we hold."""

from __future__ import annotations

import json

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints import erasure_words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.forms import EraseForm, PasswordForm
from storefront.blueprints.account.offers import unwanted_words, wanted_words
from storefront.blueprints.account.proof import wrong_code, wrong_password
from storefront.blueprints.auth import limits
from storefront.blueprints.browsers import browser
from storefront.blueprints.context import customer, runtime
from storefront.domain.erasure import AlreadyErased, SubscriptionRuns
from storefront.htmx import go
from storefront.logins import forget_customer
from storefront.queries import profile
from storefront.queries.accounts import erasure_preview
from storefront.queries.own_data import everything_of
from storefront.queries.two_step import two_step_of
from storefront.services import sessions, signin
from storefront.services.erasure import ask_erasure, withdraw_erasure


@bp.get("/security")
def security() -> Response:
    """Show who is signed in where, and the password form."""
    return _security(PasswordForm())


def _security(form: PasswordForm, status: int = 200) -> Response:
    rt, me = runtime(), customer()
    rt.session.rollback()
    return page(
        "security",
        status,
        form=form,
        sessions=profile.sessions(rt.session, me.id, rt.now(), me.session_id),
        has_password=profile.has_password(rt.session, me.id),
        has_two_step=two_step_of(rt.session, customer=me.id).on_since is not None,
        browser=browser,
        page_has_errors=status != 200,
    )


@bp.post("/security/sessions/<reference>/end")
def end_session(reference: str) -> Response:
    """Sign one browser out."""
    rt, me = runtime(), customer()
    mine = any(
        one.is_this_one and one.reference == reference
        for one in profile.sessions(rt.session, me.id, rt.now(), me.session_id)
    )
    rt.session.rollback()
    if not sessions.revoke(rt, me.id, reference):
        abort(404)
    if mine:
        forget_customer()
        return go(url_for("auth.sign_in"), _("You are signed out."))
    return go(url_for("account.security"), _("That browser is signed out."))


@bp.post("/security/sessions/end-others")
def end_other_sessions() -> Response:
    """Sign every other browser out."""
    sessions.end_all_sessions(runtime(), customer().id, keep=customer().session_id)
    return go(url_for("account.security"), _("All other browsers are signed out."))


@bp.post("/security/password")
def password() -> Response:
    """Set or change the password; other browsers are signed out."""
    rt, me, form = runtime(), customer(), PasswordForm(request.form)
    if not form.validate():
        return _security(form, 422)
    wait = limits.may_try_password(rt, me.email)
    if wait:
        form.present.errors = [_("Too many tries. Wait ten minutes and go on.")]
        return _security(form, 429)
    try:
        signin.change_password(rt, me.id, form.present.data or "", form.new.data or "")
    except signin.WrongPassword:
        form.present.errors = [_("That is not your present password")]
    except signin.PasswordTooShort:
        form.new.errors = [_("Use 10 characters or more")]
    except signin.PasswordTooPlain:
        form.new.errors = [_("That one is too easy to guess. Choose another")]
    else:
        limits.password_was_right(rt, me.email)
        sessions.end_all_sessions(rt, me.id, keep=me.session_id)
        text = _("Saved. All other browsers are signed out.")
        return go(url_for("account.security"), text)
    return _security(form, 422)


@bp.get("/privacy")
def privacy() -> Response:
    """Show what we hold, in plain groups."""
    return page(
        "privacy",
        held=profile.holdings(runtime().session, customer().id),
        wanted_words=wanted_words(),
        unwanted_words=unwanted_words(),
    )


@bp.get("/privacy/data")
def own_data() -> Response:
    """Hand out everything we hold as one file."""
    rt = runtime()
    found = {"made_at": rt.now(), "shop": rt.shop.name, **everything_of(rt.session, customer().id)}
    text = json.dumps(found, ensure_ascii=False, indent=1, default=str)
    answer = Response(text, mimetype="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.get("/privacy/erase")
def erase() -> Response:
    """Say what deleting the account takes, what stays and why, and what it waits for."""
    return _erase(EraseForm())


@bp.post("/privacy/erase")
def ask_to_erase() -> Response:
    """Delete the account, or note that it is to be done.

    Never without the password, or where there is none without a code that is mailed: an open
    browser is not enough.
    """
    rt, me, form = runtime(), customer(), EraseForm(request.form)
    by_password = profile.has_password(rt.session, me.id)
    rt.session.rollback()
    if not by_password and request.form.get("do") == "code":
        return _mail_code()
    if not form.validate():
        return _erase(form, 422)
    status = wrong_password(form.present) if by_password else wrong_code(form.code, signin.ERASE)
    if status:
        return _erase(form, status)
    rt.session.rollback()
    try:
        asked = ask_erasure(rt, me.public_id)
    except AlreadyErased:
        # Two clicks: the first has done it.
        forget_customer()
        return go(url_for("auth.sign_in"), _("Your account is deleted."))
    except SubscriptionRuns:
        return go(url_for("account.erase"))
    if not asked.is_done:
        text = _("Noted. We delete it as soon as nothing is under way.")
        return go(url_for("account.erase"), text)
    forget_customer()
    return go(url_for("auth.sign_in"), _("Your account is deleted."))


def _mail_code() -> Response:
    rt, me = runtime(), customer()
    if limits.may_ask_for_mail(rt, me.email):
        return go(url_for("account.erase"), _("Too many tries. Wait ten minutes and go on."))
    signin.request_link(rt, me.email, purpose=signin.ERASE)
    text = _("We have mailed a code to %(email)s. It works for ten minutes.", email=me.email)
    return go(url_for("account.erase"), text)


@bp.post("/privacy/erase/withdraw")
def keep_account() -> Response:
    """Take the request back while it waits."""
    kept = withdraw_erasure(runtime(), customer().public_id)
    text = _("Your account stays.") if kept else _("There was nothing to take back any more.")
    return go(url_for("account.erase"), text)


def _erase(form: EraseForm, status: int = 200) -> Response:
    rt, me = runtime(), customer()
    rt.session.rollback()
    found = erasure_preview(rt.session, me.public_id, rt.shop.zone_info, rt.shop.document_years)
    if found is None:
        abort(404)
    return page(
        "erase",
        status,
        form=form,
        found=found,
        waits=erasure_words.waits(found.waits),
        has_password=profile.has_password(rt.session, me.id),
        page_has_errors=status != 200,
    )
