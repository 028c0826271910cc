"""Pages that anybody reads before ordering."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from storefront.blueprints.context import runtime
from storefront.blueprints.intervals import interval_code, interval_from
from storefront.blueprints.opened import codes_of_visit
from storefront.blueprints.preferences import market_of_visit
from storefront.blueprints.pricing.content import add_content, faq_values
from storefront.blueprints.pricing.found import add_found, of_list, of_plan
from storefront.blueprints.pricing.gifts import add_gifts
from storefront.blueprints.pricing.memo import answer
from storefront.blueprints.pricing.past import add_past
from storefront.blueprints.pricing.places import delivery_values, place_name
from storefront.blueprints.pricing.private import add_private
from storefront.blueprints.skip_words import skip_rules
from storefront.blueprints.sources import source_of_visit
from storefront.domain.periods import Interval
from storefront.queries.pricing import PlanCard, plan_page, pricing_page
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy

bp = Blueprint("pricing", __name__)
register_policy({"pricing.index": PUBLIC, "pricing.plan": PUBLIC})

add_found(bp)
add_content(bp)

_PLAN_CODE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@bp.get("/")
def index() -> Response:
    """All plans side by side in one interval."""
    return answer("index", lambda: _index_values(runtime()))


@bp.get("/plans/<code>")
def plan(code: str) -> Response:
    """One plan: what is in it, when it comes, how to leave."""
    if not _PLAN_CODE.fullmatch(code):
        abort(404)
    rt = runtime()
    return answer(f"plan/{code}", lambda: _plan_values(rt, code))


add_past(bp, answer)
add_gifts(bp)
add_private(bp)


def _index_values(rt: Runtime) -> Mapping[str, Any]:
    market = market_of_visit(rt)
    page = pricing_page(rt.session, market, rt.today(), rt.moment())
    chosen = _chosen(page.intervals)
    links = [
        (each, page.savings.get(each, 0), _here("pricing.index", each), each == chosen)
        for each in page.intervals
    ]
    sold = [one for one in page.plans if not one.is_sold_out] or page.plans
    shown = next((one for one in sold if one.is_recommended), None)
    return {
        **of_list(page),
        **faq_values(),
        "page": page,
        "has_codes": bool(rt.shop.content.get("has_codes")),
        "interval": chosen,
        "intervals": links,
        "limits_skips": any(each.skip_limits.binds for each in page.plans),
        "skip_rules": skip_rules,
        "example": shown or (sold[0] if sold else None),
        "choose_url": _choose_url,
        **delivery_values(rt, market),
        "plan_url": lambda code: _here("pricing.plan", chosen, code=code),
    }


def _plan_values(rt: Runtime, code: str) -> Mapping[str, Any]:
    market = market_of_visit(rt)
    page = plan_page(rt.session, code, market, rt.today(), rt.moment(), codes_of_visit())
    if page is None:
        abort(404)
    intervals = tuple(offer.interval for offer in page.plan.offers)
    chosen = _chosen(intervals)
    links = [
        (
            offer.interval,
            offer.saving,
            _here("pricing.plan", offer.interval, code=code),
            offer.interval == chosen,
        )
        for offer in page.plan.offers
    ]
    return {
        **of_plan(page),
        **faq_values(code),
        "page": page,
        "plan": page.plan,
        "offer": page.plan.offer(chosen),
        "limits_skips": page.plan.skip_limits.binds,
        "skip_rules": skip_rules,
        "intervals": links,
        "choose_url": _choose_url,
        **delivery_values(rt, market),
        "fewer_in": [
            (place_name(country, region), boxes) for country, region, boxes in page.plan.fewer_in
        ],
    }


def _chosen(intervals: tuple[Interval, ...]) -> Interval | None:
    wished = interval_from(request.args.get("interval"))
    return wished if wished in intervals else (intervals[0] if intervals else None)


def _here(endpoint: str, interval: Interval | None, **values: str) -> str:
    shown: dict[str, Any] = {**values, **source_of_visit()}
    return url_for(endpoint, interval=interval_code(interval) if interval else None, **shown)


def _choose_url(plan: PlanCard, interval: Interval) -> str:
    source: dict[str, Any] = {**source_of_visit()}
    code = interval_code(interval)
    return url_for("checkout.choose", plan=plan.code, interval=code, **source)
