"""The plans inside pages of other sites: a small script, and the page that it frames.

The script makes ``<storefront-plans>``. The page is public, knows nobody and changes nothing; only
sites that the merchant named may frame it (``Shop.embed_origins``), and no other page of ours.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask_babel import gettext as _
from markupsafe import escape

from storefront.assets import answer, asset_named
from storefront.blueprints.catalogue import delivery_of
from storefront.blueprints.context import runtime
from storefront.blueprints.intervals import interval_code, interval_from
from storefront.blueprints.preferences import market_of_visit
from storefront.blueprints.pricing.places import delivery_of_offer
from storefront.domain.periods import Interval
from storefront.headers import content_security_policy
from storefront.languages import of_address
from storefront.queries.pricing import PlanCard, pricing_page
from storefront.security import PUBLIC, register_policy

bp = Blueprint("embed", __name__, url_prefix="/embed")
register_policy({"embed.script": PUBLIC, "embed.plans": PUBLIC})

#: The address stays for as long as the element means the same; a release reaches pages in an hour.
_SCRIPT_KEPT = "public, max-age=3600, stale-while-revalidate=86400"
_PAGE_KEPT = "public, max-age=60"
_MOST_PLANS = 20


@bp.get("/v1.js")
def script() -> Response:
    """What defines the element; any site may load it."""
    response = answer(asset_named("embed.js"), _SCRIPT_KEPT)
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@bp.get("/plans")
def plans() -> Response:
    """The plans side by side, without the shop around them; every link of it leaves the frame."""
    sites = runtime().shop.embed_origins
    wished = request.args.get("site", "")
    response = make_response(
        render_template("storefront/embed/plans.html", **_values(wished if wished in sites else ""))
    )
    policy = content_security_policy("embed", framed_by=sites)
    response.headers["Content-Security-Policy"] = policy
    # A page that isolates itself frames only what agrees to it.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = _PAGE_KEPT
    response.headers["X-Robots-Tag"] = "noindex"
    response.vary.update(["Cookie"] if of_address() else ["Accept-Language", "Cookie"])
    return response


def snippet() -> str:
    """Return what a merchant pastes into a page of another site."""
    link = escape(_("Plans and prices of %(shop)s", shop=runtime().shop.name))
    here, out = url_for("embed.script", _external=True), url_for("pricing.index", _external=True)
    # Addresses made of the shop's own hold nothing to escape.
    return (
        f'<script async src="{here}"></script>\n'
        f'<storefront-plans><a href="{out}">{link}</a></storefront-plans>'
    )


def _values(site: str) -> dict[str, Any]:
    rt = runtime()
    market = market_of_visit(rt)
    page = pricing_page(rt.session, market, rt.today(), rt.moment())
    named = request.args.get("plan", "").split()[:_MOST_PLANS]
    wished = interval_from(request.args.get("interval"))
    interval = wished if wished in page.intervals else next(iter(page.intervals), None)
    country = market.countries[0]
    return {
        "site": site,
        "plans": [each for each in page.plans if not named or each.code in named],
        "interval": interval,
        "intervals": [
            (each, page.savings.get(each, 0), _here(site, each), each == interval)
            for each in page.intervals
        ],
        "countries": [],
        "delivery_of": partial(delivery_of_offer, delivery_of(rt), country),
        "plan_url": lambda plan, chosen: _out("pricing.plan", site, chosen, code=plan.code),
        "choose_url": lambda plan, chosen: _choose_url(plan, site, chosen),
        "shop_url": _out("pricing.index", site, interval),
    }


def _here(site: str, interval: Interval) -> str:
    """Return this page in another interval, everything else as the element asked for it."""
    shown: dict[str, Any] = {"plan": request.args.get("plan") or None, "site": site or None}
    return url_for("embed.plans", interval=interval_code(interval), **shown)


def _choose_url(plan: PlanCard, site: str, interval: Interval) -> str:
    return _out("checkout.choose", site, interval, plan=plan.code)


def _out(endpoint: str, site: str, interval: Interval | None, **values: str) -> str:
    """Return a page of the shop that knows which site led to it."""
    shown: dict[str, Any] = {**values, "ref": urlsplit(site).hostname}
    code = interval_code(interval) if interval else None
    return url_for(endpoint, interval=code, **shown)
