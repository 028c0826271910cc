"""The waiting list of a plan that is sold out: come, see how one stands, and go."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from wtforms import BooleanField
from wtforms.validators import InputRequired

from storefront.blueprints.auth.forms import Email
from storefront.blueprints.context import page_url, runtime
from storefront.blueprints.forms import Form
from storefront.blueprints.opened import codes_of_visit, open_with
from storefront.database import reading
from storefront.htmx import go, show
from storefront.logins import current_customer
from storefront.operations.checkout import find_checkout
from storefront.operations.secrets import read_return_token
from storefront.queries.places import full_plans
from storefront.queries.waiting import WAITING, PlanName, Waiting, plan_by_code, waiting_one
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services.waiting import NoList, join_list, leave_list
from storefront.templating import locale_code

bp = Blueprint("waiting", __name__, url_prefix="/waiting")
register_policy({f"waiting.{name}": PUBLIC for name in ("ask", "join", "place", "leave")})

#: Addresses that may be typed from one place, and in how many seconds.
_TRIES = (10, 3600)
_FOLDER = "storefront/waiting"


class WaitingForm(Form):
    """Who waits, and that they want to be written to."""

    email = Email(lazy_gettext("E-mail"), [InputRequired(lazy_gettext("Enter your e-mail"))])
    agrees = BooleanField(
        lazy_gettext("Write to me about this place"),
        [InputRequired(lazy_gettext("Tick this, or we may not write to you"))],
    )


@bp.get("/plans/<code>")
def ask(code: str) -> Response:
    """Ask for the e-mail; a plan that has places is ordered instead."""
    plan, is_full = _plan(code)
    if not is_full:
        return go(url_for("pricing.plan", code=plan.code))
    return _form_page(plan, WaitingForm(data={"email": _known_email(runtime())}))


@bp.post("/plans/<code>")
def join(code: str) -> Response:
    """Put an e-mail on the list. The answer is the same whether it was on it before."""
    rt = runtime()
    plan, _is_full = _plan(code)
    form = WaitingForm(request.form)
    if not form.validate():
        return _form_page(plan, form, 422)
    if throttle(rt, "waiting_ip", request.remote_addr or "", *_TRIES):
        abort(429)
    back = url_for("pricing.plan", code=plan.code)
    try:
        join_list(rt, plan.code, form.email.address, locale_code())
    except NoList:
        return go(back, _("There is a place just now. You need not wait."))
    return go(back, _("You are on the list. We write to you when it is your turn."))


@bp.get("/place/<token>")
def place(token: str) -> Response:
    """Show how somebody stands on the list; looking takes nothing."""
    rt = runtime()
    found = _waiting(rt, token)
    if found is not None and found.access_code:
        open_with(found.access_code)
    is_kept = found is not None and found.until_at is not None and found.until_at > rt.now()
    return show(
        f"{_FOLDER}/place.html",
        f"{_FOLDER}/_place.html",
        200 if found is not None else 404,
        waiting=found,
        is_kept=is_kept,
        token=token,
        plans_url=page_url("pricing.index"),
    )


@bp.post("/place/<token>/leave")
def leave(token: str) -> Response:
    """Take somebody off the list."""
    rt = runtime()
    ref = read_return_token(rt.settings.secret_key, WAITING, token[:200])
    if ref is None:
        abort(404)
    leave_list(rt, ref)
    return go(url_for("pricing.index"), _("You are off the list. We have deleted your e-mail."))


def _known_email(rt: Runtime) -> str:
    """Return whose account this is, else what was typed in the order that was too late."""
    me = current_customer()
    if me is not None:
        return me.email
    key = request.args.get("order", "")[:40]
    with reading():
        row = find_checkout(rt.session, key) if key else None
    rt.session.rollback()
    return str(row.email) if row is not None else ""


def _plan(code: str) -> tuple[PlanName, bool]:
    rt = runtime()
    with reading():
        plan = plan_by_code(rt.session, code[:40], rt.today(), codes_of_visit())
        is_full = plan is not None and plan.code in full_plans(rt.session, rt.moment())
    rt.session.rollback()
    if plan is None:
        abort(404)
    return plan, is_full


def _waiting(rt: Runtime, token: str) -> Waiting | None:
    ref = read_return_token(rt.settings.secret_key, WAITING, token[:200])
    if ref is None:
        return None
    with reading():
        found = waiting_one(rt.session, ref)
    rt.session.rollback()
    return found


def _form_page(plan: PlanName, form: WaitingForm, status: int = 200) -> Response:
    return show(
        f"{_FOLDER}/ask.html",
        f"{_FOLDER}/_ask.html",
        status,
        plan=plan,
        form=form,
        page_has_errors=status != 200,
    )
