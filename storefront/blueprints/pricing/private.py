"""Open a private plan by its code, typed or carried by a link.

The link shows the code in its field and asks for one press: looking changes nothing, and tries
are counted where they are made. Source: docs/decisions/0232-private-plans-by-a-code.md.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.opened import open_with
from storefront.blueprints.pricing.memo import for_one
from storefront.blueprints.sources import source_of_visit
from storefront.domain.access_codes import access_code
from storefront.htmx import show
from storefront.queries.pricing import plan_opened_by
from storefront.security import PUBLIC, register_policy, register_without_token, throttle

register_policy({"pricing.private": PUBLIC, "pricing.open_private": PUBLIC})
# It lets one browser see one page more, and stands beside pages that a cache may keep.
register_without_token({"pricing.open_private"})

_PAGE = "storefront/pricing/private.html"
_SHOWN = 60
#: Codes that may be tried from one address, and in how many seconds.
_TRIES = (30, 600)


def add_private(bp: Blueprint) -> None:
    """Add the page of codes to the blueprint of the shop window."""
    bp.add_url_rule("/private", "private", private)
    bp.add_url_rule("/private", "open_private", open_private, methods=["POST"])


def private() -> Response:
    """Ask for the code of a private plan; a link brings it along."""
    response = _page(request.args.get("code", "")[:_SHOWN], "")
    return for_one(response.get_data(as_text=True))


def open_private() -> Response:
    """Go to the plan that a code opens; beside the field it says what is wrong with a code."""
    rt, typed = runtime(), request.form.get("code", "")
    code = access_code(typed)
    if throttle(rt, "plan_code", request.remote_addr or "", *_TRIES):
        return _page(typed, _("Too many tries. Wait ten minutes and try again."), 429)
    if not typed.strip():
        return _page(typed, _("Enter the code that you were given"), 422)
    plan = plan_opened_by(rt.session, code, rt.today()) if code else None
    if plan is None:
        return _page(typed, _("We do not know this code. Check the spelling."), 422)
    open_with(code)
    shown: dict[str, Any] = {**source_of_visit(), "code": plan}
    return redirect(url_for("pricing.plan", **shown), 303)  # type: ignore[return-value]


def _page(typed: str, problem: str, status: int = 200) -> Response:
    canonical = external_url("pricing.private")
    values = {"code": typed, "problem": problem, "page_has_errors": bool(problem)}
    found = {"canonical": canonical, "structured": None, "share_picture": ""}
    return show(_PAGE, _PAGE, status, **values, **found)
