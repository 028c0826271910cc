"""Find the order of a request, or lead to where it stands; what every step's page shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn, TypeVar

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront import tax_desk
from storefront.blueprints.checkout import words
from storefront.blueprints.checkout.again import expired, start_again_url
from storefront.blueprints.checkout.forms import GIFT, CodeForm
from storefront.blueprints.context import runtime
from storefront.blueprints.places import lacks
from storefront.blueprints.preferences import market_of_visit
from storefront.database import reading
from storefront.domain.baskets import MOST_BOXES
from storefront.domain.boxes import boxes_per_period
from storefront.domain.checkout import OrderQuote
from storefront.domain.gifts import destination_of
from storefront.domain.money import Money
from storefront.formats import interval_inside
from storefront.htmx import go
from storefront.merchant_texts import said
from storefront.navigation import page_url
from storefront.operations.checkout import Order
from storefront.operations.order_items import OrderItem
from storefront.queries.checkout import order_page
from storefront.runtime import Runtime

T = TypeVar("T")
STEPS = ("box", "delivery", "pay")
_KEY = re.compile(r"chk_[2-9a-z]{26}")


def look(rt: Runtime, query: Callable[[], T]) -> T:
    """Run ``query`` without taking the write lock that a POST would otherwise hold."""
    with reading():
        found = query()
    rt.session.rollback()
    return found


def check_key(key: str) -> str:
    """Return ``key`` if it can be the id of an order, else answer 404."""
    if not _KEY.fullmatch(key):
        abort(404)
    return key


def load(rt: Runtime, key: str, step: str | None = None) -> Order:
    """Return the order ``key``; 404 for an unknown one.

    With ``step`` the order must be open and everything before that step filled in; otherwise
    the answer leads to where the order stands.
    """
    check_key(key)
    tax_desk.prepare_checkout(rt, key)
    order = look(rt, lambda: order_page(rt.session, key, market_of_visit(rt), rt.moment()))
    if order is None:
        abort(404)
    if step is not None:
        wanted = place_of(order, step)
        if wanted != step:
            leave_for(order, wanted)
    return order


def place_of(order: Order, step: str = "pay") -> str:
    """Return the endpoint an order belongs to: ``step``, or the step before that is missing."""
    state = order.checkout.state
    if state != "open":
        return {"done": "confirmation", "paying": "waiting"}.get(state, "choose")
    if step != "box" and not order.has_box:
        return "box"
    if step == "pay" and not (order.has_delivery and not lacks_for_carrier(order)):
        return "delivery"
    return step


def lacks_for_carrier(order: Order) -> bool:
    """Return whether an address known from before lacks what its parcel needs by now.

    The recipient of a gift is asked when they claim it, unless the giver knew the address.
    """
    checkout = order.checkout
    is_asked_later = checkout.gift and not checkout.gift.get("address")
    if is_asked_later or not sends(order):
        return False
    return bool(lacks(runtime(), destination_of(checkout.address, checkout.gift)))


def sends(order: Order) -> bool:
    """Return whether anything of the order is sent to an address."""
    return any(item.plan.shipping for item in order.items)


def leave_for(order: Order, place: str) -> NoReturn:
    """Answer with the way to ``place``."""
    abort(onward(order, place))


def onward(order: Order, place: str | None = None) -> Response:
    """Return the way to ``place``, or to where the order stands; what ran out says so."""
    place = place or place_of(order)
    if place == "choose":
        flash(expired(order))
    return go(url_of(order, place))


def url_of(order: Order, place: str) -> str:
    """Return the address of ``place``; of step 1, the box whose questions wait for answers."""
    key = order.checkout.public_id
    if place == "choose":
        return start_again_url(order)
    if place == "delivery":
        return delivery_url(order)
    if place != "box":
        return url_for(f"checkout.{place}", key=key)
    waiting = next((item for item in order.items if not item.has_box), order.first)
    return box_url(key, waiting.ref)


def delivery_url(order: Order) -> str:
    """Return where step 2 of an order is filled in; of a gift it asks for other things."""
    name = "checkout.delivery" if order.gift is None else "checkout.gift"
    return url_for(name, key=order.checkout.public_id)


def box_url(key: str, ref: str) -> str:
    """Return where one box of an order is changed."""
    return url_for("checkout.box", key=key, ref=ref) if ref else url_for("checkout.box", key=key)


@dataclass(frozen=True, slots=True)
class ShownBox:
    """One box of an order in words: ``lines`` are (words, amount, note)."""

    item: OrderItem
    title: str
    lines: list[tuple[str, Money, str | None]]
    then: list[str]
    #: How the first days are paid for, empty for a whole period paid now.
    begins: str
    renews: str
    included: str
    #: The last day on which leaving a free trial costs nothing.
    last_free_day: date | None
    change_url: str | None


def shown(order: Order, step: str, *, code_form: CodeForm | None = None) -> dict[str, Any]:
    """Return what the page of ``step`` and the summary beside it need."""
    key = getattr(order.checkout, "public_id", None)
    names = {"box": _("Your box"), "delivery": _("Delivery"), "pay": _("Review and pay")}
    boxes = [_shown_box(order, item, key) for item in order.items]
    return {
        "key": key,
        "order": order,
        "quote": order.quote,
        "boxes": boxes,
        "version": order.checkout.version,
        "may_add": may_add(order),
        "step": step,
        "steps": [(names[name], _step_url(order, name) if key else None) for name in STEPS],
        "gift": order.gift,
        "current": STEPS.index(step) + 1,
        "title": title(order),
        "code_form": code_form or CodeForm(),
        "code_refused": _refused(order),
        "tax_note": words.tax_note(order),
        "sign_in_url": page_url("auth.sign_in"),
    }


def may_add(order: Order) -> bool:
    """Return whether one more box can be put into an order that is kept."""
    key = getattr(order.checkout, "public_id", None)
    return key is not None and not is_alone(order) and len(order.items) < MOST_BOXES


def is_alone(order: Order) -> bool:
    """Return whether an order is one box by itself: what is given, and what follows a gift."""
    return order.gift is not None or order.continues


def _step_url(order: Order, step: str) -> str:
    key = order.checkout.public_id
    return delivery_url(order) if step == "delivery" else url_for(f"checkout.{step}", key=key)


def gives(order: Order) -> bool:
    """Return whether the order is a gift, or is begun as one."""
    is_new = getattr(order.checkout, "public_id", None) is None
    return order.gift is not None or (is_new and bool(request.values.get(GIFT)))


def title(order: Order) -> str:
    """Return what is ordered in a few words."""
    if len(order.items) > 1:
        return _("%(count)s boxes", count=len(order.items))
    return _title(order, order.first)


def _shown_box(order: Order, item: OrderItem, key: str | None) -> ShownBox:
    quote = item.quote
    return ShownBox(
        item,
        _title(order, item),
        _lines(order, item, quote) if quote else [],
        words.then(item, quote) if quote else [],
        words.begins(quote, order) if quote else "",
        words.renews(item, quote) if quote else "",
        words.included(order, item),
        quote.last_free_day if quote else None,
        box_url(key, item.ref) if key else None,
    )


def _title(order: Order, item: OrderItem) -> str:
    if item.price is None:
        return said(item.plan.name)
    if gives(order) and item.plan.shipping is not None:
        # How often it is paid is no matter of what is paid once.
        boxes = boxes_per_period(item.price.interval, item.plan.shipping)
        told = ngettext("%(num)s box", "%(num)s boxes", boxes)
        return f"{said(item.plan.name)}, {told}"
    return _(
        "%(plan)s, %(interval)s",
        plan=said(item.plan.name),
        interval=interval_inside(item.price.interval),
    )


def _lines(order: Order, item: OrderItem, quote: OrderQuote) -> list[tuple[str, Money, str | None]]:
    """Return (words, amount, note) per line of a box."""
    lines: list[tuple[str, Money, str | None]] = []
    for line in quote.first.quote.lines:
        note = None
        text = line.text
        if line.kind == "plan":
            text = _title(order, item)
            several = quote.boxes > 1 and not gives(order)
            note = _("%(count)s boxes", count=quote.boxes) if several else None
            note = words.begins(quote, order) or note
        elif line.kind == "discount":
            typed = order.code is not None and line.text.partition(" (")[0] == order.code.code
            text = _("Code %(code)s", code=line.text) if typed else words.discount_line(line)
        elif line.kind == "addon":
            text, note = words.addon_line(item, line)
        elif line.kind == "option":
            text = words.answer_line(line)
        elif line.kind == "shipping":
            text = _("Delivery")
        elif line.kind == "sign_up_fee":
            text = _("Once, with the first payment")
        lines.append((text, line.amount, note))
    return lines


def _refused(order: Order) -> str | None:
    """Return why the code on the order no longer counts."""
    if order.refused is None:
        return None
    return words.refusal_words(order.refused, "", order.code)
