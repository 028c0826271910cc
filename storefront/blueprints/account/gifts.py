"""What the recipient of a gift may do with it: its boxes, where they go, what is in them."""

from __future__ import annotations

from typing import Any

from flask import request, url_for

from storefront.blueprints.account.base import bp
from storefront.blueprints.context import runtime
from storefront.htmx import go
from storefront.logins import current_customer
from storefront.queries.gifts import received

#: Pages of one subscription that a gift has as well; every other is about what it costs.
_FOR_GIFTS = frozenset(
    f"account.{name}"
    for name in (
        *("subscription", "address", "choose", "save_choice", "swap", "save_swap"),
        *("late_contents", "ask_late_contents"),
        *("skip", "undo_skip", "late", "ask_late"),
    )
)


@bp.before_request
def keep_price_away() -> Any:
    """Lead from pages about payment to the gift's own: it is paid, and ends by itself."""
    subscription = (request.view_args or {}).get("subscription")
    me = current_customer()
    if subscription is None or me is None or request.endpoint in _FOR_GIFTS:
        return None
    if received(runtime().session, me.id, subscription) is None:
        return None
    return go(url_for("account.subscription", subscription=subscription))
