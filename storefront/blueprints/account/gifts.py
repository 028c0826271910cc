"""What the recipient of a gift may do with it: its boxes, where they go, and going on after it."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, request, session, url_for
from flask_babel import gettext as _

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.checkout.again import BEGUN
from storefront.blueprints.context import customer, runtime
from storefront.blueprints.preferences import market_of_visit
from storefront.blueprints.sources import source_of_visit
from storefront.htmx import go
from storefront.logins import current_customer
from storefront.queries.continuing import going_on
from storefront.queries.gifts import received, to_hand_over
from storefront.services.continuing import NoGift, NotOnSale, WentOn
from storefront.services.continuing import go_on as begin_to_go_on
from storefront.templating import locale_code

_BEGUN_KEPT = 5

#: Pages of one subscription that a gift has as well; every other is about what it costs.
_FOR_GIFTS = frozenset(
    f"account.{name}"
    for name in (
        *("subscription", "address", "usual_address", "choose", "save_choice", "swap", "save_swap"),
        *("late_contents", "ask_late_contents", "allergies", "save_allergies"),
        *("skip", "undo_skip", "late", "ask_late", "after_gift", "go_on"),
    )
)


@bp.before_request
def keep_price_away() -> Any:
    """Lead from pages about payment to the gift's own: it is paid, and ends by itself."""
    subscription = (request.view_args or {}).get("subscription")
    me = current_customer()
    if subscription is None or me is None or request.endpoint in _FOR_GIFTS:
        return None
    if received(runtime().session, me.id, subscription) is None:
        return None
    return go(url_for("account.subscription", subscription=subscription))


@bp.get("/gifts/<gift>")
def given_gift(gift: str) -> Response:
    """Show the code that its giver hands over, as a card to print."""
    rt, me = runtime(), customer()
    found = to_hand_over(rt.session, me.id, gift, rt.settings.secret_key)
    if found is None:
        abort(404)
    view, code = found
    # As in the mails: the address the shop is known by.
    link = f"{rt.settings.base_url}{rt.settings.url_prefix}/gift/{code}"
    answer = page("given_gift", gift=view, link=link)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.get("/subscriptions/<subscription>/go-on")
def after_gift(subscription: str) -> Response:
    """Show what going on costs and when it is charged first: only who asks sees a price."""
    rt, me = runtime(), customer()
    gift = received(rt.session, me.id, subscription)
    if gift is None:
        abort(404)
    market = market_of_visit(rt)
    going = going_on(rt.session, me.id, subscription, market, rt.moment())
    return page("after_gift", gift=gift, going=going)


@bp.post("/subscriptions/<subscription>/go-on")
def go_on(subscription: str) -> Response:
    """Begin, or find again, the order by which a recipient goes on; nothing is agreed to yet."""
    rt, me = runtime(), customer()
    price = request.form.get("price", "")[:40]
    source = source_of_visit()
    try:
        key = begin_to_go_on(rt, me.id, subscription, price, locale=locale_code(), source=source)
    except NoGift:
        abort(404)
    except NotOnSale:
        text = _("This price is not offered any more. Please choose again.")
        return go(url_for("account.after_gift", subscription=subscription), text)
    except WentOn as error:
        own = str(error.params["subscription"])
        return go(url_for("account.subscription", subscription=own), _("You go on already."))
    session[BEGUN] = [*session.get(BEGUN, []), key][-_BEGUN_KEPT:]
    return go(url_for("checkout.resume", key=key))
