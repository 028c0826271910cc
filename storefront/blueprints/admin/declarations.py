"""What people declared about contracts without signing in: do it, and say that it is done."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.queries import declarations as query
from storefront.security import register_policy, staff
from storefront.services import declarations

register_policy(
    dict.fromkeys(
        ("admin.declarations", "admin.settle_declaration"), staff(may.SUBSCRIPTIONS_MANAGE)
    )
)


def add_declarations(bp: Blueprint) -> None:
    """Add the page and what it posts to."""
    bp.add_url_rule("/declarations", "declarations", show_queue)
    address = "/declarations/<ref>"
    bp.add_url_rule(address, "settle_declaration", settle, methods=["POST"])


def show_queue() -> Response:
    """Show what waits for a person, and the last ones done."""
    return page("subscribers/declarations", **_context())


def settle(ref: str) -> Response:
    """Note that what was declared is done."""
    text = _("Noted as done.")
    try:
        declarations.settle(runtime(), who(), ref, one_line(request.form.get("note")))
    except declarations.DeclarationNotFound:
        abort(404)
    except declarations.AlreadySettled:
        text = _("It was done already.")
    return saved(text, "subscribers/declarations", url_for("admin.declarations"), **_context())


def _context() -> dict[str, Any]:
    rt = runtime()
    rt.session.rollback()
    moment = rt.moment()
    return {
        "waiting": query.queue(rt.session, moment),
        "settled": query.settled(rt.session, moment),
        "today": moment.today,
    }
