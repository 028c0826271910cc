"""What staff do to an account as a whole: make two one, or erase the person."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints import erasure_words
from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.erasure import AlreadyErased, SubscriptionRuns
from storefront.domain.merging import MergeRefused
from storefront.domain.privacy import NotAnEmail, normalise_email
from storefront.htmx import go
from storefront.queries import accounts
from storefront.queries import subscriber as one
from storefront.security import register_policy, staff
from storefront.services.erasure import ask_erasure, withdraw_erasure
from storefront.services.merging import merge_customers
from storefront.services.two_step import reset_customer

_ACCESS = staff(permissions.CUSTOMERS_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in (
            "customer_merge",
            "customer_erase",
            "customer_erase_withdraw",
            "customer_two_step_off",
        )
    }
)


def add_customers(bp: Blueprint) -> None:
    """Add merging and erasing."""
    base = "/subscribers/<ref>"
    both = ["GET", "POST"]
    bp.add_url_rule(f"{base}/merge", "customer_merge", merge, methods=both)
    bp.add_url_rule(f"{base}/erase", "customer_erase", erase, methods=both)
    bp.add_url_rule(f"{base}/erase/withdraw", "customer_erase_withdraw", withdraw, methods=["POST"])
    path = f"{base}/two-step-off"
    bp.add_url_rule(path, "customer_two_step_off", two_step_off, methods=["POST"])


def merge(ref: str) -> Response:
    """Choose the other account by its e-mail, show both, and merge them.

    The e-mail is posted, so that it stands in no address; the page behind it names the account.
    """
    rt, person = runtime(), _open(ref)
    other, typed, error = request.values.get("other", ""), "", ""
    if request.method == "POST" and not other:
        typed = one_line(request.form.get("email"))
        known = _account_of(typed)
        if known:
            return go(url_for("admin.customer_merge", ref=ref, other=known))
        error = _("There is no account with this e-mail.")
    found = accounts.merge_preview(rt.session, ref, other) if other else None
    rt.session.rollback()
    if other and found is None:
        abort(404)
    if found and request.method == "POST":
        try:
            done = merge_customers(rt, who(), ref, found.merged.ref)
        except MergeRefused as refused:
            error = " ".join(erasure_words.problems(refused.params["problems"]))
        else:
            text = _("Merged. Everything is here now.") if done else _("It was merged already.")
            return go(url_for("admin.subscriber", ref=ref), text)
    return page(
        "subscribers/merge",
        422 if error else 200,
        person=person,
        ref=ref,
        typed=found.merged.email if found else typed,
        found=found,
        problems=erasure_words.problems(found.problems) if found else [],
        error=error,
    )


def _account_of(email: str) -> str | None:
    """Return the account of an e-mail, None where there is none."""
    rt = runtime()
    try:
        found = accounts.account_of(rt.session, normalise_email(email))
    except NotAnEmail:
        return None
    rt.session.rollback()
    return found


def erase(ref: str) -> Response:
    """Say what goes, what stays and what it waits for; then erase, or note it."""
    rt, person = runtime(), _open(ref)
    error = ""
    if request.method == "POST":
        back = url_for("admin.subscriber", ref=ref)
        if request.form.get("sure") != "yes":
            error = _("Tick the box to say that you are sure")
        else:
            try:
                asked = ask_erasure(rt, ref, who())
            except AlreadyErased:
                return go(back, _("This account is closed already."))
            except SubscriptionRuns:
                error = _("A subscription runs. Cancel it first.")
            else:
                if asked.is_done:
                    return go(back, _("Erased."))
                return go(back, _("Noted. It is done as soon as nothing is under way."))
    found = accounts.erasure_preview(rt.session, ref, rt.shop.zone_info, rt.shop.document_years)
    if found is None:
        abort(404)
    return page(
        "subscribers/erase",
        422 if error else 200,
        person=person,
        ref=ref,
        found=found,
        waits=erasure_words.waits(found.waits),
        error=error,
    )


def withdraw(ref: str) -> Response:
    """Take an erasure back that still waits."""
    done = withdraw_erasure(runtime(), ref, who())
    text = _("Nothing is erased.") if done else _("There was nothing to take back any more.")
    return go(url_for("admin.subscriber", ref=ref), text)


def two_step_off(ref: str) -> Response:
    """Switch the second step off for a customer who lost their authenticator."""
    person = _open(ref)
    if not reset_customer(runtime(), who(), ref):
        return go(url_for("admin.subscriber", ref=ref), _("There was no second step."))
    text = _("Switched off. We have told %(email)s.", email=person.email)
    return go(url_for("admin.subscriber", ref=ref), text)


def _open(ref: str) -> one.Person:
    """Return the customer, or answer 404; also for an account that is closed."""
    rt = runtime()
    found = one.person(rt.session, ref, rt.shop.currency)
    closed = accounts.closed_of(rt.session, ref)
    rt.session.rollback()
    if found is None or closed is not None:
        abort(404)
    return found
