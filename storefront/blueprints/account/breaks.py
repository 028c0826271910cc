"""Pausing, coming back, another date, and ordering again after the end."""

from __future__ import annotations

from datetime import date

from flask import Response, abort, request, session, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.words import long_day
from storefront.blueprints.checkout.again import BEGUN
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.sources import source_of_visit
from storefront.domain.dates import DateNotMovable
from storefront.domain.pauses import NotPausable, NotResumable
from storefront.formats import money
from storefront.htmx import go
from storefront.operations.beginning import Start
from storefront.queries import account as accounts
from storefront.queries.account import SubscriptionView
from storefront.queries.again import again as find_again
from storefront.queries.next_payment import next_price
from storefront.services import dates, pauses
from storefront.services.checkout import start_checkout
from storefront.services.pauses import PauseQuote
from storefront.templating import locale_code, writing_locale

#: What a form sends for a pause without an end.
OPEN = "open"


@bp.route("/subscriptions/<subscription>/pause", methods=["GET", "POST"])
def pause(subscription: str) -> Response:
    """Choose how long, see what it means, and pause."""
    if request.method == "GET":
        return _pause_page(subscription, until=request.args.get("until", ""))
    until = request.form.get("until", "")
    try:
        day = None if until == OPEN else date.fromisoformat(until or request.form.get("day", ""))
    except ValueError:
        return _pause_page(subscription, _("Choose how long you want to pause."), 422)
    hold = request.form.get("hold") == "yes"
    try:
        quote = pauses.pause(runtime(), customer().id, subscription, day, hold_boxes=hold)
    except pauses.NotFound:
        abort(404)
    except NotPausable as error:
        return _pause_page(subscription, why_not_paused(error), 422, until)
    return go(_back(subscription), paused_words(quote))


@bp.post("/subscriptions/<subscription>/pause/drop")
def drop_pause(subscription: str) -> Response:
    """Take back a pause that has not begun."""
    try:
        dropped = pauses.drop_pause(runtime(), customer().id, subscription)
    except pauses.NotFound:
        abort(404)
    text = _("No pause. Your boxes come as before.")
    return go(_back(subscription), text if dropped else _("There was no pause to take back."))


@bp.route("/subscriptions/<subscription>/resume", methods=["GET", "POST"])
def resume(subscription: str) -> Response:
    """See when it goes on and what is charged then, and come back."""
    rt, me = runtime(), customer()
    try:
        if request.method == "GET":
            quote = pauses.quote_resume(rt, me.id, subscription)
            view = _view(subscription)
            amount = _price_on(subscription, quote.grid_on)
            return page("resume", sub=view, quote=quote, amount=amount)
        today = request.form.get("when") == "today"
        day = pauses.resume(rt, me.id, subscription, today=today)
    except pauses.NotFound:
        abort(404)
    except NotResumable as error:
        return go(_back(subscription), why_not_resumed(error))
    return go(_back(subscription), resumed_words(day))


@bp.route("/subscriptions/<subscription>/date", methods=["GET", "POST"])
def move_date(subscription: str) -> Response:
    """See which dates the next box can have, and choose one."""
    if request.method == "GET":
        return _date_page(subscription)
    typed = request.form.get("day", "")
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        return _date_page(subscription, _("Choose a day."), 422, typed)
    try:
        reason = dates.why_not(runtime(), customer().id, subscription, day)
    except dates.NotFound:
        abort(404)
    if reason:
        # Before any price: none is worked out, or promised, for a day that cannot be chosen.
        problem = why_not_moved(DateNotMovable(reason=reason, on=day))
        return _date_page(subscription, problem, 422, typed)
    if request.form.get("shown") != _shown(subscription, day):
        # Look first: the price and the day above the button are what is agreed to.
        return _date_page(subscription, "", 200, typed, day)
    try:
        quote = dates.move_date(runtime(), customer().id, subscription, day)
    except dates.NotFound:
        abort(404)
    except DateNotMovable as error:
        return _date_page(subscription, why_not_moved(error), 422, typed)
    return go(_back(subscription), moved_words(quote.charge_on))


