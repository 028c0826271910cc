"""The page that opens Razorpay's window, for a mandate or for a payment with its customer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, make_response, redirect, render_template
from werkzeug.wrappers import Response

from storefront.hooks import Money
from storefront_razorpay.api import Silent
from storefront_razorpay.gateway import RazorpayGateway
from storefront_razorpay.keys import PageKeys
from storefront_razorpay.orders import BACK, CANCELLED, KIND, OUT, SETUP, TEXT, best_of, notes_of


def make_blueprint(gateway: RazorpayGateway, keys: PageKeys, key_id: str, script: str) -> Blueprint:
    """Return the page. Its key is signed, so it leads to no address that is not ours."""
    bp = Blueprint("razorpay", __name__, template_folder="templates", static_folder="static")

    @bp.get("/pay/<key>")
    def pay(key: str) -> Response:
        name = keys.open(key) or abort(404)
        order, is_done = _read(gateway, name)
        notes = notes_of(order)
        back = notes.get(BACK) or abort(404)
        if is_done or notes.get(CANCELLED):
            return redirect(back, code=303)
        page = make_response(
            render_template(
                "razorpay/pay.html",
                amount=Money(int(order["amount"]), str(order["currency"])),
                back=back,
                customer=order.get("customer_id") or "",
                is_mandate=notes.get(KIND) == SETUP,
                is_test=key_id.startswith("rzp_test_"),
                key_id=key_id,
                order=name,
                out=notes.get(OUT) or back,
                script=script,
                text=notes.get(TEXT, ""),
            )
        )
        page.headers["Cache-Control"] = "no-store"
        page.headers["X-Robots-Tag"] = "noindex"
        return page

    return bp


def _read(gateway: RazorpayGateway, name: str) -> tuple[dict[str, Any], bool]:
    """Return an order and whether its customer has done their part."""
    try:
        order = gateway.orders.read(name) or abort(404)
        best = best_of(gateway.orders.payments(order))
    except Silent:
        return abort(503)
    return order, best is not None and best["status"] in {"authorized", "captured"}
