"""A friend's link: remember who sent this shopper, and show the boxes."""

from __future__ import annotations

from flask import Response, flash, session
from flask_babel import gettext as _

from storefront.blueprints.checkout.steps import REFERRER, bp
from storefront.blueprints.checkout.words import money
from storefront.blueprints.context import page_url, runtime
from storefront.domain.money import Money
from storefront.htmx import go
from storefront.logins import current_customer
from storefront.security import PUBLIC, register_policy
from storefront.services.referrals import giver_of

register_policy({"checkout.referred": PUBLIC})


@bp.get("/r/<code>")
def referred(code: str) -> Response:
    """Remember the friend for this visit; an unknown code leads to the boxes all the same."""
    rt = runtime()
    home = page_url("pricing.index") or "/"
    giver = giver_of(rt, code)
    me = current_customer()
    if giver is None:
        return go(home)
    if me is not None and me.id == giver:
        return go(home, _("This is your own link. Send it to a friend."))
    session[REFERRER] = giver
    friend = Money(rt.shop.referral_friend_minor, rt.shop.currency)
    if friend.minor:
        flash(_("A friend sent you: with your first paid box you get %(sum)s.", sum=money(friend)))
    return go(home)
