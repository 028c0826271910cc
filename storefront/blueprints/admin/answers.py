"""Preferences of a subscriber: see what was answered when, and answer for them."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for

from storefront.blueprints.admin.base import who
from storefront.blueprints.answer_desk import Desk, Reply
from storefront.blueprints.context import runtime
from storefront.domain import permissions as may
from storefront.htmx import go, show, wants_partial
from storefront.queries import subscriber as one
from storefront.security import register_policy, staff

register_policy({"admin.subscription_answers": staff(may.SUBSCRIPTIONS_MANAGE)})


def add_answers(bp: Blueprint) -> None:
    """Add the page of one subscription's preferences."""
    path = "/subscribers/<ref>/<sub>/answers"
    bp.add_url_rule(path, "subscription_answers", answers, methods=["GET", "POST"])


def answers(ref: str, sub: str) -> Response:
    """Show the preferences of a customer, or save them."""
    rt = runtime()
    person = one.person(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    if person is None:
        abort(404)
    desk = Desk(person.id, sub, who())
    if request.method != "POST":
        return _show(ref, person.name or person.email, desk.look())
    reply = desk.act()
    if reply.done and not wants_partial():
        return go(url_for("admin.subscription_answers", ref=ref, sub=sub), reply.done)
    return _show(ref, person.name or person.email, reply)


def _show(ref: str, name: str, reply: Reply) -> Response:
    found = reply.page
    return show(
        "storefront/admin/subscribers/answers.html",
        "storefront/account/_answers.html",
        reply.status,
        asked=found,
        typed=reply.typed,
        problem=reply.problem,
        losses=reply.losses,
        token=reply.token,
        url=url_for("admin.subscription_answers", ref=ref, sub=found.subscription),
        back=url_for("admin.subscriber", ref=ref),
        back_label=name,
        plan_url=None,
        message=reply.done or None,
        page_has_errors=bool(reply.problem),
    )
