"""One subscription: its page, leaving it, and where its boxes go."""

from __future__ import annotations

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account import words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.boxes import subscription_context
from storefront.blueprints.account.forms import AddressForm, LeavingForm
from storefront.blueprints.account.leaving_offers import offer_of
from storefront.blueprints.address_changes import (
    Asked,
    address_form,
    asked_box,
    first_effect,
    shown,
    take,
)
from storefront.blueprints.address_parts import is_turning
from storefront.blueprints.checkout.forms import CodeForm
from storefront.blueprints.checkout.words import refusal_words, too_many
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.places import asked_of_address
from storefront.domain.events import Actor
from storefront.htmx import go, wants_partial
from storefront.operations.audit import Who
from storefront.operations.leaving import reasons_of
from storefront.queries import account as accounts
from storefront.queries import gifts, invoices, profile
from storefront.queries.profile import AddressView
from storefront.security import throttle
from storefront.services import added_codes as codes
from storefront.services import addresses as address_service
from storefront.services import cancellations, leaving, leaving_offers
from storefront.services.addresses import AddressChange
from storefront.services.box_addresses import NotFound, TooLate, send_box

_OK = 200
#: Codes that may be tried, and in how many seconds.
_CODE_TRIES = (10, 60)


@bp.get("/subscriptions/<subscription>")
def subscription(subscription: str) -> Response:
    """Show everything about one subscription."""
    return _subscription_page(subscription)


def _subscription_page(
    subscription: str, status: int = 200, code_form: CodeForm | None = None
) -> Response:
    rt, me = runtime(), customer()
    rt.session.rollback()
    gift = gifts.received(rt.session, me.id, subscription)
    context = subscription_context(subscription, gift.claimed_at if gift else None)
    if gift is not None:
        return page("gift", gift=gift, **context)
    if code_form is not None:
        context["code_form"] = code_form
    return page(
        "subscription",
        status,
        owed=invoices.all_owed(rt.session, me.id, rt.moment()),
        why_declined=words.why_declined,
        page_has_errors=status != _OK,
        **context,
    )


@bp.post("/subscriptions/<subscription>/code")
def add_code(subscription: str) -> Response:
    """Let a code lower the coming payments."""
    rt, form = runtime(), CodeForm(request.form)
    typed = (form.code.data or "")[:200]
    wait = throttle(rt, "code", f"{request.remote_addr} {customer().public_id}", *_CODE_TRIES)
    if wait is not None:
        form.code.errors = [too_many(wait)]
        # htmx swaps a 422 and leaves a 429 alone, whose text must be seen as well.
        return _subscription_page(subscription, 422 if wants_partial() else 429, form)
    try:
        code = codes.add_code(rt, customer().id, subscription, typed)
    except codes.NoSubscription:
        abort(404)
    except codes.CodeRefused as error:
        form.code.errors = [refusal_words(error.reason, typed, error.found)]
        return _subscription_page(subscription, 422, form)
    text = _("Saved. %(code)s lowers your next payment.", code=code)
    return go(url_for("account.subscription", subscription=subscription), text)


@bp.post("/subscriptions/<subscription>/code/remove")
def remove_code(subscription: str) -> Response:
    """Take a code off that lowered nothing yet."""
    try:
        gone = codes.remove_code(
            runtime(), customer().id, subscription, request.form.get("code", "")[:40]
        )
    except codes.NoSubscription:
        abort(404)
    text = _("Taken off.") if gone else _("It lowered a payment already, so it stays.")
    return go(url_for("account.subscription", subscription=subscription), text)


@bp.route("/subscriptions/<subscription>/cancel", methods=["GET", "POST"])
def cancel(subscription: str) -> Response:
    """Step 2 of leaving: say what happens, and do it on the button."""
    rt, me = runtime(), customer()
    try:
        if request.method == "GET":
            quote = cancellations.quote_cancellation(rt, me.id, subscription)
            if not quote.changed:
                return go(url_for("account.cancelled", subscription=subscription))
            view = accounts.subscription(
                rt.session, me.id, subscription, rt.moment(), rt.shop.taxes
            )
            return page("cancel", sub=view, quote=quote, offer=offer_of(view))
        done = cancellations.cancel(rt, me.id, subscription)
    except cancellations.NotFound:
        abort(404)
    except cancellations.NotStarted:
        abort(404)
    if done.changed and request.form.get("offer"):
        leaving_offers.note(rt, me.id, subscription, request.form["offer"][:40], taken=False)
    return go(url_for("account.cancelled", subscription=subscription))


@bp.get("/subscriptions/<subscription>/cancelled")
def cancelled(subscription: str) -> Response:
    """Confirm a cancellation; it can be taken back here, and a reason be given."""
    return _cancelled_page(subscription, LeavingForm())


