"""Change plan, quantity or answers: see both sides, then decide; and the way back from the bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront import charges
from storefront.blueprints import answer_desk
from storefront.blueprints.account import addition_words, words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.checkout.forms import ANSWER
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.typed import one_line
from storefront.domain.changes import ChangeQuote, NotChangeable, QuoteChanged, When, Wish
from storefront.htmx import go
from storefront.merchant_texts import said
from storefront.operations.change_facts import MOST
from storefront.operations.consents import Given
from storefront.queries import account as accounts
from storefront.queries import additions as additions_seen
from storefront.queries import change as changes_seen
from storefront.runtime import Runtime
from storefront.services import additions, changes
from storefront.services.changes import Changed
from storefront.templating import FILTERS

_WHEN: tuple[When, ...] = ("now", "restart", "boundary")


@bp.route("/subscriptions/<subscription>/plan", methods=["GET", "POST"])
def plan(subscription: str) -> Response:
    """Show what can be chosen and what it would cost; on the button, do it."""
    if request.method == "GET":
        return _show(subscription, _wished(request.args))
    rt, me, wish = runtime(), customer(), _wished(request.form)
    try:
        quote = changes.quote_change(rt, me.id, subscription, wish)
        shown = request.form.get("quote_hash", "")
        done = changes.change(rt, me.id, subscription, wish, shown, agreed_to(quote))
    except LookupError:
        abort(404)
    except NotChangeable as error:
        done_before = _done_before(subscription, wish, str(error.params.get("reason")))
        if done_before is not None:
            return done_before
        return _show(subscription, Wish(""), _refused(str(error.params.get("reason"))), 409)
    except QuoteChanged:
        text = _("This changed meanwhile. Please look again before you decide.")
        return _show(subscription, wish, text, 409)
    return _after(subscription, done)


@bp.post("/subscriptions/<subscription>/plan/keep")
def keep_plan(subscription: str) -> Response:
    """Withdraw a change that waits for its day."""
    try:
        dropped = changes.withdraw(runtime(), customer().id, subscription)
    except LookupError:
        abort(404)
    text = (
        _("You keep your plan. Nothing changes.") if dropped else _("There was no change to drop.")
    )
    # Refusing a new price may be the first step to another plan.
    page_name = "plan" if request.form.get("then") == "plan" else "subscription"
    return go(url_for(f"account.{page_name}", subscription=subscription), text)


@bp.get("/payment/back/<invoice>")
def payment_back(invoice: str) -> Response:
    """Back from the bank's page; the one form here asks what became of it."""
    if changes_seen.attempt_of(runtime().session, customer().id, invoice) is None:
        abort(404)
    return page("payment_back", invoice=invoice)


@bp.post("/payment/back/<invoice>")
def payment_ask(invoice: str) -> Response:
    """Ask the payment partner, and go where the payment belongs."""
    rt, me = runtime(), customer()
    found = changes_seen.attempt_of(rt.session, me.id, invoice)
    if found is None:
        abort(404)
    attempt, subscription = found
    added_to = additions_seen.subscription_added_to(rt.session, me.id, invoice)
    rt.session.rollback()
    charges.look_up(rt, attempt)
    if added_to:
        text = addition_words.said(additions.standing(rt, invoice))
        return go(url_for("account.addons", subscription=added_to), text)
    done = changes.standing(rt, attempt)
    if subscription:
        return _after(subscription, done)
    text = _("Paid. Thank you.") if done.outcome == "applied" else said_of(done)
    return go(url_for("account.payment"), text)


def _done_before(subscription: str, wish: Wish, reason: str) -> Response | None:
    """Return the outcome where the same button was pressed a moment ago; None for another."""
    to = url_for("account.subscription", subscription=subscription)
    if reason == "same":
        return go(to, _("Already done a moment ago: you have this plan."))
    rt = runtime()
    rt.session.rollback()
    waits = changes_seen.waiting(rt.session, customer().id, subscription)
    rt.session.rollback()
    if reason != "waiting" or waits is None or waits.price != wish.price:
        return None
    if waits.invoice:
        return go(url_for("account.payment_back", invoice=waits.invoice))
    return go(to, _("Already noted a moment ago. It changes with your next payment."))


