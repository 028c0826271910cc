"""Forms of the checkout whose session was lost: shown again with what was typed, and not acted on.

Cookies get lost: deleted, expired, another browser opened the link. The token of a form is then
nobody's any more. Its page is shown once more with a new token; sending it again is the shopper's
to do. What came from another site never gets here (``security``).
Source: docs/decisions/0246-forms-of-a-lost-session.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError

from storefront import failures
from storefront.blueprints.checkout.forms import box_form, delivery_form
from storefront.blueprints.checkout.gift import gift_form, gift_page
from storefront.blueprints.checkout.loading import load, onward
from storefront.blueprints.checkout.payment import pay_page
from storefront.blueprints.checkout.steps import begun, box_page, bp, countries_of, delivery_page
from storefront.blueprints.context import runtime
from storefront.htmx import go

_AGAIN = 422


@bp.errorhandler(CSRFError)
def stale_form(error: CSRFError) -> Any:
    """Show the step again, or where the order stands. Nothing is done on the word of such a form.

    The last two forms do not come back: another tab has finished the order and was signed in.
    """
    endpoint = request.endpoint or ""
    if endpoint in ("checkout.do_finish", "checkout.other_card"):
        return go(url_for("checkout.resume", **(request.view_args or {})))
    show = _STEPS.get(endpoint)
    return show(**(request.view_args or {})) if show else failures.refused(error)


def _start() -> Response:
    order, _chosen, _kept = begun(runtime())
    return box_page(order, order.first, _told(box_form(order.first, request.form)), _AGAIN)


def _box(key: str, ref: str = "") -> Response:
    order = load(runtime(), key, "box")
    item = order.item(ref)
    if item is None:
        return onward(order)
    return box_page(order, item, _told(box_form(item, request.form)), _AGAIN)


def _delivery(key: str) -> Response:
    rt = runtime()
    order = load(rt, key, "delivery")
    form = delivery_form(countries_of(rt), {}, request.form)
    return delivery_page(rt, order, _told(form), _AGAIN)


def _gift(key: str) -> Response:
    order = load(runtime(), key, "delivery")
    return gift_page(order, _told(gift_form(order, request.form)), _AGAIN)


def _pay(key: str) -> Response:
    """Show the last step anew: what was agreed to on a lost page is not, so nothing is ticked."""
    told = _("Your session had ended. Nothing was ordered. Please agree once more.")
    return pay_page(load(runtime(), key, "pay"), None, _AGAIN, problem=told)


def _told(form: Any) -> Any:
    form.form_errors = [_("Your session had ended. Nothing you typed is lost: send it once more.")]
    return form


_STEPS: dict[str, Callable[..., Response]] = {
    "checkout.start": _start,
    "checkout.save_box": _box,
    "checkout.save_delivery": _delivery,
    "checkout.save_gift": _gift,
    "checkout.order": _pay,
}
