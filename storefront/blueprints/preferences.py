"""A visitor's own choices, kept in their browser alone: language, colours, country."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from storefront.blueprints.context import runtime
from storefront.headers import PRIVATE
from storefront.htmx import go
from storefront.languages import CODES, in_language, of_address
from storefront.navigation import page_url
from storefront.operations.checkout import Market
from storefront.runtime import Runtime
from storefront.security import (
    PUBLIC,
    register_policy,
    register_without_token,
    safe_target,
)
from storefront.templating import THEMES

bp = Blueprint("preferences", __name__)
register_policy({"preferences.look": PUBLIC, "preferences.country": PUBLIC})
# A token would be a cookie of its own for everybody who only looks at the plans.
register_without_token({"preferences.look", "preferences.country"})

LANGUAGE_COOKIE, THEME_COOKIE, COUNTRY_COOKIE = "language", "theme", "country"
_ONE_YEAR = 31_536_000


@bp.post("/look")
def look() -> Response:
    """Keep the choices and show the page again; what nobody offers is forgotten."""
    home = page_url("pricing.index") or url_for("health.alive")
    target = safe_target(request.form.get("to")) or home
    chosen = request.form.get("language")
    # What was just chosen holds, not what the address of the page asked for before.
    response = go(target if chosen is None else in_language(target, None))
    if chosen is not None:
        keep_language(response, chosen)
    _keep(response, THEME_COOKIE, request.form.get("theme", ""), set(THEMES))
    return response


@bp.post("/country")
def country() -> Response:
    """Show prices as they are where the visitor lives; elsewhere than we deliver is forgotten."""
    home = page_url("pricing.index") or url_for("health.alive")
    response = go(safe_target(request.form.get("to")) or home)
    offered = set(Market.of(runtime().shop).countries)
    _keep(response, COUNTRY_COOKIE, request.form.get("country", ""), offered)
    return response


def market_of_visit(rt: Runtime) -> Market:
    """Return what is sold, with the country that this visitor chose assumed first."""
    return Market.of(rt.shop).seen_from(request.cookies.get(COUNTRY_COOKIE, ""))


def keep_language(response: Response, language: str) -> None:
    """Show pages in the language that an account was just given; empty: as the browser asks."""
    _keep(response, LANGUAGE_COOKIE, language, set(CODES))


@bp.after_app_request
def remember_language(response: Response) -> Response:
    """Keep the language an address asks for, on pages that no cache keeps for others."""
    asked = of_address()
    is_ours = (request.blueprint or "") in PRIVATE and request.blueprint != "admin"
    if asked and is_ours and asked != request.cookies.get(LANGUAGE_COOKIE):
        keep_language(response, asked)
    return response


def _keep(response: Response, name: str, choice: str, offered: set[str]) -> None:
    settings = runtime().settings
    if choice not in offered:
        response.delete_cookie(name, path=settings.cookie_path)
        return
    response.set_cookie(
        name,
        choice,
        max_age=_ONE_YEAR,
        path=settings.cookie_path,
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",
    )
