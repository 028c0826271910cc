"""In your box: what comes beside it, from the next payment on or in boxes that are paid for.

What it costs, and which box brings it, is said before.
"""

from __future__ import annotations

import secrets

from babel.dates import format_date
from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront import formats
from storefront.blueprints.account import addition_words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.words import long_day
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.typed import one_line
from storefront.domain.addons import MOST, Cadence, Reach
from storefront.domain.changes import QuoteChanged
from storefront.domain.errors import DomainError
from storefront.htmx import go
from storefront.merchant_texts import said
from storefront.operations.consents import Given
from storefront.queries import account as accounts
from storefront.queries.additions import paid_boxes
from storefront.queries.addons import your_box
from storefront.services import additions
from storefront.services.additions import Added, AdditionQuote, AdditionWish, NothingToAddTo
from storefront.services.addons import (
    AddonQuote,
    AddonWish,
    NotAddable,
    quote_addon,
    save_addon,
)
from storefront.templating import writing_locale

#: Raised whenever the words below change.
CONSENT_VERSION = "add-on-2"


@bp.get("/subscriptions/<subscription>/box")
def addons(subscription: str) -> Response:
    """Show what comes beside the boxes, and what a change that was typed would cost."""
    if not request.args.get("addon"):
        return _show(subscription)
    if "reach" in request.args:
        added = _wish_now()
        if added is None:
            return _show(subscription, problem=addition_words.why_not("quantity"), status=422)
        return _show(subscription, added=added)
    wish = _wish()
    if wish is None:
        return _show(subscription, problem=_why("quantity"), status=422)
    return _show(subscription, wish)


@bp.post("/subscriptions/<subscription>/box/now")
def add_now(subscription: str) -> Response:
    """Charge what was shown, and put it into the boxes once it is paid."""
    wish, once = _wish_now(), request.form.get("once", "")[:80]
    if wish is None:
        return _show(subscription, problem=addition_words.why_not("quantity"), status=422)
    try:
        # What a second click finds has been changed by the first.
        return _clicked_before(subscription, once) or _add(subscription, wish, once)
    except LookupError:
        abort(404)
    except (NothingToAddTo, NotAddable, QuoteChanged) as error:
        runtime().session.rollback()
        before = _clicked_before(subscription, once)
        return before or _show_refused(subscription, wish, error)


def _clicked_before(subscription: str, once: str) -> Response | None:
    """Return what the same form led to when it was sent before; None: it was not."""
    done = additions.sent_before(runtime(), customer().id, subscription, once)
    if done is None:
        return None
    if done.outcome == "waiting":
        return go(url_for("account.payment_back", invoice=done.invoice))
    return _after(subscription, done)


def _add(subscription: str, wish: AdditionWish, once: str) -> Response:
    rt, me = runtime(), customer()
    shown = additions.quote_now(rt, me.id, subscription, wish)
    agreed = _given(_consent(shown.later)) if shown.later else None
    sent = request.form.get("shown", "")
    done = additions.add_to_boxes(rt, me.id, subscription, wish, sent, once, agreed)
    return _after(subscription, done)


def _after(subscription: str, done: Added) -> Response:
    if done.outcome == "action" and done.url:
        return go(done.url)
    return go(url_for("account.addons", subscription=subscription), addition_words.said(done))


def _show_refused(subscription: str, wish: AdditionWish, error: DomainError) -> Response:
    reason = str(error.params.get("reason"))
    if isinstance(error, QuoteChanged):
        problem = _("Something changed meanwhile. Look at the new sum before you save.")
        return _show(subscription, problem=problem, status=422, added=wish)
    said = addition_words.why_not if isinstance(error, NothingToAddTo) else _why
    return _show(subscription, problem=said(reason), status=422)


@bp.post("/subscriptions/<subscription>/box")
def save_addons(subscription: str) -> Response:
    """Do what was shown."""
    wish = _wish()
    if wish is None:
        return _show(subscription, problem=_why("quantity"), status=422)
    rt, me = runtime(), customer()
    try:
        shown = quote_addon(rt, me.id, subscription, wish)
        agreed = _given(_consent(shown))
        done = save_addon(rt, me.id, subscription, wish, request.form.get("shown", ""), agreed)
    except LookupError:
        abort(404)
    except NotAddable as error:
        return _show(subscription, problem=_why(str(error.params.get("reason"))), status=422)
    except QuoteChanged:
        problem = _("Something changed meanwhile. Look at the new sum before you save.")
        return _show(subscription, wish, problem, 422)
    return go(url_for("account.addons", subscription=subscription), _said(done))


def _given(text: str) -> Given:
    agent = one_line(request.user_agent.string)
    return Given(text, CONSENT_VERSION, request.remote_addr or "", agent)


def _wish() -> AddonWish | None:
    """Return what was typed; None when a number or a word is none."""
    typed = request.values
    number, often = _number(), typed.get("cadence", "")
    if number is None or often not in {one.value for one in Cadence}:
        return None
    return AddonWish(typed.get("addon", "")[:40], number, Cadence(often))


