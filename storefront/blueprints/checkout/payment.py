"""Step 3: review, agree, pay at the gateway's page, come back, and the certainty after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Response, abort, render_template, request, session, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from storefront.blueprints.card_breaks import asker_of, break_status, break_words, come_back
from storefront.blueprints.checkout import allergies, words
from storefront.blueprints.checkout.again import BEGUN
from storefront.blueprints.checkout.forms import PayForm
from storefront.blueprints.checkout.loading import (
    check_key,
    leave_for,
    load,
    look,
    place_of,
    shown,
)
from storefront.blueprints.checkout.places import full_of, sold_out
from storefront.blueprints.checkout.steps import adds_box, bp
from storefront.blueprints.context import runtime
from storefront.blueprints.gateway_words import ways_to_pay
from storefront.blueprints.health_words import agreed_words
from storefront.blueprints.offer_words import VERSION, wanted_words
from storefront.blueprints.typed import one_line
from storefront.card_breaks import break_of
from storefront.database import reading
from storefront.domain.credit import is_too_small
from storefront.domain.gifts import destination_of
from storefront.domain.money import Money
from storefront.htmx import go, is_htmx, show, wants_partial
from storefront.logins import current_customer, remember_customer
from storefront.operations.checkout import Order
from storefront.queries.checkout import payment_sent_at
from storefront.queries.profile import wants_marketing
from storefront.queries.withdrawal import exclusions
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy
from storefront.services.checkout import Agreement, Step, place_order
from storefront.services.finishing import (
    Finished,
    Outcome,
    finish_checkout,
    leave_bank,
    standing,
)
from storefront.services.sessions import start_session
from storefront.templating import locale_code, writing_locale
from storefront.withdrawal_words import right_words

register_policy(
    {
        f"checkout.{name}": PUBLIC
        for name in (
            "pay",
            "order",
            "finish",
            "do_finish",
            "waiting",
            "other_card",
            "confirmation",
        )
    }
)

_FOLDER = "storefront/checkout"
#: What was chosen on this step by who left it for one more box. The consent is not: it is to
#: another sum then.
_CHOSEN = "chosen_to_pay"
#: The waiting page asks often at first, then seldom.
_OFTEN, _SELDOM, _OFTEN_FOR = 3, 15, timedelta(minutes=2)


@bp.get("/checkout/<key>/pay")
def pay(key: str) -> Response:
    """Step 3: everything once more, the terms, the consent."""
    rt = runtime()
    order = load(rt, key, "pay")
    problem = _declined(look(rt, lambda: standing(rt, key)), order) or _changed(order)
    asked = {"unreachable": _unreachable, "sold_out": sold_out}.get(request.args.get("problem", ""))
    gone = []
    if asked is not None and problem is None:
        problem = asked()
        gone = full_of(order) if asked is sold_out else []
    return pay_page(order, problem=_with_break(order, problem), gone=gone)


@bp.post("/checkout/<key>/pay")
def order(key: str) -> Response:
    """Agree and order; the card is chosen on the gateway's own page."""
    rt = runtime()
    found = load(rt, key, "pay")
    form = pay_form(found, request.form)
    if adds_box():
        session[_CHOSEN] = {
            "key": key,
            "gateway": form.gateway.data or "",
            "offers": bool(form.offers.data),
        }
        return go(url_for("checkout.choose_more", key=key))
    if found.quote is None:
        return pay_page(found, status=422)
    if not form.is_whole(words.consent_missing(found.quote), needs_method=found.needs_method):
        return pay_page(found, form, 422)
    placed = place_order(
        rt,
        key,
        Agreement(
            request.form.get("quote", "")[:64],
            words.consent_text(found),
            words.consent_version(found),
            request.remote_addr or "",
            one_line(request.user_agent.string),
            _offers_wanted(form),
            words.order_button(words.law_of(found)),
            _terms_words(found, form),
            _health_agreed(found),
        ),
        # An order that asks for no method is written with any.
        gateway=form.gateway.data or next(iter(rt.gateways), ""),
        return_url=url_for("checkout.finish", key=key, _external=True),
        cancel_url=url_for("checkout.pay", key=key, _external=True),
        asker=asker_of(key),
    )
    if placed.step is Step.PAY:
        return go(placed.url)
    if placed.step is Step.FREE:
        return _lead_on(rt, key, finish_checkout(rt, key))
    if placed.step in (Step.CLOSED, Step.INCOMPLETE):
        return go(url_for("checkout.resume", key=key))
    if placed.until is not None:
        return _on_break(load(rt, key, "pay"), placed.until, form)
    return _refused(load(rt, key, "pay"), form, placed.step, _seen_total(found))


