"""Move a subscriber to something cheaper today: choose, see the credit, confirm exactly that."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.changes import ConsentMissing, NotChangeable, QuoteChanged, Wish
from storefront.htmx import go
from storefront.operations.consents import Given
from storefront.queries import change as changes_seen
from storefront.queries import subscriber as one
from storefront.security import register_policy, staff
from storefront.services.downgrades import DowngradeQuote, downgrade, quote_downgrade

register_policy({"admin.subscription_downgrade": staff(permissions.SUBSCRIPTIONS_MANAGE)})

#: Version of the words staff type for a customer who agreed on the telephone or by mail.
_SPOKEN = "staff-1"


def add_downgrades(bp: Blueprint) -> None:
    """Add the page on which staff move a subscriber down today."""
    path = "/subscribers/<ref>/<sub>/downgrade"
    bp.add_url_rule(path, "subscription_downgrade", move_down, methods=["GET", "POST"])


def move_down(ref: str, sub: str) -> Response:
    """Show what can be chosen and what it gives back; on the button, do it."""
    if request.method == "GET":
        return _show(ref, sub, request.args)
    rt, words = runtime(), one_line(request.form.get("agreed", ""))[:500]
    agreed = Given(words, _SPOKEN, request.remote_addr or "", "staff") if words else None
    _targets(ref, sub)
    try:
        shown = request.form.get("quote_hash", "")
        downgrade(rt, who(), sub, _wish(request.form), shown, agreed)
    except LookupError:
        abort(404)
    except ConsentMissing:
        text = _("Write down what the customer agreed to; the interval is another one.")
        return _show(ref, sub, request.form, text, 422)
    except QuoteChanged:
        text = _("This changed meanwhile. Please look again before you decide.")
        return _show(ref, sub, request.form, text, 409)
    except NotChangeable as error:
        return _show(ref, sub, {}, _refused(error), 409)
    return go(url_for("admin.subscriber", ref=ref), _("Changed. The customer has the credit."))


def _show(
    ref: str, sub: str, given: Mapping[str, str], problem: str = "", status: int = 200
) -> Response:
    rt = runtime()
    rt.session.rollback()
    person, targets = _targets(ref, sub)
    wish, quote = _wish(given), None
    if wish.price:
        try:
            quote = _quote(sub, wish)
        except NotChangeable as error:
            problem = problem or _refused(error)
    return page(
        "subscribers/downgrade",
        status,
        ref=ref,
        sub=sub,
        person=person,
        targets=targets,
        chosen=wish.price,
        quantity=wish.quantity,
        quote=quote,
        problem=problem,
    )


def _quote(sub: str, wish: Wish) -> DowngradeQuote:
    try:
        return quote_downgrade(runtime(), sub, wish)
    except LookupError:
        abort(404)


def _targets(ref: str, sub: str) -> tuple[one.Person, list[changes_seen.Target]]:
    rt = runtime()
    person = one.person(rt.session, ref, rt.shop.currency)
    if person is None:
        abort(404)
    try:
        targets = changes_seen.targets(rt.session, person.id, sub, rt.today())
    except LookupError:
        abort(404)
    rt.session.rollback()
    return person, targets


def _wish(given: Mapping[str, str]) -> Wish:
    typed = given.get("quantity", "").strip()[:4]
    quantity = int(typed) if typed.isascii() and typed.isdecimal() else None
    return Wish(given.get("price", ""), quantity)


def _refused(error: NotChangeable) -> str:
    return {
        "nothing_back": _("This gives nothing back today; the customer can change it alone."),
        "same": _("The customer has this already."),
        "cancelled": _("The subscription ends; undo the cancellation first."),
        "unpaid": _("A payment is open."),
        "waiting": _("A change is waiting already."),
        "paying": _("Something the customer adds to a box is being paid."),
        "no_method": _("There is no card that could pay the next periods."),
        "sold_out": _("That plan is sold out."),
        "answers": _("This plan asks something the customer has not answered yet."),
    }.get(str(error.params.get("reason")), _("This subscription cannot be changed now."))