def _wished(given: Mapping[str, str]) -> Wish:
    """Return what was chosen: price, quantity, when, and an answer to each question asked."""
    answers = {
        name.removeprefix(ANSWER): value[:80]
        for name, value in given.items()
        if name.startswith(ANSWER) and value
    }
    typed = given.get("quantity", "").strip()[:4]
    quantity = int(typed) if typed.isascii() and typed.isdecimal() else None
    if quantity is not None:
        # The buttons around the number, where no script counts.
        quantity += ("quantity-more" in given) - ("quantity-less" in given)
        quantity = min(max(quantity, 1), MOST)
    when = next((one for one in _WHEN if one == given.get("when")), _WHEN[0])
    return Wish(given.get("price", ""), quantity, answers or None, when)


def agreed_to(quote: ChangeQuote) -> Given:
    """Return the words above the button. Booked only if the quote is the one shown with them."""
    return Given(
        words.change_consent(quote),
        words.CHANGE_CONSENT_VERSION,
        request.remote_addr or "",
        one_line(request.user_agent.string),
    )


def _show(subscription: str, wish: Wish, problem: str = "", status: int = 200) -> Response:
    rt, me, price = runtime(), customer(), wish.price
    rt.session.rollback()
    view = accounts.subscription(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    if view is None:
        abort(404)
    targets = changes_seen.targets(rt.session, me.id, subscription, rt.today())
    full = changes_seen.sold_out_of(rt.session, me.id, targets, rt.moment())
    waiting = changes_seen.waiting(rt.session, me.id, subscription)
    rt.session.rollback()
    asked = changes_seen.asked(rt.session, me.id, subscription, price)
    home = rt.shop.taxes.seller_country
    resting = changes_seen.resting_codes(rt.session, me.id, subscription, price, home)
    rt.session.rollback()
    quote, is_free = None, False
    if price and not waiting:
        try:
            quote = changes.quote_change(rt, me.id, subscription, wish)
        except LookupError:
            abort(404)
        except NotChangeable as error:
            reason = str(error.params.get("reason"))
            # What is asked about the box stands below the choice, and so does what there is.
            is_free = reason == "free"
            shown = reason in ("same", "free") or (asked.questions and reason == "answers")
            problem = problem or ("" if shown else _refused(reason))
    answers = {**asked.answers, **(wish.options or {})}
    return page(
        "plan",
        status,
        sub=view,
        targets=targets,
        full=full,
        waiting=waiting,
        quote=quote,
        rows=_rows(view, asked, answers, quote) if quote else (),
        asked=asked,
        answers=answers,
        quantity=wish.quantity or asked.quantity,
        most=MOST,
        when=wish.when,
        may_restart=quote is not None and _may_restart(rt, me.id, subscription, wish, quote),
        is_free=is_free,
        free_url=_preferences(subscription, wish),
        resting=resting,
        losses=losses_of(subscription, wish, quote) if quote else (),
        consent=words.change_consent(quote) if quote and quote.asks_consent else "",
        chosen=price,
        problem=problem,
    )


def _may_restart(
    rt: Runtime, customer_id: int, subscription: str, wish: Wish, quote: ChangeQuote
) -> bool:
    """Return whether a new period from today is another choice than the rest of this one.

    Where everybody pays on the same day it may end on the very day that this one does.
    """
    if wish.when == "restart":
        return True
    try:
        anew = changes.quote_change(rt, customer_id, subscription, replace(wish, when="restart"))
    except NotChangeable:
        return False
    return anew.at_once and anew.next_charge_on != quote.next_charge_on


def losses_of(subscription: str, wish: Wish, quote: ChangeQuote) -> list[answer_desk.Lost]:
    """Return what was chosen for coming boxes and falls out, box by box."""
    rt, me = runtime(), customer()
    found = changes_seen.lost_choices(
        rt.session,
        me.id,
        subscription,
        wish.price,
        wish.options,
        rt.today(),
        at_once=quote.at_once,
    )
    rt.session.rollback()
    return [answer_desk.lost_of(one) for one in found]


def _preferences(subscription: str, wish: Wish) -> str:
    """Return the page that saves answers which cost the same, with what was chosen here."""
    chosen = {f"{ANSWER}{code}": said for code, said in (wish.options or {}).items()}
    url = url_for("account.answers", subscription=subscription)
    return f"{url}?{urlencode(chosen)}" if chosen else url


def _rows(
    view: accounts.SubscriptionView,
    asked: changes_seen.Asked,
    answers: Mapping[str, str],
    quote: ChangeQuote,
) -> list[tuple[str, str, str]]:
    """Return both sides of a change, line by line: what it is called, before, after."""
    money, per = FILTERS["money"], FILTERS["interval_per"]
    rows = [(_("Plan"), said(view.plan), said(quote.plan))]
    if (view.quantity, quote.quantity) != (1, 1):
        rows.append((_("Quantity"), str(view.quantity), str(quote.quantity)))
    for question in asked.questions:
        names = {choice.code: said(choice.name) for choice in question.choices}
        before, after = (
            names.get(by.get(question.code, ""), "") for by in (asked.answers, answers)
        )
        if before != after:
            rows.append((said(question.name), before, after))
    # As the new one is priced: with delivery and running codes.
    paid = view.next_amount or view.price
    rows.append(
        (
            _("Price"),
            f"{money(paid)} {per(view.interval)}",
            f"{money(quote.amount)} {per(quote.interval)}",
        )
    )
    rows += words.endings(quote)
    before = words.long_day(view.next_charge_on) if view.next_charge_on else ""
    rows.append((_("Next charge"), before, words.long_day(quote.next_charge_on)))
    return rows


def _after(subscription: str, done: Changed) -> Response:
    if done.outcome == "action" and done.url:
        return go(done.url)
    to = url_for("account.subscription", subscription=subscription)
    if done.outcome == "declined":
        to = url_for("account.plan", subscription=subscription)
    return go(to, said_of(done), is_problem=done.outcome == "declined")


def said_of(done: Changed) -> str:
    """Return what became of a change, in words."""
    if done.outcome == "applied" and done.paid is not None:
        amount = FILTERS["money"](done.paid)
        return _("Changed, and %(amount)s paid. The details are in a mail to you.", amount=amount)
    if done.outcome == "applied":
        return _("Changed. We have sent you a mail with the details.")
    if done.outcome == "scheduled":
        return _("Noted. It changes with your next payment; until then you can take it back.")
    if done.outcome == "declined":
        reason = words.why_declined(done.reason)
        return _(
            "%(reason)s You are still on your old plan and nothing was charged.", reason=reason
        )
    if done.outcome == "action":
        return _("Your bank wants a confirmation.")
    if done.outcome == "surplus":
        return _(
            "Your subscription changed or ended before this payment arrived. Your plan is as it "
            "was, and the money goes back to where it came from."
        )
    return _(
        "We are asking our payment partner what happened. Please do not pay again. "
        "We e-mail you the answer."
    )


def _refused(reason: str) -> str:
    return {
        "held": _("The shop takes no payments at the moment. Nothing was changed. Try later."),
        "same": _("You have this plan already."),
        "free": _("That costs the same. Save it under “Preferences”; nothing was changed."),
        "cancelled": _("This subscription ends. Keep it first, then you can change it."),
        "unpaid": _("A payment is open. Once it is settled you can change the plan."),
        "waiting": _("A change is waiting already. Take it back first."),
        "paying": _("Something for your box is being paid. Wait for that, then change the plan."),
        "over": _("That plan is sold for a short time only and would be over by then."),
        "answers": _("This is not offered for the box any more. Please choose again."),
        "quantity": _("So many are not possible. Please choose a smaller number."),
        "no_method": _("There is no card that could pay. Add one first."),
        "sold_out": _("That is sold out for now. Nothing was changed."),
    }.get(reason, _("This subscription cannot be changed now."))