def _cancelled_page(subscription: str, form: LeavingForm, status: int = 200) -> Response:
    rt, me = runtime(), customer()
    try:
        quote = cancellations.quote_cancellation(rt, me.id, subscription)
    except (cancellations.NotFound, cancellations.NotStarted):
        abort(404)
    if quote.changed:
        return go(url_for("account.subscription", subscription=subscription))
    view = accounts.subscription(rt.session, me.id, subscription, rt.moment(), rt.shop.taxes)
    said = subscription in reasons_of(rt.session, [subscription])
    return page("cancelled", status, sub=view, quote=quote, form=form, said=said)


@bp.post("/subscriptions/<subscription>/cancelled/why")
def leaving_why(subscription: str) -> Response:
    """Keep why somebody left, if they want to say it; nothing waits for it."""
    form = LeavingForm(request.form)
    if not form.validate():
        return _cancelled_page(subscription, form, 422)
    why, note = form.why.data or "", form.note.data or ""
    try:
        said = leaving.say_why(runtime(), customer().id, subscription, why, note)
    except leaving.NotFound:
        abort(404)
    text = _("Thank you. We read every answer.") if said else None
    return go(url_for("account.cancelled", subscription=subscription), text)


@bp.post("/subscriptions/<subscription>/cancel/undo")
def undo_cancel(subscription: str) -> Response:
    """Keep the subscription after all; back to the page the button stood on."""
    at_home = request.form.get("from") == "home"
    one = url_for("account.subscription", subscription=subscription)
    back = url_for("account.home") if at_home else one
    try:
        changed = cancellations.undo_cancel(runtime(), customer().id, subscription)
    except cancellations.NotFound:
        abort(404)
    except cancellations.NotStarted:
        abort(404)
    except cancellations.CancelTooLate as error:
        day = words.long_day(error.params["ended_on"])
        return go(back, _("It ended on %(day)s. You can subscribe again any time.", day=day))
    kept = _("Your subscription goes on as before.")
    return go(back, kept if changed else _("Already taken back a moment ago."))


@bp.route("/subscriptions/<subscription>/address", methods=["GET", "POST"])
def address(subscription: str) -> Response:
    """Change where the boxes of one subscription go."""
    rt, me = runtime(), customer()
    present = profile.address_of(rt.session, me.id, subscription, asked_box())
    if present is None:
        abort(404)
    rt.session.rollback()
    form = address_form(rt, present)
    if request.method == "GET" or is_turning():
        return _address_page(form, present, None)
    found = take(rt, me.id, present, form)
    if isinstance(found, Asked):
        return _address_page(form, present, found)
    flash(changed_words(first_effect(found)))
    return go(url_for("account.subscription", subscription=subscription))


def _address_page(form: AddressForm, present: AddressView, asked: Asked | None) -> Response:
    rt, subscription = runtime(), present.subscription
    return page(
        "address",
        asked.status if asked else 200,
        form=form,
        plan=present.plan,
        subscription=subscription,
        effect=address_service.first_box_after(rt, customer().id, subscription, asked_box()),
        asked=asked_of_address(rt, [form.place_country], ships=present.ships),
        page_has_errors=bool(asked and not asked.costs),
        **shown(rt, customer().id, present, asked),
    )


def changed_words(effect: AddressChange) -> str:
    """Say from which box on a new address holds."""
    if not effect.changed:
        return _("That is the address already.")
    if effect.first_box_on:
        day = words.long_day(effect.first_box_on)
        return _("Saved. The first box with this address ships on %(day)s.", day=day)
    return _("Saved.")


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/address/usual")
def usual_address(subscription: str, cycle: str) -> Response:
    """Send a box that was given an address alone where all others go."""
    at_home = request.form.get("from") == "home"
    one = url_for("account.subscription", subscription=subscription)
    back = url_for("account.home") if at_home else one
    return go(back, sent_home(customer().id, subscription, cycle))


def sent_home(customer_id: int, subscription: str, cycle: str, who: Who | None = None) -> str:
    """Send a box where all others go, and say so; 404 for one that is not theirs."""
    actor = Actor.STAFF if who is not None else Actor.CUSTOMER
    try:
        changed = send_box(runtime(), customer_id, subscription, cycle, None, actor, who)
    except NotFound:
        abort(404)
    except TooLate:
        return _("Too late: that box stays as it is.")
    text = _("Saved. That box goes where the others go.")
    return text if changed else _("It goes where the others go already.")


@bp.get("/addresses")
def addresses() -> Response:
    """List the addresses in use."""
    rt = runtime()
    return page("addresses", addresses=profile.addresses(rt.session, customer().id))
