"""The demo's payment page and its bank's "is it you?" page. No field takes a card number."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from storefront.hooks import Money
from storefront_demo_gateway.cards import CARDS
from storefront_demo_gateway.gateway import DemoGateway
from storefront_demo_gateway.records import AnyBank, BankSetup


def make_blueprint(gateway: DemoGateway) -> Blueprint:
    """Return the pages over ``gateway``'s bank. Their keys are unguessable and single purpose."""
    pages = _Pages(gateway.bank)
    bp = Blueprint("demo_gateway", __name__, template_folder="templates")
    bp.add_url_rule("/pay/<key>", "pay", pages.pay)
    bp.add_url_rule("/pay/<key>", "choose", pages.choose, methods=["POST"])
    bp.add_url_rule("/confirm/<key>", "confirm", pages.confirm)
    bp.add_url_rule("/confirm/<key>", "answer", pages.answer, methods=["POST"])
    return bp


class _Pages:
    def __init__(self, bank: AnyBank) -> None:
        self._bank = bank

    def pay(self, key: str) -> str | Response:
        setup = self._bank.setup_of_page(key) or abort(404)
        if setup.status != "action_required":
            return _back_to(setup.return_url)
        if setup.token:
            return _confirm_page(setup.merchant, _amount(setup), setup.return_url)
        return _pay_page(setup)

    def choose(self, key: str) -> str | tuple[str, int] | Response:
        setup = self._bank.setup_of_page(key) or abort(404)
        if "answer" in request.form:
            setup = self._bank.confirm_setup(key, request.form["answer"] == "confirm")
        elif request.form.get("card") in CARDS:
            setup = self._bank.choose(key, request.form["card"])
        else:
            return _pay_page(setup, error=_("Choose one of the demo cards.")), 422
        return _back_to(setup.return_url if setup.status != "action_required" else request.url)

    def confirm(self, key: str) -> str | Response:
        charge = self._bank.charge_of_page(key) or abort(404)
        if charge.status != "action_required":
            return _back_to(charge.return_url)
        amount = Money(charge.amount_minor, charge.currency)
        # A charge carries no name of its shop, so the page says whose frame it stands in.
        return _confirm_page("", amount, charge.return_url)

    def answer(self, key: str) -> Response:
        if self._bank.charge_of_page(key) is None:
            abort(404)
        word = request.form.get("answer")
        if word not in {"confirm", "refuse"}:
            return _back_to(request.url)
        return _back_to(self._bank.confirm_charge(key, word == "confirm").return_url)


def _back_to(url: str) -> Response:
    return redirect(url or "/", code=303)


def _amount(setup: BankSetup) -> Money | None:
    if setup.amount_minor is None:
        return None
    return Money(setup.amount_minor, setup.currency)


def _pay_page(setup: BankSetup, error: str = "") -> str:
    return render_template(
        "demo_gateway/pay.html",
        cards=[(card.last4, _what_it_does(card.last4)) for card in CARDS.values()],
        chosen=request.form.get("card", "4242"),
        setup=setup,
        amount=_amount(setup),
        error=error,
    )


def _confirm_page(merchant: str, amount: Money | None, back: str) -> str:
    return render_template("demo_gateway/confirm.html", merchant=merchant, amount=amount, back=back)


def _what_it_does(last4: str) -> str:
    return {
        "4242": _("succeeds"),
        "3220": _("asks for authentication"),
        "0002": _("declined: bank says no"),
        "9995": _("declined: not enough money"),
        "0069": _("declined: expired"),
        "0119": _("answers after 12 seconds"),
        "0341": _("saved now, fails at renewal"),
        "0408": _("the answer gets lost"),
    }[last4]