def _wish_now() -> AdditionWish | None:
    """Return what was typed for paid boxes; None when a number or a word is none."""
    typed = request.values
    number, reach = _number(), typed.get("reach", "")
    if not number or reach not in {one.value for one in Reach}:
        return None
    return AdditionWish(typed.get("addon", "")[:40], number, Reach(reach))


def _number() -> int | None:
    """Return the pieces that were typed, with the buttons around the number; None: no such."""
    typed = request.values
    number = typed.get("quantity", "")
    for step, name in ((-1, "quantity-less"), (1, "quantity-more")):
        if name in typed and number.isdecimal():
            number = str(max(0, min(MOST, int(number) + step)))
    is_number = number.isdecimal() and number.isascii() and len(number) < 4
    return int(number) if is_number and int(number) <= MOST else None


def _show(
    subscription: str,
    wish: AddonWish | None = None,
    problem: str = "",
    status: int = 200,
    *,
    added: AdditionWish | None = None,
) -> Response:
    rt, me = runtime(), customer()
    rt.session.rollback()
    view = accounts.subscription(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    if view is None:
        abort(404)
    found = your_box(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    paid = paid_boxes(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    rt.session.rollback()
    now: AdditionQuote | None = None
    if added is not None:
        try:
            now = additions.quote_now(rt, me.id, subscription, added)
        except NothingToAddTo as error:
            problem = problem or addition_words.why_not(str(error.params.get("reason")))
        except NotAddable as error:
            problem = problem or _why(str(error.params.get("reason")))
    quote = None
    if wish is not None and not found.refused:
        try:
            quote = quote_addon(rt, me.id, subscription, wish)
        except NotAddable as error:
            problem = problem or _why(str(error.params.get("reason")))
    return page(
        "addons",
        status,
        sub=view,
        box=found,
        refused=_why(found.refused) if found.refused else "",
        paid=paid,
        paid_refused=addition_words.why_not(paid.refused) if paid.refused else "",
        now=now,
        now_facts=addition_words.facts(now) if now else [],
        now_words=addition_words.sentences(now) if now else [],
        now_consent=_consent(now.later) if now and now.later and now.asks_consent else "",
        once=secrets.token_urlsafe(15),
        quote=quote,
        consent=_consent(quote) if quote and quote.asks_consent else "",
        words=_words(quote) if quote else [],
        problem=problem,
        most=MOST,
        every=Cadence.EVERY,
    )


def _words(quote: AddonQuote) -> list[str]:
    """Say what is paid, when, and with which box it comes."""
    values = {"amount": formats.money(quote.amount, writing_locale())}
    day = long_day(quote.charge_on)
    first = _("Your next payment, on %(day)s, is %(amount)s then.", day=day, **values)
    sentences = [first]
    if quote.later != quote.amount:
        later = formats.money(quote.later, writing_locale())
        sentences.append(_("After that it is %(amount)s.", amount=later))
    if quote.ships_on and quote.quantity:
        box = long_day(quote.ships_on)
        if quote.cadence is Cadence.ONCE:
            sentences.append(_("It comes with the box that leaves on %(day)s.", day=box))
        else:
            text = _("It comes with every box, the first one leaves on %(day)s.", day=box)
            sentences.append(text)
    elif quote.ships_on:
        text = _(
            "Boxes up to then keep what is paid; the one of %(day)s comes without it.",
            day=long_day(quote.ships_on),
        )
        sentences.append(text)
    return sentences


def _consent(quote: AddonQuote) -> str:
    """Return what the button agrees to. Stored as shown, so nothing may be vague."""
    locale = writing_locale()
    return _(
        "I agree that my subscription, with %(count)s × %(name)s in "
        "every box, renews %(each)s for %(amount)s in total, from %(day)s on, until I cancel. "
        "I can take it off or cancel online at any time.",
        count=quote.quantity,
        name=said(quote.name),
        each=formats.interval_each(quote.interval),
        amount=formats.money(quote.full, locale),
        day=format_date(quote.charge_on, "long", locale=locale),
    )


def _said(quote: AddonQuote) -> str:
    day = long_day(quote.charge_on)
    if not quote.quantity:
        return _("Taken off from %(day)s on.", day=day)
    return _("Saved. You pay for it with your payment on %(day)s.", day=day)


def _why(reason: str) -> str:
    return {
        "ends": _("This subscription ends, so nothing more can be added to it."),
        "held": _("Your subscription is on hold. Once it goes on you can add something."),
        "unpaid": _("A payment is open. Once it is settled you can add something."),
        "paused": _("You are pausing. Resume your subscription first, then you can add something."),
        "paying": _("Something for your box is being paid. Wait for that, then add more."),
        "gone": _("That is not on sale any more. Choose something else."),
        "quantity": _("Enter a whole number from 0 to %(most)s", most=MOST),
    }[reason]
