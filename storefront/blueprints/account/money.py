"""What is owed, paying it, and invoices."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints import papers
from storefront.blueprints.account import words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.catalogue import delivery_of
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.gateway_words import ways_to_pay
from storefront.htmx import go
from storefront.operations.setups import currencies_of
from storefront.queries import account_home
from storefront.queries import invoices as documents
from storefront.queries.credit import credit_of
from storefront.queries.debits import debits_of
from storefront.queries.documents import Document, document
from storefront.queries.methods import methods_of
from storefront.services import debits, methods
from storefront.services.methods import Paid


@bp.get("/payment")
def payment() -> Response:
    """Show what may be charged and what is owed."""
    return page("payment", **payment_context())


def payment_context() -> dict[str, Any]:
    """Return what the page and its partial need."""
    rt, me = runtime(), customer()
    currencies = currencies_of(rt.session, me.id, rt.shop.currency)
    return {
        "stored": methods_of(rt.session, me.id, rt.today()),
        "ways": ways_to_pay(rt.gateways, rt.sign_up_gateways(*currencies)),
        "coming": account_home.home(
            rt.session, me.id, rt.moment(), rt.shop.taxes, delivery_of(rt)
        ).subscriptions,
        "credit": credit_of(rt.session, me.id),
        "origin_word": words.credit_origin,
        "owed": documents.all_owed(rt.session, me.id, rt.moment()),
        "debits": debits_of(rt.session, me.id),
        "why_declined": words.why_declined,
        "tax_is_asked": rt.hooks.has("quote_tax"),
    }


@bp.post("/payment/pay/<invoice>")
def pay(invoice: str) -> Response:
    """Charge what is owed now."""
    rt, me = runtime(), customer()
    to = url_for("account.payment")
    try:
        outcome = methods.pay_now(rt, me.id, invoice)
    except methods.NotFound:
        abort(404)
    except methods.NoMethod:
        return go(to, _("There is no card that could pay. Add one first."))
    except methods.ChargingHeld:
        return go(
            to, _("The shop takes no payments at the moment. Nothing was charged. Try later.")
        )
    except methods.PaymentPartnerSilent:
        return go(to, silent())
    except methods.NotNow:
        return go(to, _("Nothing is waiting to be paid, or a payment is on its way already."))
    return go(to, _outcome(outcome))


@bp.post("/payment/check/<invoice>")
def check_payment(invoice: str) -> Response:
    """Ask the payment partner what became of a charge."""
    try:
        settled = methods.check_now(runtime(), customer().id, invoice)
    except methods.NotFound:
        abort(404)
    text = _("Paid. Thank you.") if settled else _("No answer yet. Please do not pay again.")
    return go(url_for("account.payment"), text)


@bp.post("/payment/debits/<attempt>/stop")
def stop_debit(attempt: str) -> Response:
    """Never send a debit that was announced."""
    try:
        stopped = debits.stop_debit(runtime(), customer().id, attempt)
    except LookupError:
        abort(404)
    text = (
        _("This debit is stopped. What it was for stays open: pay it here when you like.")
        if stopped
        else _("It is under way already and cannot be stopped any more.")
    )
    return go(url_for("account.payment"), text)


def _outcome(outcome: Paid) -> str:
    return {
        Paid.DONE: _("Paid. Thank you."),
        Paid.DECLINED: _("Your bank declined it. Nothing was charged. Try another card."),
        Paid.ACTION: _("Your bank wants a confirmation."),
        Paid.TOO_OFTEN: _("This card was tried too often. Nothing was charged. Use another card."),
        Paid.TRIED_TODAY: _(
            "You tried this card often enough today. Nothing was charged. "
            "Use another card, or try again tomorrow."
        ),
        Paid.WAITING: _(
            "We are asking our payment partner what happened. Please do not pay again. "
            "We e-mail you the answer."
        ),
    }[outcome]


def silent() -> str:
    """Say that the gateway did not answer."""
    return _("Our payment partner is not answering. Nothing was changed. Try again.")


@bp.get("/invoices")
def invoices() -> Response:
    """List invoices, newest first."""
    rt = runtime()
    found = documents.invoices(
        rt.session, customer().id, rt.today(), request.args.get("before") or None
    )
    return page("invoices", invoices=found)


@bp.get("/invoices/<invoice>")
def invoice(invoice: str) -> Response:
    """Show an invoice (inv_…) or a credit note (crn_…), ready to print."""
    return page("invoice", **papers.page_of(runtime(), _document(invoice)))


@bp.get("/invoices/<invoice>/pdf")
def invoice_pdf(invoice: str) -> Response:
    """Download it."""
    return papers.pdf(_document(invoice))


def _document(ref: str) -> Document:
    found = document(runtime().session, ref, customer().id)
    if found is None:
        abort(404)
    return found
