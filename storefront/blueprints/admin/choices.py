"""Choose what is in a customer's next box, as staff, until the lock."""

from __future__ import annotations

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import who
from storefront.blueprints.choice_desk import Answer, Desk
from storefront.blueprints.choosing import rule_words
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.htmx import go, show, wants_partial
from storefront.queries import subscriber as one
from storefront.security import register_policy, staff

register_policy({"admin.subscription_choose": staff(permissions.SUBSCRIPTIONS_MANAGE)})


def add_choices(bp: Blueprint) -> None:
    """Add the page on which staff choose for a customer."""
    path = "/subscribers/<ref>/<sub>/boxes/<cycle>/choose"
    bp.add_url_rule(path, "subscription_choose", choose, methods=["GET", "POST"])


def choose(ref: str, sub: str, cycle: str) -> Response:
    """Show the pool with what is chosen of it, or do what was sent."""
    rt = runtime()
    person = one.person(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    if person is None:
        abort(404)
    desk = Desk(person.id, sub, cycle, who())
    if request.method != "POST":
        return _show(ref, desk.look())
    answer = desk.act()
    if answer.done:
        return go(url_for("admin.subscriber", ref=ref), answer.done)
    return _show(ref, answer)


def _show(ref: str, answer: Answer) -> Response:
    found, message = answer.page, None
    if answer.is_noted:
        message = _("Noted. It holds for every box that is not packed yet.")
        if not wants_partial():
            flash(message)
    sub, instead = found.subscription, found.instead
    return show(
        "storefront/admin/subscribers/choose.html",
        "storefront/account/_choose.html",
        200 if answer.status == 409 and wants_partial() else answer.status,
        choice=found,
        form=answer.form,
        rules=rule_words(found),
        url=url_for("admin.subscription_choose", ref=ref, sub=sub, cycle=found.cycle),
        back=url_for("admin.subscriber", ref=ref),
        instead_url=url_for("admin.subscription_choose", ref=ref, sub=sub, cycle=instead.cycle)
        if instead
        else "",
        message=message if wants_partial() else None,
        page_has_errors=bool(answer.form.summary),
    )
