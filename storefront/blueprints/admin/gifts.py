"""What staff give a customer: credit, and codes on a running subscription."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import NotAnAmount, read_money
from storefront.blueprints.admin.subscribers import CREDIT_FIELDS, subscriber_context
from storefront.blueprints.admin.words import amount
from storefront.blueprints.checkout.words import refusal_words
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.money import Money
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
    rt, form = runtime(), request.form
    back = url_for("admin.subscriber", ref=ref)
    currency = form.get("currency") or rt.shop.currency
    known = credit.currencies_of(rt, ref)
    rt.session.rollback()
    if currency not in known:
        return _asked_back(ref, _unknown_currency())
    try:
        sum_ = read_money(form.get("amount", "")[:40], currency)
        reason, once = one_line(form.get("reason"))[:200], one_line(form.get("once"))[:60]
        given = credit.give_credit(rt, who(), ref, sum_, reason, once)
    except NotAnAmount as error:
        return _asked_back(ref, str(error))
    except credit.BadCredit as error:
        return _asked_back(ref, _credit_problem(str(error.params["reason"]), currency))
    except credit.UnknownCustomer:
        abort(404)
    if not given:
        return go(back, _("That was given already."))
    return go(back, _("%(sum)s given. It pays the next invoices.", sum=amount(sum_)))


def _asked_back(ref: str, problem: str) -> Response:
    """Show the page again with what was typed and what is wrong with it."""
    runtime().session.rollback()
    typed = {name: request.form.get(name, "")[:200] for name in CREDIT_FIELDS}
    found = subscriber_context(ref, credit_typed=typed, credit_problem=problem)
    return page("subscribers/subscriber", 422, **found)


def _credit_problem(reason: str, currency: str) -> str:
    most = amount(Money(credit.MOST, currency))
    return {
        "amount": _("Enter an amount above zero"),
        "limit": _("Enter %(most)s at most", most=most),
        "reason": _("Enter the reason"),
    }.get(reason) or _unknown_currency()


def _unknown_currency() -> str:
    """Return what is said of a currency the customer does not pay in."""
    return _("Choose a currency from the list")


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
