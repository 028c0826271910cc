"""How search engines and shared links find the shop window, and what it says to browsers.

Source: docs/decisions/0221-found-by-search-engines.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from flask import Blueprint, Response, json

from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.intervals import interval_code
from storefront.domain.structured import Sold, plan_list, product
from storefront.languages import alternates
from storefront.merchant_texts import said
from storefront.queries.content import public_slugs
from storefront.queries.past_boxes import gallery
from storefront.queries.pricing import PlanCard, PlanPage, PricingPage, listed_codes
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy

#: What belongs to one person or to staff: asking for it is work for nothing.
_CLOSED = ("auth.sign_in", "account.home", "admin.today", "checkout.choose")
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
_XHTML = "http://www.w3.org/1999/xhtml"
#: Since when the shop honours an opt-out by the browser, in the form its specification asks for.
_OPT_OUT = {"gpc": True, "lastUpdate": "2026-11-23"}
register_policy(
    {"pricing.sitemap": PUBLIC, "pricing.robots": PUBLIC, "pricing.opt_out_support": PUBLIC}
)


def add_found(bp: Blueprint) -> None:
    """Add what crawlers ask for to the blueprint of the shop window."""
    bp.add_url_rule("/sitemap.xml", "sitemap", sitemap)
    bp.add_url_rule("/robots.txt", "robots", robots)
    bp.add_url_rule("/.well-known/gpc.json", "opt_out_support", opt_out_support)


def sitemap() -> Response:
    """List the pages that are worth finding: prices, plans on sale, past boxes, the shop's own."""
    rt = runtime()
    codes = listed_codes(rt.session, rt.today())
    addresses = [
        external_url("pricing.index"),
        *(external_url("pricing.plan", code=code) for code in codes),
        external_url("pricing.gifts"),
        *_of_past_boxes(rt),
        *(external_url("pricing.content", slug=slug) for slug in public_slugs(rt.session)),
    ]
    return _text("\n".join(_sitemap(addresses)), "application/xml")


def _of_past_boxes(rt: Runtime) -> list[str]:
    """Return the gallery and the boxes on its first page; nothing before a box has left."""
    boxes = gallery(rt.session, rt.today()).boxes
    addresses = [external_url("pricing.past_boxes")] if boxes else []
    return addresses + [
        external_url("pricing.past_box", code=box.plan_code, key=box.key) for box in boxes
    ]


def robots() -> Response:
    """Say what is not worth crawling, and where the sitemap is."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in _closed())]
    lines += ["", f"Sitemap: {external_url('pricing.sitemap')}", ""]
    return _text("\n".join(lines), "text/plain")


def of_list(page: PricingPage) -> dict[str, Any]:
    """Return what the pricing page says of itself to machines."""
    items = [(said(plan.name), external_url("pricing.plan", code=plan.code)) for plan in page.plans]
    shown = [plan for plan in page.plans if plan.is_recommended] or page.plans
    return {
        "canonical": external_url("pricing.index"),
        "structured": plan_list(items),
        "share_picture": _picture_of(shown[0].code) if shown else "",
    }


def of_plan(page: PlanPage) -> dict[str, Any]:
    """Return what the page of a plan says of itself to machines; nothing of an unlisted one."""
    plan, url = page.plan, external_url("pricing.plan", code=page.plan.code)
    picture = _picture_of(plan.code)
    if not page.is_listed:
        shared = {"canonical": url, "share_picture": picture}
        return {**shared, "structured": None, "is_unlisted": True}
    words = said(plan.description or plan.tagline)
    offers = list(_sold(plan))
    brand = runtime().shop.name
    told = product(said(plan.name), words, brand, offers, picture, is_sold_out=plan.is_sold_out)
    return {"canonical": url, "share_picture": picture, "structured": told, "is_unlisted": False}


def _picture_of(code: str) -> str:
    return external_url("pricing.plan_picture", code=code)


def _sold(plan: PlanCard) -> Iterator[Sold]:
    inside = {"in": True, "tax": True, "without": False}
    for offer in plan.offers:
        code = interval_code(offer.interval)
        url = external_url("pricing.plan", code=plan.code, interval=code)
        yield Sold(offer.interval, offer.total, inside.get(offer.tax), url)


def opt_out_support() -> Response:
    """Say that Global Privacy Control is honoured, where its specification has it asked for."""
    return _text(json.dumps(_OPT_OUT), "application/json")


def _closed() -> list[str]:
    base = runtime().settings.base_url
    return [external_url(endpoint).removeprefix(base).rstrip("/") for endpoint in _CLOSED]


def _sitemap(addresses: list[str]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<urlset xmlns="{_SITEMAP}" xmlns:xhtml="{_XHTML}">'
    for address in addresses:
        versions = list(alternates(address))
        links = "".join(
            f'<xhtml:link rel="alternate" hreflang="{tag}" href={quoteattr(url)}/>'
            for tag, url in versions
        )
        for _tag, url in versions:
            yield f"<url><loc>{escape(url)}</loc>{links}</url>"
    yield "</urlset>\n"


def _text(words: str, kind: str) -> Response:
    response = Response(words, mimetype=kind)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
