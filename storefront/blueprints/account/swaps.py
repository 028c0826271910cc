"""Take something else instead of a product of the next box."""

from __future__ import annotations

from flask import Response, url_for

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer
from storefront.blueprints.swap_desk import Answer, Desk, bar_words
from storefront.htmx import go, wants_partial


@bp.get("/subscriptions/<subscription>/boxes/<cycle>/swap")
def swap(subscription: str, cycle: str) -> Response:
    """Show the box, and what may come instead of each product."""
    return _show(Desk(customer().id, subscription, cycle).look())


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/swap")
def save_swap(subscription: str, cycle: str) -> Response:
    """Take something else, or take that back."""
    answer = Desk(customer().id, subscription, cycle).act()
    if answer.done and not wants_partial():
        return go(url_for("account.swap", subscription=subscription, cycle=cycle), answer.done)
    return _show(answer)


def _show(answer: Answer) -> Response:
    found = answer.page
    return page(
        "swap",
        200 if answer.status == 409 and wants_partial() else answer.status,
        box=found,
        problem=answer.problem,
        bar_words=bar_words,
        url=url_for("account.swap", subscription=found.subscription, cycle=found.cycle),
        back=url_for("account.subscription", subscription=found.subscription),
        message=answer.done or None,
        page_has_errors=bool(answer.problem),
    )
