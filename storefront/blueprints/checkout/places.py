"""A plan of which nothing is left: said before anything is typed, with the way to wait for it."""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _

from storefront.blueprints.checkout.loading import look
from storefront.blueprints.context import runtime
from storefront.operations.checkout import Order
from storefront.operations.secrets import read_return_token
from storefront.queries.places import full_plans
from storefront.queries.waiting import WAITING, Waiting, has_kept_place, waiting_one
from storefront.runtime import Runtime

#: Field and part of the address that names a kept place, signed.
PLACE = "place"


def invited(rt: Runtime) -> Waiting | None:
    """Return who the place is kept for that the request names, while it is.

    Read only: the caller is in a reading transaction.
    """
    token = request.values.get(PLACE, "")[:200]
    ref = read_return_token(rt.settings.secret_key, WAITING, token) if token else None
    found = waiting_one(rt.session, ref) if ref is not None else None
    is_kept = found is not None and found.until_at is not None and found.until_at > rt.now()
    return found if is_kept else None


def is_full(rt: Runtime, code: str, email: str) -> bool:
    """Return whether nothing of a plan is left for somebody with ``email``, empty if not known."""

    def read() -> bool:
        if code not in full_plans(rt.session, rt.moment()):
            return False
        return not (email and has_kept_place(rt.session, code, email, rt.now()))

    return look(rt, read)


def full_of(order: Order) -> list[tuple[str, str]]:
    """Return (code, name) of the plans of an order of which nothing is left, to wait for."""
    rt = runtime()
    full = look(rt, lambda: full_plans(rt.session, rt.moment()))
    names = {item.plan.code: item.plan.name for item in order.items}
    return [(code, name) for code, name in names.items() if code in full]


def sold_out() -> str:
    """Return what is said to who was too late."""
    return _(
        "Somebody else took the last one while you were here. You were not charged. Your order is "
        "kept for a while: try again later, or choose another plan."
    )
