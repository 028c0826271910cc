"""The second step of a customer's sign-in."""

from __future__ import annotations

from flask import Response, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.proof import wrong_code, wrong_password
from storefront.blueprints.auth import limits
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.two_step_desk import TwoStepDesk, TwoStepForm
from storefront.htmx import go
from storefront.queries import profile
from storefront.services import sessions, signin
from storefront.services.two_step import Person


@bp.route("/security/two-step", methods=["GET", "POST"])
def two_step() -> Response:
    """Show how far the second step is, and do what a button says."""
    rt, me = runtime(), customer()
    has_password = profile.has_password(rt.session, me.id)
    rt.session.rollback()
    return TwoStepDesk(
        person=Person("customer", me.id),
        email=me.email,
        has_password=has_password,
        url=url_for("account.two_step"),
        show=lambda status, **context: page("two_step", status, **context),
        prove=_wrong_password if has_password else _wrong_code,
        mail_code=_mail_code,
        end_others=lambda: sessions.end_all_sessions(rt, me.id, keep=me.session_id),
    ).answer()


def _wrong_password(form: TwoStepForm) -> int:
    return wrong_password(form.present)


def _wrong_code(form: TwoStepForm) -> int:
    return wrong_code(form.mailed, signin.TWO_STEP)


def _mail_code() -> Response:
    rt, me = runtime(), customer()
    back = url_for("account.two_step")
    if limits.may_ask_for_mail(rt, me.email):
        return go(back, _("Too many tries. Wait ten minutes and go on."))
    signin.request_link(rt, me.email, purpose=signin.TWO_STEP)
    text = _("We have mailed a code to %(email)s. It works for ten minutes.", email=me.email)
    return go(back, text)