def _terms_words(order: Order, form: PayForm) -> str:
    """Return what the page said from the terms' heading to its button, as plain words.

    Read from the page's own part, so that a shop with a template of its own keeps what it says.
    """
    values = {**shown(order, "pay"), **pay_values(order, form)}
    markup = render_template(f"{_FOLDER}/_terms.html", **values)
    return Markup(markup.replace("<", " <")).striptags()  # noqa: S704 - only to take its words


def _health_agreed(order: Order) -> tuple[str, str] | None:
    """Return the words ticked on the step before, where anything was named there."""
    if not order.checkout.avoids:
        return None
    return agreed_words(of_other=order.gift is not None)


def _offers_wanted(form: PayForm) -> tuple[str, str, int | None] | None:
    """Return the words about mails about offers, if they were ticked, and who is signed in."""
    if not form.offers.data:
        return None
    me = current_customer()
    return wanted_words(), f"{VERSION} {locale_code()}", me.id if me else None


def _refused(order: Order, form: PayForm, step: Step, before: Money) -> Response:
    """Say why nothing was ordered; what was chosen stays, but for the consent to another total."""
    if step is Step.CHANGED:
        anew = pay_form(order)
        anew.offers.data = form.offers.data
        return pay_page(order, anew, 422, problem=_new_total(order, before))
    if step is Step.SOLD_OUT:
        return pay_page(order, form, 422, problem=sold_out(), gone=full_of(order))
    return pay_page(order, form, 422 if is_htmx() else 503, problem=_unreachable())


def _on_break(order: Order, until: datetime, form: PayForm | None = None) -> Response:
    """Say that no card is tried for now; what was typed and chosen stays."""
    told = break_words(until, _ways(order))
    return come_back(pay_page(order, form, break_status(), problem=told), until)


def _with_break(order: Order, problem: str | None) -> str | None:
    """Add to why a card was declined that no other one is tried for now, if so."""
    is_asked = request.args.get("problem") == "break"
    if problem is None and not is_asked:
        return None
    until = break_of(runtime(), asker_of(order.checkout.public_id))
    if until is None:
        return problem
    return " ".join([*([problem] if problem else []), break_words(until, _ways(order))])


@bp.get("/checkout/<key>/finish")
def finish(key: str) -> Response:
    """Back from the gateway. Nothing is written here: the page's form does the rest."""
    rt = runtime()
    order = load(rt, key)
    if order.checkout.state not in ("open", "paying") or not order.checkout.quote_hash:
        leave_for(order, place_of(order))
    return show(
        f"{_FOLDER}/finish.html", f"{_FOLDER}/finish.html", **shown(order, "pay"), **_paid(order)
    )


@bp.post("/checkout/<key>/finish")
def do_finish(key: str) -> Response:
    """Store the card, charge once, and lead to how it went."""
    rt = runtime()
    check_key(key)
    try:
        finished = finish_checkout(rt, key)
    except LookupError:
        abort(404)
    return _lead_on(rt, key, finished)


@bp.post("/checkout/<key>/other-card")
def other_card(key: str) -> Response:
    """Leave the bank's question unanswered and choose another card."""
    rt = runtime()
    check_key(key)
    try:
        finished = leave_bank(rt, key)
    except LookupError:
        abort(404)
    if finished.until is not None:
        return come_back(_waiting_page(key, finished.until), finished.until)
    return _lead_on(rt, key, finished)


