"""What a shopper does not tolerate: asked with the address, where the plan holds any of it."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_babel import gettext as _

from storefront.blueprints.checkout.forms import DeliveryForm
from storefront.blueprints.checkout.loading import look
from storefront.operations.checkout import Order
from storefront.queries.allergies import words_for_plans
from storefront.runtime import Runtime


def asked(rt: Runtime, order: Order) -> dict[str, Any]:
    """Return the words to tick, with those that are ticked."""
    ids = [item.plan.id for item in order.items]
    words = look(rt, lambda: words_for_plans(rt.session, ids))
    # Who unticks all of it sends nothing.
    is_sent = request.endpoint == "checkout.save_delivery"
    ticked = request.form.getlist("avoid") if is_sent else order.checkout.avoids
    return {"allergens_asked": words, "avoided": [word for word in words if word in set(ticked)]}


def check(rt: Runtime, order: Order, form: DeliveryForm) -> list[str] | None:
    """Return what is ticked; None, with a message, where it may not be kept."""
    if not request.form.getlist("avoid"):
        return []
    ticked: list[str] = asked(rt, order)["avoided"]
    if ticked and not form.agree.data:
        form.agree.errors = [_("Tick that we may keep this, or tick nothing")]
        return None
    return ticked
