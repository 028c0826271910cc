"""Say what subscribers of a plan may take instead, and swap for a customer until the lock."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import who
from storefront.blueprints.context import runtime
from storefront.blueprints.swap_desk import Answer, Desk, bar_words
from storefront.domain import permissions as may
from storefront.htmx import go, show, wants_partial
from storefront.queries import recipes
from storefront.queries import subscriber as one
from storefront.queries.swaps import offer_rows
from storefront.security import register_policy, staff
from storefront.services import swaps

register_policy(
    {
        "admin.swap_offers": staff(may.BOXES_MANAGE),
        "admin.save_swap_offers": staff(may.BOXES_MANAGE),
        "admin.subscription_swap": staff(may.SUBSCRIPTIONS_MANAGE),
    }
)


def add_swaps(bp: Blueprint) -> None:
    """Add the page of what is offered instead, and the one on which staff swap."""
    bp.add_url_rule("/recipes/<plan>/swaps", "swap_offers", offers)
    bp.add_url_rule("/recipes/<plan>/swaps", "save_swap_offers", save_offers, methods=["POST"])
    path = "/subscribers/<ref>/<sub>/boxes/<cycle>/swap"
    bp.add_url_rule(path, "subscription_swap", swap, methods=["GET", "POST"])


def offers(plan: str) -> Response:
    """Show every product, with those ticked that may come instead."""
    rt = runtime()
    facts = recipes.plan_facts(rt.session, plan, rt.shop.currency)
    if facts is None:
        abort(404)
    page = "storefront/admin/recipes/swaps.html"
    form = "storefront/admin/recipes/_swaps.html"
    return show(page, form, plan=facts, rows=offer_rows(rt.session, plan))


def save_offers(plan: str) -> Response:
    """Store what is ticked, in the order of the list."""
    ticked = request.form.getlist("offer")
    try:
        swaps.offer_swaps(runtime(), plan, ticked, who())
    except swaps.UnknownInSwaps:
        abort(404)
    text = _("Saved. Subscribers can swap.") if ticked else _("Saved. Nothing can be swapped.")
    return go(url_for("admin.swap_offers", plan=plan), text)


def swap(ref: str, sub: str, cycle: str) -> Response:
    """Show the box of a customer, or swap in it."""
    rt = runtime()
    person = one.person(rt.session, ref, rt.shop.currency)
    rt.session.rollback()
    if person is None:
        abort(404)
    desk = Desk(person.id, sub, cycle, who())
    if request.method != "POST":
        return _show(ref, desk.look())
    answer = desk.act()
    if answer.done and not wants_partial():
        return go(url_for("admin.subscription_swap", ref=ref, sub=sub, cycle=cycle), answer.done)
    return _show(ref, answer)


def _show(ref: str, answer: Answer) -> Response:
    found = answer.page
    return show(
        "storefront/admin/subscribers/swap.html",
        "storefront/account/_swap.html",
        200 if answer.status == 409 and wants_partial() else answer.status,
        box=found,
        problem=answer.problem,
        bar_words=bar_words,
        url=url_for("admin.subscription_swap", ref=ref, sub=found.subscription, cycle=found.cycle),
        back=url_for("admin.subscriber", ref=ref),
        message=answer.done or None,
        page_has_errors=bool(answer.problem),
    )
