"""The last page of an order: what was charged, what comes next."""

from __future__ import annotations

from flask import Response, url_for

from storefront.blueprints.checkout.loading import (
    load,
    look,
)
from storefront.blueprints.checkout.steps import bp
from storefront.blueprints.context import runtime
from storefront.documents import line_name
from storefront.domain.money import Money
from storefront.domain.periods import Interval
from storefront.htmx import go, show
from storefront.logins import current_customer
from storefront.merchant_texts import said
from storefront.queries import account
from storefront.queries.checkout import Confirmation
from storefront.queries.checkout import confirmation as read_confirmation
from storefront.queries.profile import has_password
from storefront.runtime import Runtime
from storefront.templating import writing_locale


@bp.get("/checkout/<key>/confirmation")
def confirmation(key: str) -> Response:
    """The order is paid: what was charged, what comes next."""
    rt = runtime()
    order = load(rt, key)
    found = look(rt, lambda: read_confirmation(rt.session, key))
    if found is None:
        return go(url_for("checkout.resume", key=key))
    page = "storefront/checkout/confirmation.html"
    me = current_customer()
    return show(
        page,
        page,
        key=key,
        done=found,
        order=order,
        lines=[
            (line_name(kind, said(text)), many, Money(minor, found.paid.currency))
            for kind, text, many, minor in found.lines
        ],
        has_password=me is not None and has_password(rt.session, me.id),
        to_choose=[] if order.gift else _to_choose(rt, found),
        intervals=[Interval(box.unit, box.count) for box in found.boxes],  # type: ignore[arg-type]
        country=writing_locale().territories.get(
            found.address["country"], found.address["country"]
        ),
    )


def _to_choose(rt: Runtime, done: Confirmation) -> list[tuple[str, int, str]]:
    """Return (plan, pieces, address) of this order's first boxes whose contents may be chosen."""
    me = current_customer()
    if me is None:
        return []
    found = []
    for box in done.boxes:
        view = account.subscription(rt.session, me.id, box.subscription, rt.moment(), rt.shop.taxes)
        choosing = view.choosing if view else None
        if choosing is None or not choosing.pieces or choosing.ship_from != box.ships_on:
            continue
        url = url_for("account.choose", subscription=box.subscription, cycle=choosing.cycle)
        found.append((box.plan_name, choosing.pieces, url))
    return found