@bp.post("/subscriptions/<subscription>/send-now")
def send_now(subscription: str) -> Response:
    """Have the next box sent with the next packing day, paid today."""
    rt = runtime()
    if request.form.get("shown") != _shown(subscription, rt.today()):
        text = _("This changed meanwhile. Please look again before you decide.")
        return _date_page(subscription, text, 409)
    try:
        quote = dates.send_now(rt, customer().id, subscription)
    except dates.NotFound:
        abort(404)
    except DateNotMovable as error:
        return _date_page(subscription, why_not_moved(error), 422)
    return go(_back(subscription), sent_words(quote.ships_on))


@bp.post("/subscriptions/<subscription>/again")
def again(subscription: str) -> Response:
    """Order anew what somebody had: a new subscription, with what is known filled in."""
    rt, me = runtime(), customer()
    try:
        found = find_again(rt.session, me.id, subscription, rt.today())
    except LookupError:
        abort(404)
    rt.session.rollback()
    if found is None:
        return go(_back(subscription), _("Nothing is on sale at the moment."))
    start = Start(
        found.plan_id,
        found.price_id,
        found.options,
        me.id,
        me.email,
        found.address,
        found.avoids,
        locale_code(),
        source_of_visit(),
    )
    key = start_checkout(rt, start)
    session[BEGUN] = [*session.get(BEGUN, []), key][-5:]
    text = None
    if found.instead_of:
        text = _(
            "%(old)s is not sold any more. %(new)s comes nearest to it.",
            old=found.instead_of,
            new=found.plan,
        )
    return go(url_for("checkout.resume", key=key), text)


def _back(subscription: str) -> str:
    return url_for("account.subscription", subscription=subscription)


