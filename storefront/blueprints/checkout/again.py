"""An order that ran out, once more: its boxes go into the new one, as far as they are sold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from flask import request, session, url_for
from flask_babel import gettext as _

from storefront.blueprints.intervals import interval_code
from storefront.blueprints.preferences import market_of_visit
from storefront.formats import listing
from storefront.merchant_texts import said
from storefront.navigation import page_url
from storefront.operations.checkout import Order
from storefront.operations.order_items import BoxWish, OrderItem
from storefront.queries.checkout import KnownDelivery, order_page
from storefront.runtime import Runtime
from storefront.templating import writing_locale

#: Orders this browser began, so that only it is signed in when one is paid.
BEGUN = "orders"
#: Field and part of the address that names the order to take over.
AGAIN = "again"


@dataclass(frozen=True, slots=True)
class Kept:
    """What of an expired order goes into a new one; without ``key`` there is none."""

    key: str = ""
    boxes: tuple[BoxWish, ...] = ()
    #: Only for the browser that typed it.
    known: KnownDelivery = field(default_factory=lambda: KnownDelivery("", {}))
    #: The code typed, for the same browser.
    code: str = ""

    @property
    def first(self) -> BoxWish | None:
        return self.boxes[0] if self.boxes else None

    @property
    def others(self) -> tuple[BoxWish, ...]:
        return self.boxes[1:]


def kept_of(rt: Runtime) -> Kept:
    """Return what the expired order that the request names has left; nothing of any other.

    Read only: the caller is in a reading transaction.
    """
    key = request.values.get(AGAIN, "")[:40]
    order = order_page(rt.session, key, market_of_visit(rt), rt.moment()) if key else None
    if order is None or order.checkout.state != "expired":
        return Kept()
    boxes = [replace(item.wish, price_id=item.price.id) for item in sold_of(order) if item.price]
    # The first box of an order has no name of its own.
    boxes[:1] = [replace(one, ref="") for one in boxes[:1]]
    row, known, code = order.checkout, KnownDelivery("", {}), ""
    if key in session.get(BEGUN, []):
        number = (row.tax_id, row.tax_id_state)
        known = KnownDelivery(row.email, dict(row.address), number, billing=row.billing)
        code = order.code.code if order.code is not None else ""
    return Kept(key, tuple(boxes), known, code)


def start_again_url(order: Order) -> str:
    """Return where the same boxes are ordered anew; the price page when none of them is sold."""
    if order.continues:
        # Begun anew like any other box, it would be charged at once.
        return page_url("account.home") or page_url("pricing.index")
    sold = sold_of(order)
    if not sold:
        return page_url("pricing.index")
    first = sold[0]
    code = interval_code(first.price.interval) if first.price else None
    named = {AGAIN: order.checkout.public_id}
    return url_for("checkout.choose", plan=first.plan.code, interval=code, **named)


def expired(order: Order) -> str:
    """Say that an order is not kept any more, and what of it is still here."""
    gone = [said(item.plan.name) for item in order.items if item not in sold_of(order)]
    if not gone and len(order.items) == 1:
        return _("We kept your order for two hours. Your box is still here: start again.")
    if not gone:
        return _("We kept your order for two hours. Your boxes are still here: start again.")
    names = listing(list(dict.fromkeys(gone)), writing_locale())
    if len(gone) == len(order.items):
        return _("We kept your order for two hours. Not sold any more: %(names)s.", names=names)
    return _(
        "We kept your order for two hours. Not sold any more: %(names)s. "
        "The rest is still here: start again.",
        names=names,
    )


def sold_of(order: Order) -> list[OrderItem]:
    """Return the boxes that could be ordered today."""
    return [item for item in order.items if item.problem not in ("gone", "no_cycle")]
