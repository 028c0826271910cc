"""Keys of the merchant's programs: make one, see when it was used, take it back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.context import external_url, runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.htmx import go
from storefront.queries.api_tokens import listed_tokens
from storefront.security import register_policy, staff
from storefront.services import api_tokens as service

register_policy(
    dict.fromkeys(
        ("admin.api_tokens", "admin.api_token_new", "admin.api_token_revoke"),
        staff(may.SETTINGS_MANAGE),
    )
)


def add_api_tokens(bp: Blueprint) -> None:
    """Add the page to the admin's blueprint."""
    bp.add_url_rule("/tracking/keys", "api_tokens", overview)
    bp.add_url_rule("/tracking/keys", "api_token_new", new, methods=["POST"])
    bp.add_url_rule("/tracking/keys/<ref>/revoke", "api_token_revoke", revoke, methods=["POST"])


def overview() -> Response:
    """Show the keys there are."""
    return _page()


def new() -> Response:
    """Make a key and show it: this once, so the answer is a page and no redirect."""
    name = one_line(request.form.get("name"))
    try:
        secret = service.make_token(runtime(), who(), name)
    except service.BadTokenName as bad:
        text = _(
            "Give it a name of up to %(letters)s letters. There are %(most)s keys at most: take "
            "back those that nobody uses.",
            letters=service.MOST_NAME,
            most=bad.params["most"],
        )
        return _page(422, error=text, called=name)
    return _page(secret=secret, called=name)


def revoke(ref: str) -> Response:
    """Take a key back."""
    done = service.revoke_token(runtime(), who(), ref)
    text = _("It opens nothing any more.") if done else _("Somebody has done that already.")
    return go(url_for("admin.api_tokens"), text)


def _page(status: int = 200, **context: Any) -> Response:
    rt = runtime()
    tokens = listed_tokens(rt.session)
    rt.session.rollback()
    values: dict[str, Any] = {"error": "", "called": "", "secret": "", **context}
    return page(
        "tracking/keys",
        status,
        tokens=tokens,
        api_url=external_url("api.tracking"),
        most_name=service.MOST_NAME,
        **values,
    )
