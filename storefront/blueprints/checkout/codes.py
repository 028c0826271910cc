"""The promotion code beside every step: try it, take it off, see the order priced again."""

from __future__ import annotations

from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.checkout import words
from storefront.blueprints.checkout.forms import CodeForm, box_form, delivery_form
from storefront.blueprints.checkout.gift import gift_form, gift_values
from storefront.blueprints.checkout.loading import load, place_of, shown, url_of
from storefront.blueprints.checkout.payment import pay_form, pay_values
from storefront.blueprints.checkout.steps import box_values, bp, countries_of, delivery_values
from storefront.blueprints.context import runtime
from storefront.htmx import go, show, wants_partial
from storefront.operations.checkout import Order
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services.coupons import drop_code, use_code

register_policy({"checkout.code": PUBLIC, "checkout.remove_code": PUBLIC})

_FOLDER = "storefront/checkout"
_CODE_TRIES, _CODE_SECONDS = 10, 60


#: The forms that the code is a field of without scripts, and what sends them on.
_STEPS = ("checkout.save_box", "checkout.save_delivery", "checkout.save_gift", "checkout.order")


@bp.before_request
def use_typed_code() -> Response | None:
    """Try a code first that was typed beside a step: Enter in it presses the step's own button."""
    if request.endpoint in _STEPS and request.method == "POST" and request.form.get("code"):
        return code((request.view_args or {})["key"])
    return None


@bp.post("/checkout/<key>/code")
def code(key: str) -> Response:
    """Try a promotion code; the summary is priced again."""
    rt = runtime()
    order = load(rt, key, "box")
    form = CodeForm(request.form)
    status = 200
    typed = (form.code.data or "")[:200]
    wait = throttle(rt, "code", f"{request.remote_addr} {key}", _CODE_TRIES, _CODE_SECONDS)
    if wait is not None:
        form.code.errors = [words.too_many(wait)]
        status = 429
    elif not typed:
        form.code.errors = [_("Enter a code")]
        status = 422
    else:
        tried = use_code(rt, key, typed)
        if tried.refused is not None:
            form.code.errors = [words.refusal_words(tried.refused, typed, tried.found)]
            status = 422
    if status == 200:
        order, form = load(rt, key), CodeForm()
    return _after_code(order, form, status)


@bp.post("/checkout/<key>/code/remove")
def remove_code(key: str) -> Response:
    """Take the code off again."""
    rt = runtime()
    load(rt, key, "box")
    drop_code(rt, key)
    return _after_code(load(rt, key), CodeForm(), 200)


def _after_code(order: Order, form: CodeForm, status: int) -> Response:
    """Answer with the summary priced again, or with the step it stands beside."""
    return refreshed(order, request.form.get("step", ""), form, status)


def refreshed(order: Order, step: str, form: CodeForm, status: int) -> Response:
    """Answer with the summary priced again, and on the last step with the form to pay."""
    typed = "" if wants_partial() else request.form.get("typed", "")
    step = {"gift": "delivery"}.get(typed, typed) or step
    place = place_of(order, step if step in ("box", "delivery") else "pay")
    if place not in ("box", "delivery", "pay"):
        return go(url_for("checkout.resume", key=order.checkout.public_id))
    if not (wants_partial() or typed) and status == 200:
        return go(url_of(order, place))
    page = typed if typed in _TYPED and place == step else place
    values = shown(order, place, code_form=form) | _TYPED[page](order, bool(typed))
    # htmx swaps a 422 and leaves a 429 alone, whose text must be seen as well.
    shown_as = 422 if status != 200 and wants_partial() else status
    return show(f"{_FOLDER}/{page}.html", f"{_FOLDER}/_code.html", shown_as, **values)


def _box(order: Order, is_typed: bool) -> dict[str, Any]:
    typed = order.item(request.form.get("of", "")) if is_typed else None
    item = typed or order.first
    return box_values(item, box_form(item, request.form if typed is not None else None))


def _delivery(order: Order, is_typed: bool) -> dict[str, Any]:
    rt, row = runtime(), order.checkout
    known = {**row.address, "email": row.email, "agree": bool(row.avoids)}
    known["billing"] = row.billing
    given = request.form if is_typed else None
    return delivery_values(rt, order, delivery_form(countries_of(rt), known, given))


def _gift(order: Order, is_typed: bool) -> dict[str, Any]:
    return gift_values(order, gift_form(order, request.form if is_typed else None))


def _pay(order: Order, is_typed: bool) -> dict[str, Any]:
    form = pay_form(order, request.form if is_typed else None)
    if order.quote is None or request.form.get("quote") != order.quote.quote_hash:
        # Agreed to was another amount.
        form.consent.data = False
    return pay_values(order, form)


#: Each step's form, as it is kept or as it was typed.
_TYPED = {"box": _box, "delivery": _delivery, "gift": _gift, "pay": _pay}
