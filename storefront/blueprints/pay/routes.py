"""The pages behind the links of mails. Looking changes nothing; each change is a form's POST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront import charges
from storefront.blueprints.account.words import why_declined
from storefront.blueprints.card_breaks import break_words, come_back
from storefront.blueprints.context import runtime
from storefront.blueprints.gateway_words import method_name, ways_to_pay
from storefront.card_breaks import CardBreak
from storefront.domain.charging import AnswerStatus
from storefront.htmx import go, is_htmx, show
from storefront.logins import current_customer
from storefront.queries import pay_links as query
from storefront.queries.pay_links import CameBack, ToPay
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services import pay_links
from storefront.services.methods import (
    ChargingHeld,
    NoMethod,
    NotFound,
    NotNow,
    Paid,
    PaymentPartnerSilent,
)
from storefront.templating import locale_code

bp = Blueprint("pay", __name__, url_prefix="/pay")
register_policy(
    {
        f"pay.{name}": PUBLIC
        for name in (
            "invoice", "charge", "new_card", "confirm", "check", "again",
            "card_back", "keep_card", "bank_back", "bank_ask",
        )
    }
)  # fmt: skip

_HOUR = 3600


@bp.get("/<token>")
def invoice(token: str) -> Response:
    """Show what the link is for: amount, what for, with which card."""
    return _invoice_page(token)


def _invoice_page(token: str, until: datetime | None = None, chosen: str = "") -> Response:
    """Show the invoice of a link; with ``until``, that no new card is tried before."""
    found, is_expired = _load(token)
    rt = runtime()
    ways = ways_to_pay(rt.gateways, rt.sign_up_gateways(found.amount.currency))
    return _page(
        "invoice",
        200 if until is None else 429,
        token=token,
        one=found,
        is_expired=is_expired,
        ways=ways,
        chosen=chosen,
        problem=None if until is None else break_words(until, ways),
        method_name=method_name,
    )


def _on_break(token: str, stopped: CardBreak, chosen: str = "") -> Response:
    until = stopped.params["until"]
    if is_htmx():
        return go(_to(token), break_words(until, []), is_problem=True)
    return come_back(_invoice_page(token, until, chosen), until)


@bp.post("/<token>")
def charge(token: str) -> Response:
    """Charge it with the card that is known, or the one that was chosen."""
    rt, found = _act(token)
    wish = request.form.get("method", "")
    return _charged(token, lambda: pay_links.pay(rt, found.invoice, wish))


@bp.post("/<token>/card")
def new_card(token: str) -> Response:
    """Go to the page of the payment partner that was chosen, where another card is typed."""
    rt, found = _act(token)
    if throttle(rt, "pay_card", found.invoice, 10, _HOUR):
        return go(_to(token), _too_often(), is_problem=True)
    root = f"{rt.settings.base_url}{rt.settings.url_prefix}/pay"
    chosen = request.form.get("gateway", "")
    try:
        return go(
            pay_links.begin_card(
                rt, found.invoice, root, locale_code(), chosen, request.remote_addr or ""
            )
        )
    except CardBreak as stopped:
        return _on_break(token, stopped, chosen)
    except PaymentPartnerSilent:
        return go(_to(token), _silent(), is_problem=True)
    except (NotFound, NotNow):
        return go(_to(token))


@bp.post("/<token>/confirm")
def confirm(token: str) -> Response:
    """Go on to the bank that wants to know that it is the customer."""
    rt, found = _act(token)
    return _charged(token, lambda: pay_links.confirm(rt, found.invoice)[0])


@bp.post("/<token>/check")
def check(token: str) -> Response:
    """Ask the payment partner what became of it."""
    rt, found = _act(token)
    settled = pay_links.check(rt, found.invoice)
    text = None if settled else _("No answer yet. Please do not pay again.")
    return go(_to(token), text, is_problem=True)


@bp.post("/<token>/again")
def again(token: str) -> Response:
    """Mail a new link to the payer: this one is too old."""
    rt = runtime()
    link = pay_links.opened(rt, token) or abort(404)
    _slow_down()
    if throttle(rt, "pay_link", link.invoice, 3, _HOUR):
        return go(_to(token), _too_often(), is_problem=True)
    pay_links.send_again(rt, link.invoice)
    return go(_to(token), _("A new link is on its way to your e-mail address."))


@bp.get("/card/<token>")
def card_back(token: str) -> Response:
    """Back from the payment partner's page. The page's one form does what is to be done."""
    rt = runtime()
    setup = pay_links.setup_of(rt, token) or abort(404)
    back = _recent(query.back_from_gateway(rt.session, setup))
    found = query.to_pay(rt.session, back.invoice, rt.moment()) or abort(404)
    return _page("card_back", token=token, one=found)


@bp.post("/card/<token>")
def keep_card(token: str) -> Response:
    """Store the card, let it pay from now on, and charge the invoice with it."""
    rt = runtime()
    setup = pay_links.setup_of(rt, token) or abort(404)
    back = _recent(query.back_from_gateway(rt.session, setup))
    rt.session.rollback()
    _slow_down()
    link = pay_links.link(rt, back.invoice)
    try:
        done = pay_links.finish_card(rt, setup, request.form.to_dict())
    except NotFound:
        abort(404)
    except CardBreak as stopped:
        return _on_break(link, stopped)
    except PaymentPartnerSilent:
        return go(_to(link), _silent(), is_problem=True)
    except (ChargingHeld, NoMethod, NotNow) as error:
        return go(_to(link), _refused(error), is_problem=True)
    if done.status is AnswerStatus.SUCCEEDED:
        return _after(link, back.invoice, done.paid)
    if done.status is AnswerStatus.DECLINED:
        text = _(
            "That card was not saved: %(reason)s. Nothing was charged.",
            reason=why_declined(done.reason),
        )
        return go(_to(link), text, is_problem=True)
    return go(_to(link), _("No card was saved. Nothing was charged."), is_problem=True)


@bp.get("/back/<token>")
def bank_back(token: str) -> Response:
    """Back from the bank's page; the one form here asks what became of it."""
    back = _from_bank(token)
    me = current_customer()
    if me is not None and me.id == back.payer_id:
        return go(url_for("account.payment_back", invoice=back.invoice))
    return _page("bank_back", token=token)


