"""A visitor's own choices, kept in their browser and nowhere else: language and colours."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for

from storefront.blueprints.context import runtime
from storefront.htmx import go
from storefront.navigation import page_url
from storefront.security import PUBLIC, register_policy, safe_target
from storefront.templating import LANGUAGES, THEMES

bp = Blueprint("preferences", __name__)
register_policy({"preferences.look": PUBLIC})

LANGUAGE_COOKIE, THEME_COOKIE = "language", "theme"
_ONE_YEAR = 31_536_000


@bp.post("/look")
def look() -> Response:
    """Keep the choices and show the page again; what nobody offers is forgotten."""
    home = page_url("pricing.index") or url_for("health.alive")
    response = go(safe_target(request.form.get("to")) or home)
    languages = {code for code, _name in LANGUAGES}
    _keep(response, LANGUAGE_COOKIE, request.form.get("language", ""), languages)
    _keep(response, THEME_COOKIE, request.form.get("theme", ""), set(THEMES))
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