@bp.get("/checkout/<key>/waiting")
def waiting(key: str) -> Response:
    """Where a payment stands whose answer is not known, or that the bank asks about."""
    return _waiting_page(key)


def _waiting_page(key: str, until: datetime | None = None) -> Response:
    rt = runtime()
    order = load(rt, key)
    if order.checkout.state != "paying":
        return go(url_for("checkout.resume", key=key))
    found = look(rt, lambda: standing(rt, key))
    sent_at = look(rt, lambda: payment_sent_at(rt.session, key))
    often = sent_at is None or rt.now() - sent_at < _OFTEN_FOR
    return show(
        f"{_FOLDER}/waiting.html",
        f"{_FOLDER}/_waiting.html",
        200 if until is None else break_status(),
        problem=None if until is None else break_words(until, []),
        bank_url=found.url if found.outcome is Outcome.ACTION else "",
        is_pending=found.reason == "pending",
        seconds=_OFTEN if often else _SELDOM,
        **shown(order, "pay"),
        **_paid(order),
    )


def pay_values(order: Order, form: PayForm | None = None) -> dict[str, Any]:
    """Return what the form of step 3 needs."""
    address = destination_of(order.checkout.address, order.checkout.gift)
    countries = writing_locale().territories
    form = form or pay_form(order)
    return {
        "form": form,
        "way": dict(_ways(order)).get(form.gateway.data or "", ""),
        "consent": words.consent_text(order) if order.quote else "",
        "offers": _offers_words(),
        "button": words.order_button(words.law_of(order)),
        "withdrawal": _withdrawal(order),
        "country": countries.get(address.get("country", ""), ""),
        "is_carried": order.quote is not None and _is_carried(form.gateway.data, order.to_pay),
        **allergies.asked(runtime(), order),
        "misses_number": not any(char.isdigit() for char in address.get("street", "1")),
    }


def _withdrawal(order: Order) -> str:
    """Return how long the shopper may withdraw; empty where no law that was read says so."""
    law, rt = words.law_of(order), runtime()
    if not law.withdrawal_days:
        return ""
    with reading():
        reasons = exclusions(rt.session)
        rt.session.rollback()
    ships = any(item.plan.shipping for item in order.items)
    again = any(
        item.plan.second_withdrawal and item.quote and item.quote.last_free_day
        for item in order.items
    )
    return right_words(law.withdrawal_days, reasons, ships=ships, again=again)


def _offers_words() -> str:
    """Return the words to tick for mails about offers; none for who gets them already."""
    me, rt = current_customer(), runtime()
    if me is None:
        return wanted_words()
    with reading():
        wants = wants_marketing(rt.session, me.id)
        rt.session.rollback()
    return "" if wants else wanted_words()


def _ways(order: Order) -> list[tuple[str, str]]:
    """Return the gateways this order may be paid with, and what shoppers call them."""
    rt = runtime()
    if order.quote is None or not order.needs_method:
        return []
    return ways_to_pay(rt.gateways, rt.sign_up_gateways(order.quote.due_today.currency))


def pay_form(order: Order, given: Any = None) -> PayForm:
    """Return the form of step 3 with the ways to pay this order."""
    form = PayForm(given)
    kept = session.get(_CHOSEN, {}) if given is None else {}
    if kept.get("key") != order.checkout.public_id:
        kept = {}
    form.offer(_ways(order), kept.get("gateway") or order.checkout.gateway)
    form.offers.data = form.offers.data or kept.get("offers", False)
    return form


def _is_carried(gateway: str, to_pay: Money) -> bool:
    """Return whether the gateway that will be asked would not charge so little."""
    return is_too_small(to_pay.minor, runtime().minimums, gateway, to_pay.currency)