@bp.post("/back/<token>")
def bank_ask(token: str) -> Response:
    """Ask the payment partner, and show the invoice again."""
    rt, back = runtime(), _from_bank(token)
    rt.session.rollback()
    _slow_down()
    if back.attempt_id is not None:
        charges.look_up(rt, back.attempt_id)
    return go(_to(pay_links.link(rt, back.invoice)))


def _load(token: str) -> tuple[ToPay, bool]:
    rt = runtime()
    link = pay_links.opened(rt, token) or abort(404)
    found = query.to_pay(rt.session, link.invoice, rt.moment()) or abort(404)
    return found, link.is_expired


def _act(token: str) -> tuple[Any, ToPay]:
    """Let a POST of a link that still works go on."""
    rt = runtime()
    found, is_expired = _load(token)
    rt.session.rollback()
    if is_expired:
        abort(go(_to(token)))
    _slow_down()
    return rt, found


def _slow_down() -> None:
    """Nobody clicks so often; a program trying out cards does."""
    if throttle(runtime(), "pay_ip", request.remote_addr or "", 60, 600):
        abort(429)


def _charged(token: str, act: Callable[[], Paid]) -> Response:
    found, _is_expired = _load(token)
    runtime().session.rollback()
    try:
        outcome = act()
    except NotFound:
        return go(_to(token))
    except PaymentPartnerSilent:
        return go(_to(token), _silent(), is_problem=True)
    except (ChargingHeld, NoMethod, NotNow) as error:
        return go(_to(token), _refused(error), is_problem=True)
    return _after(token, found.invoice, outcome)


def _after(token: str, invoice: str, outcome: Paid | None) -> Response:
    """Show what became of it, or go on to the bank that wants to be asked."""
    page = pay_links.action_page(runtime(), invoice) if outcome is Paid.ACTION else ""
    if page:
        return go(page)
    text = _outcome(outcome) if outcome else None
    return go(_to(token), text, is_problem=outcome is not Paid.DONE)


def _from_bank(token: str) -> CameBack:
    rt = runtime()
    attempt = pay_links.attempt_of(rt, token) or abort(404)
    return _recent(query.back_from_bank(rt.session, attempt))


def _recent(found: CameBack | None) -> CameBack:
    """Somebody comes back within the day; later the address is worth nothing any more."""
    if found is None or runtime().now() >= found.at + pay_links.AWAY:
        abort(404)
    return found


def _to(token: str) -> str:
    return url_for("pay.invoice", token=token)


def _page(name: str, status: int = 200, **context: Any) -> Response:
    folder = "storefront/pay"
    context["why_declined"] = why_declined
    return show(f"{folder}/{name}.html", f"{folder}/_{name}.html", status, **context)


def _outcome(outcome: Paid) -> str | None:
    """Return what the page itself does not say; it says what was declined, when and why."""
    return {
        Paid.DONE: _("Paid. Thank you."),
        Paid.DECLINED: None,
        Paid.ACTION: None,
        Paid.WAITING: None,
        Paid.TOO_OFTEN: _("This card was tried too often. Nothing was charged. Use another card."),
        Paid.TRIED_TODAY: _(
            "You tried this card often enough today. Nothing was charged. "
            "Use another card, or try again tomorrow."
        ),
    }[outcome]


def _refused(error: ChargingHeld | NoMethod | NotNow) -> str:
    if isinstance(error, ChargingHeld):
        return _("The shop takes no payments at the moment. Nothing was charged. Try later.")
    if isinstance(error, NoMethod):
        return _("There is no card that could pay. Use another card.")
    return _("Nothing is waiting to be paid, or a payment is on its way already.")


def _silent() -> str:
    return _("Our payment partner is not answering. Nothing was changed. Try again.")


def _too_often() -> str:
    return _("That was too often. Nothing was changed. Try again in an hour.")
