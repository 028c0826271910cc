"""The first page, and skipping boxes from wherever they are listed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response, abort, flash, g, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.account import declared, words
from storefront.blueprints.account.base import bp, page
from storefront.blueprints.catalogue import assortment_of, delivery_of
from storefront.blueprints.checkout.forms import CodeForm
from storefront.blueprints.context import customer, runtime
from storefront.domain.errors import DomainError
from storefront.domain.suggestions import SuggestionKind
from storefront.htmx import done, go, show, wants_partial
from storefront.queries import account as accounts
from storefront.queries import account_home, gifts
from storefront.queries.allergies import asks_allergies
from storefront.queries.answers import asks_anything
from storefront.queries.change import waiting
from storefront.queries.credit import Credit, balances_of
from storefront.queries.disputes import held_by
from storefront.queries.suggestions import suggestion
from storefront.services import skips, suggestions
from storefront.services.skips import SkipChange


@bp.get("/")
def home() -> Response:
    """Show the next box of every subscription, soonest first."""
    rt = runtime()
    found = account_home.home(
        rt.session, customer().id, rt.moment(), rt.shop.taxes, delivery_of(rt)
    )
    g.account_news = found.news
    got = {one.subscription: one for one in found.gifts.received}
    own = [one for one in found.subscriptions if one.public_id not in got]
    held = [one.public_id for one in own if one.is_held_by_shop and not one.is_ended]
    is_urgent = found.owed is not None or bool(found.ending)
    return page(
        "home",
        home=found,
        owed=found.owed,
        given=found.gifts.given,
        got=got,
        credit=Credit(found.credit, ()),
        why_declined=words.why_declined,
        won=found.won,
        declared=declared.told(held),
        resent=found.resent,
        ending=found.ending,
        suggestion=None
        if is_urgent
        else suggestion(rt.session, own, found.matters.away, rt.today(), assortment_of(rt)),
    )


@bp.post("/suggestions/put-away")
def put_suggestion_away() -> Response:
    """Suggest something like that no more."""
    try:
        kind = SuggestionKind(request.form.get("kind", ""))
    except ValueError:
        abort(404)
    suggestions.put_away(runtime(), customer().id, kind)
    text = _("Put away. We will not suggest that again.")
    partial = "storefront/account/_suggestion.html"
    return done(text, partial, url_for("account.home"), suggestion=None)


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/skip")
def skip(subscription: str, cycle: str) -> Response:
    """Skip a box at once; the row then offers to take it back."""
    return _change(skips.skip_box, words.skipped, subscription, cycle)


@bp.post("/subscriptions/<subscription>/boxes/<cycle>/undo-skip")
def undo_skip(subscription: str, cycle: str) -> Response:
    """Take a skip back."""
    return _change(skips.undo_skip, words.unskipped, subscription, cycle)


def _change(
    act: Callable[..., SkipChange],
    say: Callable[[SkipChange], str],
    subscription: str,
    cycle: str,
) -> Response:
    rt, me = runtime(), customer()
    try:
        message, status = say(act(rt, me.id, subscription, cycle)), 200
    except skips.NotFound:
        abort(404)
    except DomainError as error:
        message, status = words.refused(error), 409
    at_home = request.form.get("from") == "home"
    back = (
        url_for("account.home")
        if at_home
        else url_for("account.subscription", subscription=subscription)
    )
    if not wants_partial() or gifts.received(rt.session, me.id, subscription):
        # A gift has cards of its own, without a price.
        if status == 409:
            flash(message)
            return go(back)
        return go(back, message) if wants_partial() else done(message, "", back)
    partial = "_boxes_of.html" if at_home else "_subscription.html"
    template = f"storefront/account/{partial}"
    return show(
        template,
        template,
        # A refusal is a fresh card with the new truth, so it is swapped like any other.
        200,
        message=message,
        **subscription_context(subscription),
    )


def subscription_context(subscription: str, since: datetime | None = None) -> dict[str, Any]:
    """Return what the pages of one subscription show; 404 for a foreign or unknown one.

    Of what happened, only what did from ``since`` on where that is given.
    """
    rt, me = runtime(), customer()
    rt.session.rollback()
    view = accounts.subscription(
        rt.session, me.id, subscription, rt.moment(), rt.shop.taxes, delivery_of(rt)
    )
    if view is None:
        abort(404)
    events = accounts.timeline(rt.session, subscription, since=since)
    return {
        "sub": view,
        "asks": asks_anything(rt.session, subscription),
        "asks_allergies": asks_allergies(rt.session, me.id, subscription),
        "events": [words.told(event, view.price.currency) for event in events],
        "waiting": waiting(rt.session, me.id, subscription),
        "credit": Credit(balances_of(rt.session, me.id), ()),
        "code_form": CodeForm(),
        "declared": declared.told([subscription]),
        "disputed": held_by(rt.session, subscription) if view.is_held else None,
    }
