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
from storefront.blueprints.pricing.private import add_private
from storefront.blueprints.skip_words import skip_rules
from storefront.blueprints.sources import source_of_visit
from storefront.domain.periods import Interval
from storefront.domain.regions import region_name
from storefront.domain.shipping import Told, is_blocked, told
from storefront.operations.checkout import Market
from storefront.operations.shipping import read_zones
from storefront.queries.pricing import PlanCard, plan_page, pricing_page
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy
from storefront.templating import writing_locale

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
        **_delivery(rt, market),
        "plan_url": lambda code: _here("pricing.plan", chosen, code=code),
        "countries": _country_names(market.countries),
        "places": _places(market.countries),
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
        **_delivery(rt, market),
        "countries": _country_names(market.countries),
        "places": _places(market.countries),
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


def _delivery(rt: Runtime, market: Market) -> dict[str, Any]:
    """Return what delivery costs where prices are shown for, and in each country by its cost."""
    zones = read_zones(rt.session)
    costs: dict[Told | None, list[str]] = {}
    for country in market.countries:
        if not is_blocked(zones, country):
            (name,) = _country_names((country,))
            costs.setdefault(told(zones, country, market.currency), []).append(name)
    return {"delivery": told(zones, market.countries[0], market.currency), "deliveries": costs}


def _choose_url(plan: PlanCard, interval: Interval) -> str:
    source: dict[str, Any] = {**source_of_visit()}
    code = interval_code(interval)
    return url_for("checkout.choose", plan=plan.code, interval=code, **source)


def _places(codes: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (code, name) of the countries delivered to; the one prices are shown for first."""
    return list(zip(codes, _country_names(codes), strict=True))


def place_name(country: str, region: str) -> str:
    """Return what a country, or a region of it, is called: California (United States)."""
    (name,) = _country_names((country,))
    return f"{region_name(country, region)} ({name})" if region else name


def _country_names(codes: tuple[str, ...]) -> list[str]:
    names = writing_locale().territories
    return [str(names.get(code, code)) for code in codes]