def _view(subscription: str) -> SubscriptionView:
    rt, me = runtime(), customer()
    rt.session.rollback()
    view = accounts.subscription(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    if view is None:
        abort(404)
    rt.session.rollback()
    return view


def _price_on(subscription: str, day: date) -> str:
    """Return what the next payment would be on ``day``, as the page says it."""
    rt = runtime()
    found = next_price(rt.session, customer().id, subscription, day, rt.shop.taxes)
    rt.session.rollback()
    return money(found, writing_locale()) if found else ""


def _shown(subscription: str, day: date) -> str:
    """Return what the button of a page agreed to: the day and its price."""
    return f"{day.isoformat()} {_price_on(subscription, day)}"


def _pause_page(
    subscription: str, problem: str = "", status: int = 200, until: str = ""
) -> Response:
    rt, quote = runtime(), None
    try:
        quote = pauses.quote_pause(rt, customer().id, subscription)
    except pauses.NotFound:
        abort(404)
    except NotPausable as error:
        problem = problem or why_not_paused(error)
    view = _view(subscription)
    amount = _price_on(subscription, quote.ends[0]) if quote and quote.ends else ""
    context = {"sub": view, "quote": quote, "amount": amount, "until": until, "open": OPEN}
    return page("pause", status, problem=problem, **context)


def _date_page(
    subscription: str,
    problem: str = "",
    status: int = 200,
    typed: str = "",
    chosen: date | None = None,
) -> Response:
    rt = runtime()
    try:
        quote = dates.quote_dates(rt, customer().id, subscription)
    except dates.NotFound:
        abort(404)
    refused = DateNotMovable(reason=quote.refused) if quote.refused else None
    not_now = DateNotMovable(reason=quote.not_now, on=quote.not_now_on) if quote.not_now else None
    return page(
        "date",
        status,
        sub=_view(subscription),
        quote=quote,
        refused=why_not_moved(refused) if refused else "",
        not_now=why_not_moved(not_now) if not_now else "",
        amount=_price_on(subscription, rt.today()),
        shown_now=_shown(subscription, rt.today()),
        chosen=chosen,
        chosen_amount=_price_on(subscription, chosen) if chosen else "",
        shown=_shown(subscription, chosen) if chosen else "",
        typed=typed,
        problem=problem,
    )


def paused_words(quote: PauseQuote) -> str:
    """Say how a pause stands."""
    if quote.resumes_on is None:
        day = long_day(quote.starts_on)
        return _("Paused from %(day)s, until you come back. Nothing is charged.", day=day)
    return _(
        "Paused from %(day)s. It goes on by itself on %(end)s.",
        day=long_day(quote.starts_on),
        end=long_day(quote.resumes_on),
    )


def resumed_words(day: date) -> str:
    """Say when it goes on."""
    if day <= runtime().today():
        return _("Welcome back. Your card is charged today.")
    return _("Welcome back. Your next payment is on %(day)s.", day=long_day(day))


def moved_words(day: date) -> str:
    """Say when the next payment is."""
    return _("Your next payment is on %(day)s now.", day=long_day(day))


def sent_words(ships_on: date | None) -> str:
    """Say what sending now came to."""
    if ships_on is None:
        return _("Your card is charged today, and your box leaves with the next packing day.")
    return _("Your card is charged today, and your box leaves on %(day)s.", day=long_day(ships_on))


def why_not_paused(error: NotPausable) -> str:
    """Say why there is no pause."""
    return {
        "cancelled": _("This subscription ends. Keep it first, then you can pause it."),
        "trial": _("A trial cannot be paused. You can cancel it at any time."),
        "held": _("Your subscription is on hold. Please write to us."),
        "waiting": _("A change is being paid. Once it is settled you can pause."),
        "past": _("Choose a later day."),
        "too_long": _("Choose a day within a year, or pause until you come back."),
        "hold_open": _("Paid boxes can only be held back until a day you name."),
    }.get(str(error.params.get("reason")), _("This subscription cannot be paused now."))


def why_not_resumed(error: NotResumable) -> str:
    """Say why it does not go on like that."""
    return {
        "not_paused": _("This subscription is not paused."),
        "held": _("Your subscription is on hold. Please write to us."),
        "calendar": _("Everyone here pays on the same day. Start again on your usual day."),
        "taken": _(
            "You have a box on the next packing day already, or skipped it. Use your usual day."
        ),
        "too_soon": _("It cannot start again today. Try tomorrow."),
    }.get(
        str(error.params.get("reason")),
        _("This is not possible today. Start again on your usual day, or write to us."),
    )


def why_not_moved(error: DateNotMovable) -> str:
    """Say why a date stays as it is."""
    on = error.params.get("on")
    day = long_day(on) if on else ""
    known = {
        "calendar": _("Everybody's boxes leave on the same day here, so the date is fixed."),
        "no_boxes": _("Nothing is sent with this plan, so the date is fixed."),
        "cancelled": _("This subscription ends. Keep it first."),
        "held": _("Your subscription is on hold. Please write to us."),
        "unpaid": _("A payment is open. Once it is settled you can choose another date."),
        "waiting": _("A change is being paid. Once it is settled you can choose another date."),
        "pausing": _("A pause is planned. Take it back first."),
        "due": _("Your next payment is due today."),
        "over": _("No further box is planned."),
        "too_soon": _("Your last payment is too fresh. Try again tomorrow."),
        "skipped": _("You have skipped the box of that day. Take the skip back first."),
        "taken": _("A box of yours leaves on that day already. Choose another one."),
        "out_of_reach": _("Choose a day between the two that are named."),
    }
    reason = str(error.params.get("reason"))
    if reason == "paid_box":
        if day:
            return _("Your paid box leaves on %(day)s already.", day=day)
        return _("A paid box of yours waits for its date already.")
    if reason == "too_late":
        if day:
            return _("It is too late for the next packing day. You can from %(day)s on.", day=day)
        return _("No packing day is planned yet.")
    return known.get(reason, _("The date cannot be changed now."))
