"""Ask the shop for a change of a box that is closed and has not left."""

from __future__ import annotations

from flask import Response, url_for

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.late_desk import Desk
from storefront.queries.late_changes import LateBox, late_box
from storefront.services import late_changes
from storefront.services.late_changes import Wish


@bp.get("/subscriptions/<subscription>/boxes/<cycle>/late")
def late(subscription: str, cycle: str) -> Response:
    """Show what can be asked of the box, and what became of the last wish."""
    return _desk(subscription, cycle).look()


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/late")
def ask_late(subscription: str, cycle: str) -> Response:
    """Put the wish into the shop's queue."""
    return _desk(subscription, cycle).act()


@bp.get("/subscriptions/<subscription>/boxes/<cycle>/late/contents")
def late_contents(subscription: str, cycle: str) -> Response:
    """Show what may be in the box instead."""
    return _desk(subscription, cycle).look_inside()


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/late/contents")
def ask_late_contents(subscription: str, cycle: str) -> Response:
    """Put the wish for other contents into the shop's queue."""
    return _desk(subscription, cycle).act_inside()


def _desk(subscription: str, cycle: str) -> Desk:
    rt, me = runtime(), customer().id

    def find() -> LateBox | None:
        return late_box(rt.session, me, subscription, cycle, rt.today())

    def ask(wish: Wish) -> str:
        return late_changes.ask_late(rt, me, subscription, cycle, wish)

    back = url_for("account.subscription", subscription=subscription)
    url = url_for("account.late", subscription=subscription, cycle=cycle)
    inside = url_for("account.late_contents", subscription=subscription, cycle=cycle)

    def show(name: str, status: int, **context: object) -> Response:
        return page(name, status, back=back, **context)

    return Desk(find, ask, show, url, inside)
