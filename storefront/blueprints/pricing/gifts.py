"""Give a box, or open one that was given: what stands behind *Gifts* in the menu.

Source: docs/decisions/0245-a-page-for-gifts.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.intervals import interval_code
from storefront.blueprints.preferences import market_of_visit
from storefront.blueprints.pricing.memo import answer
from storefront.blueprints.pricing.places import delivery_values
from storefront.blueprints.sources import source_of_visit
from storefront.domain.money import Money
from storefront.htmx import show
from storefront.queries.gifts import by_code
from storefront.queries.plan_offers import Offer
from storefront.queries.pricing import PlanCard, pricing_page
from storefront.security import PUBLIC, register_policy, register_without_token, throttle

register_policy({"pricing.gifts": PUBLIC, "pricing.open_gift": PUBLIC})
# It leads to a page and changes nothing, from one that a cache may keep.
register_without_token({"pricing.open_gift"})

_CODE = re.compile(r"[0-9A-Za-z_-]{1,60}")
#: Codes that may be tried from one address, and in how many seconds.
_TRIES = (30, 600)


def add_gifts(bp: Blueprint) -> None:
    """Add the page of gifts to the blueprint of the shop window."""
    bp.add_url_rule("/gifts", "gifts", gifts)
    bp.add_url_rule("/gifts/open", "open_gift", open_gift, methods=["POST"])


def gifts() -> Response:
    """Show what can be given, how that goes, and where a code is opened."""
    return answer("gifts", _values)


def open_gift() -> Response:
    """Go to the gift that a code opens; beside the field it says what is wrong with a code."""
    rt = runtime()
    typed = request.form.get("code", "")
    code = "".join(typed.split())
    if throttle(rt, "gift_code", request.remote_addr or "", *_TRIES):
        problem, status = _("Too many tries. Wait ten minutes and try again."), 429
    elif not code:
        problem, status = _("Enter the code from the card or the mail"), 422
    elif _CODE.fullmatch(code) and by_code(rt.session, code) is not None:
        return redirect(url_for("gifts.open_gift", code=code), 303)  # type: ignore[return-value]
    else:
        problem, status = _("We do not know this code. Check the spelling."), 422
    values = {**_values(), "code": typed, "problem": problem, "page_has_errors": True}
    page = "storefront/pricing/gifts.html"
    return show(page, page, status, **values)


def _values() -> Mapping[str, Any]:
    rt = runtime()
    market = market_of_visit(rt)
    page = pricing_page(rt.session, market, rt.today(), rt.moment())
    plans = [plan for plan in page.plans if plan.ships and not plan.is_sold_out]
    shown = [plan for plan in plans if plan.is_recommended] or plans
    picture = external_url("pricing.plan_picture", code=shown[0].code) if shown else ""
    return {
        **delivery_values(rt, market),
        "plans": [(plan, [_given(plan, offer) for offer in plan.offers]) for plan in plans],
        "canonical": external_url("pricing.gifts"),
        "structured": None,
        "share_picture": picture,
        "code": "",
        "problem": "",
    }


def _given(plan: PlanCard, offer: Offer) -> tuple[int, Money | None, str]:
    """Return how many boxes are given, what they cost today if that is known here, and where."""
    source: dict[str, Any] = {**source_of_visit(), "gift": "1"}
    code = interval_code(offer.interval)
    url = url_for("checkout.choose", plan=plan.code, interval=code, **source)
    # What is tried for free or begins later is paid at once as a gift: the checkout says how much.
    is_known = offer.due_today is not None and not offer.trial_days and offer.free is None
    return offer.boxes, offer.due_today if is_known else None, url
