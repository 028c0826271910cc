"""What staff give a customer: credit, and codes on a running subscription."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import who
from storefront.blueprints.admin.fields import NotAnAmount, read_money
from storefront.blueprints.admin.words import amount
from storefront.blueprints.checkout.words import refusal_words
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.htmx import go
from storefront.queries.subscriber import customer_key
from storefront.security import register_policy, staff
from storefront.services import added_codes as codes
from storefront.services import credit

_ACT = staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {
        "admin.subscriber_credit": _ACT,
        "admin.subscription_code": _ACT,
        "admin.subscription_code_remove": _ACT,
    }
)


def add_gifts(bp: Blueprint) -> None:
    """Add the forms on the page of a subscriber."""
    bp.add_url_rule("/subscribers/<ref>/credit", "subscriber_credit", give_credit, methods=["POST"])
    base = "/subscribers/<ref>/<sub>/code"
    bp.add_url_rule(base, "subscription_code", add_code, methods=["POST"])
    bp.add_url_rule(f"{base}/remove", "subscription_code_remove", remove_code, methods=["POST"])


def give_credit(ref: str) -> Response:
    """Give goodwill that pays the next invoices."""
    rt = runtime()
    back = url_for("admin.subscriber", ref=ref)
    try:
        sum_ = read_money(request.form.get("amount", "")[:40], rt.shop.currency)
        credit.give_credit(rt, who(), ref, sum_, one_line(request.form.get("reason"))[:200])
    except (NotAnAmount, credit.BadCredit):
        return go(back, _("Nothing given: enter an amount above zero and the reason."))
    except credit.UnknownCustomer:
        abort(404)
    return go(back, _("%(sum)s given. It pays the next invoices.", sum=amount(sum_)))


def add_code(ref: str, sub: str) -> Response:
    """Put a code on a subscription for its customer."""
    typed = request.form.get("code", "")[:200]
    try:
        code = codes.add_code(runtime(), _customer(ref), sub, typed, who())
    except codes.NoSubscription:
        abort(404)
    except codes.CodeRefused as error:
        return go(_back(ref, sub), f"{refusal_words(error.reason, typed, error.found)}.")
    return go(_back(ref, sub), _("Saved. %(code)s lowers the next payment.", code=code))


def remove_code(ref: str, sub: str) -> Response:
    """Take a code off that lowered nothing yet."""
    try:
        gone = codes.remove_code(
            runtime(), _customer(ref), sub, request.form.get("code", "")[:40], who()
        )
    except codes.NoSubscription:
        abort(404)
    text = _("Taken off.") if gone else _("It lowered a payment already, so it stays.")
    return go(_back(ref, sub), text)


def _customer(ref: str) -> int:
    session = runtime().session
    key = customer_key(session, ref)
    session.rollback()
    if key is None:
        abort(404)
    return key


def _back(ref: str, sub: str) -> str:
    return url_for("admin.subscriber", ref=ref, _anchor=sub)
