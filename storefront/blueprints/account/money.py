"""Cards, what is owed, and invoices."""

from __future__ import annotations

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints import papers
from storefront.blueprints.account import words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.checkout.words import money
from storefront.blueprints.context import customer, runtime
from storefront.domain.charging import AnswerStatus
from storefront.htmx import go
from storefront.queries import account as accounts
from storefront.queries import invoices as documents
from storefront.queries import profile
from storefront.queries.credit import credit_of
from storefront.queries.debits import debits_of
from storefront.queries.documents import Document, document
from storefront.services import debits, methods
from storefront.services.methods import Paid


@bp.get("/payment")
def payment() -> Response:
    """Show the cards and what is owed."""
    rt, me = runtime(), customer()
    return page(
        "payment",
        methods=profile.methods(rt.session, me.id),
        coming=accounts.home(rt.session, me.id, rt.moment(), rt.shop.taxes).subscriptions,
        credit=credit_of(rt.session, me.id),
        origin_word=words.credit_origin,
        owed=documents.all_owed(rt.session, me.id, rt.moment()),
        debits=debits_of(rt.session, me.id),
        why_declined=words.why_declined,
    )


@bp.post("/payment/methods/<method>/use")
def use_method(method: str) -> Response:
    """Let another card pay from now on."""
    try:
        changed = methods.set_default(runtime(), customer().id, method)
    except methods.NotFound:
        abort(404)
    except methods.MethodRefused as error:
        text = _(
            "The bank refuses the card ending %(last4)s. Use another one.",
            last4=error.params["last4"],
        )
        return go(url_for("account.payment"), text)
    text = _told(_("This card pays from now on.")) if changed else _("It pays already.")
    return go(url_for("account.payment"), text)


@bp.post("/payment/card")
def add_card() -> Response:
    """Go to the payment partner's page, where the card is typed."""
    rt = runtime()
    back = f"{rt.settings.base_url}{rt.settings.url_prefix}/account/payment/card"
    try:
        return go(methods.begin_card(rt, customer().id, back, customer().locale))
    except methods.PaymentPartnerSilent:
        return go(url_for("account.payment"), _silent())


@bp.get("/payment/card/<setup>")
def card_back(setup: str) -> Response:
    """Back from the payment partner's page. Nothing is written here: the page's form does it."""
    rt = runtime()
    if not documents.has_setup(rt.session, customer().id, setup):
        abort(404)
    return page(
        "card_back", setup=setup, owed=documents.owed(rt.session, customer().id, rt.moment())
    )


@bp.post("/payment/card/<setup>")
def keep_card(setup: str) -> Response:
    """Ask the payment partner what became of the card, and store it."""
    try:
        added = methods.finish_card(runtime(), customer().id, setup, dict(request.form))
    except methods.NotFound:
        abort(404)
    except methods.PaymentPartnerSilent:
        return go(url_for("account.payment"), _silent())
    if added.status is AnswerStatus.SUCCEEDED:
        text = _told(_("Saved. The card ending %(last4)s pays from now on.", last4=added.last4))
    elif added.status is AnswerStatus.DECLINED:
        text = _(
            "That card was not saved: %(reason)s. Nothing was charged.",
            reason=words.why_declined(added.reason),
        )
    else:
        text = _("No card was saved. Nothing was charged.")
    return go(url_for("account.payment"), text)


def _told(text: str) -> str:
    """Add that what is owed is tried with the new card."""
    rt = runtime()
    owed = documents.owed(rt.session, customer().id, rt.moment())
    if owed is None:
        return text
    return f"{text} " + _(
        "The open %(amount)s is charged on it in the next minutes.", amount=money(owed.amount)
    )


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
        return go(to, _silent())
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


def _silent() -> str:
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
