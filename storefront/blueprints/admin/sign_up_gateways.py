"""Which gateways take new methods, and in what order shoppers see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.admin.words import decline_reason
from storefront.blueprints.context import runtime
from storefront.blueprints.gateway_words import brand, ways_to_pay
from storefront.domain import permissions
from storefront.queries.sign_up import standings
from storefront.security import register_policy, staff
from storefront.services import shop

_ACCESS = staff(permissions.SETTINGS_MANAGE)
register_policy({"admin.ways_to_pay": _ACCESS, "admin.ways_to_pay_save": _ACCESS})


def add_sign_up_gateways(bp: Blueprint) -> None:
    """Add the page; its address is more exact than that of a section of the settings."""
    bp.add_url_rule("/settings/gateways", "ways_to_pay", ways)
    bp.add_url_rule("/settings/gateways", "ways_to_pay_save", save, methods=["POST"])


def ways() -> Response:
    """Show every gateway with its place, and how it stands."""
    return page("settings/gateways", **_context())


def save() -> Response:
    """Open, close and order gateways for new methods."""
    rt = runtime()
    chosen = [name for name in rt.gateways if request.form.get(f"open-{name}")]
    order = sorted(chosen, key=lambda name: (_place(request.form, name), chosen.index(name)))
    rt.session.rollback()
    try:
        changed = shop.set_sign_up_gateways(rt, who(), order)
    except shop.NoGateway:
        rt.session.rollback()
        problem = _("Leave one open at least. To take no orders, archive your plans.")
        return page("settings/gateways", 422, **_context(), problem=problem)
    text = _("Saved.") if changed else _("Nothing to save: it is all as before.")
    return saved(text, "settings/gateways", url_for("admin.ways_to_pay"), **_context())


def _place(form: Mapping[str, str], name: str) -> int:
    typed = form.get(f"place-{name}", "")
    return int(typed) if typed.isdecimal() and len(typed) < 4 else len(form)


def _context() -> dict[str, Any]:
    rt = runtime()
    names = list(dict.fromkeys([*rt.sign_up_gateways(), *rt.gateways]))
    open_names = rt.sign_up_gateways()
    words = dict(ways_to_pay(rt.gateways, names))
    stands = standings(rt.session, [(name, rt.gateways[name].account) for name in names])
    return {
        "gateways": [
            {
                "name": name,
                "place": place,
                "title": brand(name),
                "shown": words[name],
                "currencies": sorted(rt.gateways[name].capabilities.currencies),
                "is_open": name in open_names,
                "stands": stands[name],
            }
            for place, name in enumerate(names, 1)
        ],
        "reason": decline_reason,
    }
