"""Recommend us: a code and a link, and what came of it."""

from __future__ import annotations

from flask import Response, url_for

from storefront.blueprints.account.base import bp, page
from storefront.blueprints.context import customer, runtime
from storefront.domain.money import Money
from storefront.htmx import go
from storefront.queries import referrals as query
from storefront.services import referrals


@bp.get("/recommend")
def recommend() -> Response:
    """Show the customer's link and how many friends came."""
    rt, me = runtime(), customer()
    shop, settings = rt.shop, rt.settings
    code = query.code_of(rt.session, me.id)
    return page(
        "recommend",
        is_on=shop.gives_referrals,
        code=code,
        link=f"{settings.base_url}{settings.url_prefix}/r/{code}" if code else "",
        mine=Money(shop.referral_giver_minor, shop.currency),
        theirs=Money(shop.referral_friend_minor, shop.currency),
        sent=query.sent_by(rt.session, me.id),
    )


@bp.post("/recommend")
def make_link() -> Response:
    """Make the link the first time it is wanted."""
    rt = runtime()
    if rt.shop.gives_referrals:
        referrals.code_for(rt, customer().id)
    return go(url_for("account.recommend"))