def pay_page(
    order: Order,
    form: PayForm | None = None,
    status: int = 200,
    *,
    problem: str | None = None,
    gone: Sequence[tuple[str, str]] = (),
) -> Response:
    """Answer with step 3, and what is to be looked at again."""
    agreed = request.form.get("quote", "")
    is_other = bool(agreed) and (order.quote is None or agreed != order.quote.quote_hash)
    response = show(
        f"{_FOLDER}/pay.html",
        f"{_FOLDER}/_pay_again.html",
        status,
        problem=problem,
        gone=gone,
        is_other=is_other,
        page_has_errors=status != 200,
        **shown(order, "pay"),
        **pay_values(order, form),
    )
    if is_other and wants_partial():
        # A new form, not the old one with other words: what was ticked was for other terms.
        response.headers["HX-Reswap"] = "outerHTML"
    return response


def _lead_on(rt: Runtime, key: str, finished: Finished) -> Response:
    """Lead to the page of an outcome; a customer this order made is signed in."""
    outcome = finished.outcome
    if finished.until is not None:
        if is_htmx():
            return go(url_for("checkout.pay", key=key, problem="break"))
        return _on_break(load(rt, key, "pay"), finished.until)
    if outcome is Outcome.DONE:
        _sign_in(rt, key, finished)
        return go(url_for("checkout.confirmation", key=key))
    if outcome in (Outcome.WAITING, Outcome.ACTION):
        return go(url_for("checkout.waiting", key=key))
    if outcome is Outcome.UNREACHABLE:
        return go(url_for("checkout.pay", key=key, problem="unreachable"))
    if outcome is Outcome.SOLD_OUT:
        return go(url_for("checkout.pay", key=key, problem="sold_out"))
    if outcome is Outcome.EXPIRED:
        return go(url_for("checkout.resume", key=key))
    return go(url_for("checkout.pay", key=key))


def _sign_in(rt: Runtime, key: str, finished: Finished) -> None:
    """Sign this browser in if it began the order and the order made the account.

    An account that was there before is never opened by an e-mail that anybody can type.
    """
    customer_id = finished.new_customer_id
    if customer_id is None or key not in session.get(BEGUN, []) or current_customer():
        return
    agent = one_line(request.user_agent.string)
    secret = start_session(rt, customer_id, "checkout", request.remote_addr or "", agent)
    session[BEGUN] = [each for each in session[BEGUN] if each != key]
    remember_customer(secret)


def _declined(found: Finished, order: Order) -> str | None:
    if found.outcome is not Outcome.DECLINED:
        return None
    return words.decline_words(found.reason, _shown_total(order))


def _shown_total(order: Order) -> Money:
    """Return the total this order was last agreed at, else what it costs now."""
    kept = order.checkout.quote
    if "due_minor" in kept:
        return Money(kept["due_minor"], kept["currency"])
    assert order.quote is not None
    return order.to_pay


def _seen_total(order: Order) -> Money:
    """Return the total that stood above the button which was pressed."""
    seen = request.form.get("total", "")[:12]
    if order.quote is not None and seen.isascii() and seen.isdecimal():
        return Money(int(seen), order.to_pay.currency)
    return _shown_total(order)


def _changed(order: Order) -> str | None:
    """Return what changed since the shopper agreed, if the order is not what it was then."""
    agreed = order.checkout.quote_hash
    if not agreed or order.quote is None or agreed == order.quote.quote_hash:
        return None
    return _new_total(order, _shown_total(order))


def _new_total(order: Order, before: Money) -> str:
    now = order.to_pay if order.quote else before
    why = f" {words.refusal_words(order.refused, '', order.code)}." if order.refused else ""
    if now == before:
        other = _("Your order changed meanwhile: its dates, what is in it or where it goes.")
        return other + why + " " + _("Please check before you pay.")
    changed = _(
        "The total changed from %(old)s to %(new)s.", old=words.money(before), new=words.money(now)
    )
    return changed + why + " " + _("Please check before you pay.")


def _unreachable() -> str:
    return _(
        "Our payment partner is not answering. Nothing was charged and your box is kept. "
        "Try again in a moment."
    )


def _paid(order: Order) -> dict[str, Any]:
    return {"amount": _shown_total(order)}
