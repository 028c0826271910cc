"""The summary beside step 1 while somebody picks: what it would cost, with nothing written."""

from __future__ import annotations

from flask import Response, abort, request

from storefront.blueprints.checkout.forms import box_form
from storefront.blueprints.checkout.loading import load, look
from storefront.blueprints.checkout.steps import (
    begun,
    box_values,
    bp,
    choice_of,
    step_values,
    with_one_more,
)
from storefront.blueprints.context import runtime
from storefront.blueprints.preferences import market_of_visit
from storefront.htmx import show
from storefront.operations.checkout import Order
from storefront.operations.order_items import BoxWish, OrderItem
from storefront.queries.checkout import order_page
from storefront.security import PUBLIC, register_policy

register_policy(
    {"checkout.summary": PUBLIC, "checkout.kept_summary": PUBLIC, "checkout.added_summary": PUBLIC}
)


@bp.get("/checkout/summary")
def summary() -> Response:
    """What is picked on the page of an order that is not begun."""
    rt = runtime()
    order, _chosen, _kept = begun(rt)
    order, _chosen, _kept = begun(rt, _picked(order.first))
    return _beside(order, order.first)


@bp.get("/checkout/<key>/summary")
def kept_summary(key: str) -> Response:
    """What is picked of the box ``?of=`` of an order, beside what else is in it."""
    rt = runtime()
    item = load(rt, key, "box").item(request.args.get("of", ""))
    if item is None:
        abort(404)
    wish, market = _picked(item), market_of_visit(rt)
    order = look(rt, lambda: order_page(rt.session, key, market, rt.moment(), wish))
    found = order.item(item.ref) if order is not None else None
    if order is None or found is None:
        abort(404)
    return _beside(order, found)


@bp.get("/checkout/<key>/add/summary")
def added_summary(key: str) -> Response:
    """What is picked of one more box of the plan ``?plan=``, beside what is in the order."""
    rt = runtime()
    load(rt, key, "box")
    item = with_one_more(rt, key).items[-1]
    order = with_one_more(rt, key, _picked(item))
    return _beside(order, order.items[-1])


def _picked(item: OrderItem) -> BoxWish:
    """Return what the fields say so far; what is open or wrong is left out."""
    form = box_form(item, request.args)
    form.validate()
    picks = choice_of(item, form)
    number, ref = item.wish.quantity, item.wish.ref
    return BoxWish(picks.plan_id, picks.price_id, number, picks.options, picks.addons, ref)


def _beside(order: Order, item: OrderItem) -> Response:
    values = box_values(item, box_form(item, request.args)) | step_values(order)
    folder = "storefront/checkout"
    return show(f"{folder}/box.html", f"{folder}/_summary.html", **values)
