"""Who recommended the shop to whom."""

from __future__ import annotations

from flask import Blueprint, Response
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.queries.referrals import report
from storefront.security import register_policy, staff

register_policy({"admin.referrals": staff(permissions.COUPONS_MANAGE)})


def add_referrals(bp: Blueprint) -> None:
    """Add the report."""
    bp.add_url_rule("/referrals", "referrals", referrals)


def referrals() -> Response:
    """Show who came by a friend's link and what was given."""
    rt = runtime()
    return page(
        "referrals/referrals",
        report=report(rt.session, rt.shop.currency),
        is_on=rt.shop.gives_referrals,
        state_word=_state_word,
        reason_word=_reason_word,
    )


def _state_word(state: str) -> str:
    return {
        "waiting": _("not paid yet"),
        "granted": _("credited"),
        "refused": _("refused"),
    }.get(state, state)


def _reason_word(reason: str) -> str:
    return {
        "same_person": _("the same e-mail"),
        "not_new": _("had a subscription before"),
        "same_card": _("the same card"),
        "same_address": _("the same address"),
    }.get(reason, "")
