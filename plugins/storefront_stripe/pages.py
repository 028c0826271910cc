"""The plugin's own pages: Stripe's fields in the shop's frame, and the ways to Stripe's pages.

No page takes a card number: the fields are Stripe's, in frames of Stripe's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, make_response, redirect, render_template
from werkzeug.wrappers import Response

from storefront.hooks import Money
from storefront_stripe.keys import PageKeys

if TYPE_CHECKING:
    from storefront_stripe.gateway import StripeGateway
    from storefront_stripe.plugin import StripeSettings

#: States of a set-up in which the customer still has something to do.
_OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


def make_blueprint(
    gateway: StripeGateway, keys: PageKeys, own: StripeSettings, *, is_live: bool
) -> Blueprint:
    """Return the pages over ``gateway``. Their keys are unguessable and single purpose."""
    pages = _Pages(gateway, keys, own, is_live)
    bp = Blueprint("stripe", __name__, template_folder="templates", static_folder="static")
    bp.add_url_rule("/pay/<key>", "pay", pages.pay)
    bp.add_url_rule("/pay/<key>", "host", pages.host, methods=["POST"])
    bp.add_url_rule("/hosted/<key>", "hosted", pages.hosted)
    bp.add_url_rule("/confirm/<key>", "confirm", pages.confirm)
    return bp


class _Pages:
    def __init__(
        self, gateway: StripeGateway, keys: PageKeys, own: StripeSettings, is_live: bool
    ) -> None:
        self._gateway, self._keys, self._own, self._is_live = gateway, keys, own, is_live

    def pay(self, key: str) -> Response:
        """Show Stripe's fields for a set-up."""
        intent = self._ask(self._gateway.setups.intent, self._name("pay", key))
        notes = intent["metadata"]
        if intent["status"] not in _OPEN:
            return redirect(notes["storefront_return"], code=303)
        return self._private(
            render_template(
                "stripe/pay.html",
                amount=_amount(notes.get("storefront_amount", "")),
                back=notes["storefront_return"],
                cancel_url=notes.get("storefront_cancel") or notes["storefront_return"],
                description=notes.get("storefront_text", ""),
                is_live=self._is_live,
                publishable_key=self._own.publishable_key,
                script=self._own.script,
                secret=intent["client_secret"],
            )
        )

    def host(self, key: str) -> Response:
        """Open Stripe's own page for the same set-up, for those without JavaScript."""
        intent = self._ask(self._gateway.setups.intent, self._name("pay", key))
        if intent["status"] not in _OPEN:
            return redirect(intent["metadata"]["storefront_return"], code=303)
        return self._to_stripe(self._ask(self._gateway.setups.host, intent)["url"])

    def hosted(self, key: str) -> Response:
        """Lead to Stripe's own page, or back if it was used already."""
        session = self._ask(self._gateway.setups.session, self._name("hosted", key))
        if session["status"] != "open":
            return redirect(session["success_url"], code=303)
        return self._to_stripe(session["url"])

    def confirm(self, key: str) -> Response:
        """Lead to the page of the customer's bank, or back if nothing is to be confirmed."""
        intent = self._ask(self._gateway.intent, self._name("confirm", key)) or abort(404)
        action = (intent.get("next_action") or {}).get("redirect_to_url")
        if intent["status"] != "requires_action" or not action:
            return redirect(intent["metadata"].get("storefront_return") or "/", code=303)
        return self._to_stripe(action["url"])

    def _name(self, kind: str, key: str) -> str:
        return self._keys.open(kind, key) or abort(404)

    def _ask(self, question: Any, *arguments: Any) -> Any:
        """Ask Stripe while a person waits; without an answer the page says so."""
        try:
            return question(*arguments)
        except Exception:
            self._gateway.log.exception("Stripe did not answer a page")
            return abort(503)

    def _to_stripe(self, url: str) -> Response:
        """Go on by a page, not by a redirect.

        A redirect after a form counts as the form's target, and the policy of the page that
        posted it, which may be any of the shop's, names no host but our own.
        """
        response = self._private(render_template("stripe/onward.html", url=url))
        response.headers["Refresh"] = f"0; url={url}"
        return response

    @staticmethod
    def _private(page: str) -> Response:
        response = make_response(page)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex"
        return response


def _amount(note: str) -> Money | None:
    minor, _, currency = note.partition(" ")
    return Money(int(minor), currency) if currency else None
