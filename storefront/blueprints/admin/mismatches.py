"""A payment over another amount than asked: see both, decide what becomes of the money."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront import formats
from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.mismatches import Choice, ChoiceNotOffered, NothingToDecide
from storefront.domain.money import Money
from storefront.htmx import go
from storefront.queries.mismatches import MismatchView, mismatch
from storefront.security import register_policy, staff
from storefront.services import mismatches
from storefront.templating import writing_locale

register_policy({"admin.mismatch": staff(permissions.CHARGING_MANAGE)})


def add_mismatches(bp: Blueprint) -> None:
    """Add the page of one such payment."""
    bp.add_url_rule("/payments/<payment>/amount", "mismatch", decide, methods=["GET", "POST"])


def decide(payment: str) -> Response:
    """Show both amounts and what can be done; on the button, do it."""
    rt = runtime()
    found = mismatch(rt.session, payment)
    rt.session.rollback()
    if request.method == "GET":
        if found is None:
            abort(404)
        return _show(found)
    try:
        choice = Choice(request.form.get("choice", ""))
    except ValueError:
        return _show(found, _("Choose what becomes of the money")) if found else abort(404)
    try:
        mismatches.decide(rt, who(), payment, choice, request.form.get("taken", ""))
    except NothingToDecide:
        return go(url_for("admin.today"), _("Somebody has done that already."))
    except ChoiceNotOffered:
        found = mismatch(rt.session, payment)
        rt.session.rollback()
        if found is None:
            abort(404)
        return _show(found, _("This changed meanwhile. Please look again before you decide."))
    return go(url_for("admin.today"), _("The payment is settled and the decision is logged."))


def _show(found: MismatchView, problem: str = "") -> Response:
    return page(
        "jobs/mismatch",
        422 if problem else 200,
        found=found,
        options=[(choice.value, *_words(found, choice)) for choice in found.offered],
        problem=problem,
    )


def _words(found: MismatchView, choice: Choice) -> tuple[str, str]:
    """Return what a choice is called, and what follows from it."""
    asked, taken = _money(found.asked), _money(found.taken)
    if choice is Choice.ACCEPT:
        missing = _money(found.asked - found.taken)
        return (
            _("Accept %(taken)s as payment", taken=taken),
            _(
                "The invoice is paid. You bear the missing %(missing)s as goodwill; the customer"
                " is not asked for it.",
                missing=missing,
            ),
        )
    if choice is Choice.REFUND_REST:
        rest = _money(found.taken - found.asked)
        return (
            _("Keep %(asked)s and send %(rest)s back", asked=asked, rest=rest),
            _("The invoice is paid. The difference goes back to the card."),
        )
    if found.taken.minor <= 0:
        title = _("Nothing was taken")
    else:
        title = _("Send all of %(taken)s back", taken=taken)
    if found.asked_again is not None:
        again = _money(found.asked_again)
        return title, _("The invoice stays open and %(again)s is charged again.", again=again)
    return title, _("Nothing is charged again.")


def _money(amount: Money) -> str:
    return formats.money(amount, writing_locale())
