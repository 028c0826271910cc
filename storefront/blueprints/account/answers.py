"""Preferences: answer what the plan asks about its boxes anew, where that costs the same."""

from __future__ import annotations

from flask import Response, url_for

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.answer_desk import Desk, Reply
from storefront.blueprints.context import customer
from storefront.htmx import go, wants_partial
from storefront.merchant_texts import said


@bp.get("/subscriptions/<subscription>/answers")
def answers(subscription: str) -> Response:
    """Show the questions, and what was answered before."""
    return _show(Desk(customer().id, subscription).look())


@bp.post("/subscriptions/<subscription>/answers")
def save_answers(subscription: str) -> Response:
    """Save what is chosen."""
    reply = Desk(customer().id, subscription).act()
    if reply.done and not wants_partial():
        return go(url_for("account.answers", subscription=subscription), reply.done)
    return _show(reply)


def _show(reply: Reply) -> Response:
    found = reply.page
    return page(
        "answers",
        reply.status,
        asked=found,
        typed=reply.typed,
        problem=reply.problem,
        losses=reply.losses,
        token=reply.token,
        url=url_for("account.answers", subscription=found.subscription),
        back=url_for("account.subscription", subscription=found.subscription),
        back_label=said(found.plan),
        plan_url=url_for("account.plan", subscription=found.subscription),
        message=reply.done or None,
        page_has_errors=bool(reply.problem),
    )
