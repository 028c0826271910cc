"""Stored methods: which pays, for all or for one, the backup, a new one, none any more."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account import words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.account.money import payment_context, silent
from storefront.blueprints.card_breaks import break_words, come_back
from storefront.blueprints.checkout.words import money
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.gateway_words import method_name
from storefront.card_breaks import CardBreak
from storefront.domain.charging import AnswerStatus
from storefront.htmx import done, go, is_htmx
from storefront.queries import invoices as documents
from storefront.queries.methods import MethodView, methods_of
from storefront.services import method_changes, methods


@bp.post("/payment/methods/<method>/use")
def use_method(method: str) -> Response:
    """Let another method pay from now on."""

    def act() -> str:
        changed = methods.set_default(runtime(), customer().id, method)
        if not changed:
            return _("It pays already.")
        return _told(_("%(method)s pays from now on.", method=_name(method)))

    return _changed(method, act)


@bp.post("/payment/methods/<method>/backup")
def backup_method(method: str) -> Response:
    """Try a method when the one that should pay is refused, or no more."""
    wanted = request.form.get("wanted") != "no"

    def act() -> str:
        method_changes.set_backup(runtime(), customer().id, method, wanted=wanted)
        if not wanted:
            return _("There is no backup any more.")
        return _("%(method)s is tried when the other is refused.", method=_name(method))

    return _changed(method, act)


@bp.post("/payment/methods/<method>/remove")
def remove_method(method: str) -> Response:
    """Take a method away for good."""
    name = _name(method)

    def act() -> str:
        removed = method_changes.remove_method(runtime(), customer().id, method)
        if not removed.instead:
            return _("%(method)s is removed.", method=name)
        other = _name(removed.instead)
        return _told(_("%(method)s is removed. %(other)s pays now.", method=name, other=other))

    return _changed(method, act)


@bp.post("/payment/subscriptions/<subscription>/method")
def method_for_one(subscription: str) -> Response:
    """Let a method pay for one subscription alone."""
    method = request.form.get("method", "")

    def act() -> str:
        rt, me = runtime(), customer()
        if not method_changes.use_for_one(rt, me.id, subscription, method):
            return _("It pays for that already.")
        return _told(_("%(method)s pays for that subscription now.", method=_name(method)))

    return _changed(method, act)


@bp.post("/payment/card")
def add_card() -> Response:
    """Go to the payment partner's page, where the method is chosen or typed."""
    rt = runtime()
    back = f"{rt.settings.base_url}{rt.settings.url_prefix}/account/payment/card"
    gateway, subscription = (request.form.get(name, "") for name in ("gateway", "subscription"))
    try:
        url = methods.begin_card(
            rt,
            customer().id,
            back,
            customer().locale,
            gateway=gateway,
            subscription=subscription,
            address=request.remote_addr or "",
        )
    except methods.NotFound:
        text = _("That is no longer offered. Choose another one")
        return go(url_for("account.payment"), text, is_problem=True)
    except methods.PaymentPartnerSilent:
        return go(url_for("account.payment"), silent(), is_problem=True)
    except CardBreak as stopped:
        return _on_break(stopped, gateway, subscription)
    return go(url)


@bp.get("/payment/card/<setup>")
def card_back(setup: str) -> Response:
    """Back from the payment partner's page. Nothing is written here: the page's form does it."""
    rt = runtime()
    if not documents.has_setup(rt.session, customer().id, setup):
        abort(404)
    owed = documents.owed(rt.session, customer().id, rt.moment())
    return page("card_back", setup=setup, owed=owed)


@bp.post("/payment/card/<setup>")
def keep_card(setup: str) -> Response:
    """Ask the payment partner what became of it, and store it."""
    try:
        added = methods.finish_card(runtime(), customer().id, setup, dict(request.form))
    except methods.NotFound:
        abort(404)
    except methods.PaymentPartnerSilent:
        return go(url_for("account.payment"), silent(), is_problem=True)
    except CardBreak as stopped:
        return _on_break(stopped)
    if added.status is AnswerStatus.SUCCEEDED and added.is_for_one:
        name = method_name(added)
        text = _told(_("Saved. %(method)s pays for that subscription now.", method=name))
    elif added.status is AnswerStatus.SUCCEEDED and added.last4:
        text = _told(_("Saved. The card ending %(last4)s pays from now on.", last4=added.last4))
    elif added.status is AnswerStatus.SUCCEEDED:
        text = _told(_("Saved. %(method)s pays from now on.", method=method_name(added)))
    elif added.status is AnswerStatus.DECLINED:
        text = _(
            "That card was not saved: %(reason)s. Nothing was charged.",
            reason=words.why_declined(added.reason),
        )
    else:
        text = _("No card was saved. Nothing was charged.")
    kept = added.status is AnswerStatus.SUCCEEDED
    return go(url_for("account.payment"), text, is_problem=not kept)


def _on_break(stopped: CardBreak, gateway: str = "", subscription: str = "") -> Response:
    """Say that no card is tried for now; what was chosen for the new one stays."""
    runtime().session.rollback()
    context, until = payment_context(), stopped.params["until"]
    told = break_words(until, context["ways"])
    if is_htmx():
        return go(url_for("account.payment"), told, is_problem=True)
    chosen = {"chosen_gateway": gateway, "chosen_subscription": subscription}
    return come_back(page("payment", 429, problem=told, **chosen, **context), until)


def _changed(method: str, act: Callable[[], str]) -> Response:
    """Do it and show the page again with what came of it, or with why it was refused."""
    to, partial = url_for("account.payment"), "storefront/account/_payment.html"
    try:
        text = act()
    except methods.NotFound:
        abort(404)
    except (methods.MethodRefused, method_changes.MethodNeeded, method_changes.MethodBusy) as error:
        why = _why_not(error, method)
        runtime().session.rollback()
        return page("payment", 422, problem=why, **payment_context())
    runtime().session.rollback()
    return done(text, partial, to, **payment_context())


def _why_not(error: Exception, method: str) -> str:
    name = _name(method)
    if isinstance(error, methods.MethodRefused):
        return _("The bank refuses %(method)s. Use another one.", method=name)
    if isinstance(error, method_changes.MethodNeeded):
        return _(
            "%(method)s stays: it is the only one that can pay for what runs or is open. "
            "Add another one first, then remove this.",
            method=name,
        )
    return _(
        "%(method)s stays for now: a payment with it is under way. Try again when that is settled.",
        method=name,
    )


def _name(method: str) -> str:
    """Return what the customer calls one of their methods."""
    rt = runtime()
    rt.session.rollback()
    found = methods_of(rt.session, customer().id, rt.today()).methods
    rt.session.rollback()
    one: MethodView | None = next((each for each in found if each.public_id == method), None)
    if one is None:
        abort(404)
    return method_name(one)


def _told(text: str) -> str:
    """Add that what is owed is tried with it."""
    rt = runtime()
    owed = documents.owed(rt.session, customer().id, rt.moment())
    if owed is None:
        return text
    return f"{text} " + _(
        "The open %(amount)s is charged on it in the next minutes.", amount=money(owed.amount)
    )
