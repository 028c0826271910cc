"""Go on later: a link to the order in the mail, for who asks, and the page that it opens.

Looking changes nothing; the button leads on, into the same order or, once that ran out, a new one
with the same boxes. Source: docs/decisions/0238-an-order-is-gone-on-with-by-a-link.md.
"""

from __future__ import annotations

from flask import Response, abort, request, session, url_for
from flask_babel import gettext as _

from storefront.blueprints.checkout import words
from storefront.blueprints.checkout.again import BEGUN, sold_of, start_again_url
from storefront.blueprints.checkout.loading import load, look, onward, title
from storefront.blueprints.checkout.steps import bp
from storefront.blueprints.context import runtime
from storefront.blueprints.preferences import market_of_visit
from storefront.domain.money import Money
from storefront.formats import listing
from storefront.htmx import go, show
from storefront.merchant_texts import said
from storefront.navigation import page_url
from storefront.operations.checkout import Order
from storefront.operations.order_links import OrderLink, read_order_token
from storefront.queries.checkout import order_page
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services.order_links import Mailed, mail_order_link
from storefront.templating import writing_locale

register_policy({f"checkout.{name}": PUBLIC for name in ("send_link", "later", "go_on")})

_FOLDER = "storefront/checkout"
_HOUR = 3600
_BEGUN_KEPT = 5


@bp.post("/checkout/<key>/later")
def send_link(key: str) -> Response:
    """Mail a link to this order to the e-mail typed in it."""
    rt = runtime()
    order = load(rt, key, "pay")
    back, email = url_for("checkout.pay", key=key), order.checkout.email
    wait = throttle(rt, "order_link_ip", request.remote_addr or "", 10, _HOUR)
    wait = wait or throttle(rt, "order_link_mail", email, 3, 24 * _HOUR)
    if wait is not None:
        return go(back, words.too_many(wait), is_problem=True)
    done = mail_order_link(rt, key, _total(order))
    if done is Mailed.ENOUGH:
        return go(back, _("You got several links to this order. Each of them works."))
    if done is Mailed.NOTHING:
        return go(url_for("checkout.resume", key=key))
    return go(back, _("A link is on its way to %(email)s. It works for 14 days.", email=email))


@bp.get("/checkout/later/<token>")
def later(token: str) -> Response:
    """Show what was being ordered and what changed meanwhile; no name, no e-mail, no street."""
    link, order = _read(token)
    if link is None or order is None:
        return show(f"{_FOLDER}/later.html", f"{_FOLDER}/_later.html", 404, standing="unknown")
    return show(
        f"{_FOLDER}/later.html",
        f"{_FOLDER}/_later.html",
        token=token,
        standing=_standing(link, order),
        title=title(order),
        several=len(order.items) > 1,
        total=None if order.quote is None else order.to_pay,
        news=_news(link, order),
        plans_url=page_url("pricing.index"),
    )


@bp.post("/checkout/later/<token>")
def go_on(token: str) -> Response:
    """Lead into the order, or into a new one with its boxes."""
    rt = runtime()
    link, order = _read(token)
    if throttle(rt, "link_ip", request.remote_addr or "", 60, 600):
        abort(429)
    if link is None or order is None or _standing(link, order) not in ("open", "paying"):
        return go(url_for("checkout.later", token=token))
    if order.checkout.state != "expired":
        return onward(order)
    key = order.checkout.public_id
    if key not in session.get(BEGUN, []):
        # Who reads the mail may have what was typed; the order itself can no longer be paid.
        session[BEGUN] = [*session.get(BEGUN, []), key][-_BEGUN_KEPT:]
    return go(start_again_url(order))


def _read(token: str) -> tuple[OrderLink | None, Order | None]:
    rt = runtime()
    link = read_order_token(rt.settings.secret_keys, token, rt.now())
    if link is None:
        return None, None
    market = market_of_visit(rt)
    order = look(rt, lambda: order_page(rt.session, link.order, market, rt.moment()))
    # An erased order has no e-mail any more.
    return link, order if order is not None and order.checkout.email else None


def _standing(link: OrderLink, order: Order) -> str:
    """Return what a link is good for: open, paying, done, late or gone."""
    state = order.checkout.state
    if state in ("done", "paying"):
        return str(state)
    if link.is_expired:
        return "late"
    return "open" if sold_of(order) else "gone"


def _news(link: OrderLink, order: Order) -> list[str]:
    """Return what changed since the link was asked for, a sentence each."""
    news = []
    sold = sold_of(order)
    gone = [said(item.plan.name) for item in order.items if item not in sold]
    if gone:
        names = listing(list(dict.fromkeys(gone)), writing_locale())
        news.append(_("Not sold any more: %(names)s.", names=names))
    if order.refused is not None:
        news.append(f"{words.refusal_words(order.refused, '', order.code)}.")
    if order.quote is not None and link.total not in (None, order.to_pay.minor):
        before = Money(link.total or 0, order.to_pay.currency)
        old, new = words.money(before), words.money(order.to_pay)
        news.append(_("The total changed from %(old)s to %(new)s.", old=old, new=new))
    return news


def _total(order: Order) -> int | None:
    return None if order.quote is None else order.to_pay.minor
