"""What is not tolerated: asked with the address, and shown again before anything is paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import request

from storefront.blueprints.checkout.forms import DeliveryForm
from storefront.blueprints.checkout.loading import look
from storefront.blueprints.health_words import missing_words
from storefront.operations.checkout import Order
from storefront.queries.allergies import words_for_plans
from storefront.runtime import Runtime

_OWN_PAGES = ("checkout.delivery", "checkout.save_delivery")
_GIFT_PAGES = ("checkout.gift", "checkout.save_gift")
#: They bring what is ticked. Who unticks all of it sends nothing.
_SENT = ("checkout.save_delivery", "checkout.save_gift")


def asked(rt: Runtime, order: Order) -> dict[str, Any]:
    """Return the words to tick, with those that are ticked."""
    ids = [item.plan.id for item in order.items]
    kept = _kept(order)
    words = look(rt, lambda: words_for_plans(rt.session, ids, kept))
    is_sent = request.endpoint in _SENT or request.form.get("typed") in ("delivery", "gift")
    ticked = request.form.getlist("avoid") if is_sent else kept
    return {"allergens_asked": words, "avoided": [word for word in words if word in set(ticked)]}


def _kept(order: Order) -> Sequence[str]:
    """Return what the order keeps, but of the giver nothing where a recipient is asked for."""
    is_other = request.endpoint in (_OWN_PAGES if order.gift is not None else _GIFT_PAGES)
    return () if is_other else order.checkout.avoids


def check(rt: Runtime, order: Order, form: DeliveryForm) -> list[str] | None:
    """Return what is ticked; None, with a message, where it may not be kept."""
    if not request.form.getlist("avoid"):
        return []
    ticked: list[str] = asked(rt, order)["avoided"]
    if ticked and not form.agree.data:
        form.agree.errors = [missing_words()]
        return None
    return ticked
