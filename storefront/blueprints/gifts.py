"""The page a gift's code opens: who it is from, what it is, and where it should go."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, flash, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.checkout.forms import DeliveryForm, delivery_form
from storefront.blueprints.context import page_url, runtime
from storefront.blueprints.places import asked_of_address, refuse
from storefront.blueprints.typed import one_line
from storefront.database import reading
from storefront.domain.privacy import normalise_email
from storefront.htmx import go, show
from storefront.logins import current_customer, remember_customer
from storefront.queries.gifts import GiftView, by_code
from storefront.runtime import Runtime
from storefront.security import PUBLIC, register_policy, throttle
from storefront.services.gifts import (
    AlreadyClaimed,
    NotServed,
    OtherCountry,
    UnknownCode,
    claim,
)
from storefront.services.sessions import start_session
from storefront.templating import locale_code, writing_locale

bp = Blueprint("gifts", __name__, url_prefix="/gift")
register_policy({f"gifts.{name}": PUBLIC for name in ("open_gift", "claim_gift")})

#: Codes that may be tried from one address, and in how many seconds. They cannot be guessed;
#: this keeps the noise down.
_TRIES = (60, 600)


@bp.get("/<code>")
def open_gift(code: str) -> Response:
    """Show the gift; looking claims nothing."""
    gift = _gift(runtime(), code)
    return _page(code, gift, _form(gift, {"name": gift.name, **_shown(gift), **_known(gift)}))


@bp.post("/<code>")
def claim_gift(code: str) -> Response:
    """Take the address; a signed-in customer claims it for their own account."""
    rt = runtime()
    if throttle(rt, "gift_ip", request.remote_addr or "", *_TRIES):
        abort(429)
    gift, me = _gift(rt, code), current_customer()
    given: Any = request.form.copy()
    given["country"] = gift.country
    if me is not None:
        given["email"] = me.email
    form = _form(gift, {}, given)
    if not form.validate() or refuse(rt, form):
        return _page(code, gift, form, 422)
    try:
        done = claim(
            rt,
            code,
            normalise_email(form.email.data or ""),
            form.address(),
            customer_id=me.id if me else None,
            locale=locale_code(),
        )
    except (AlreadyClaimed, OtherCountry, NotServed, UnknownCode):
        # Somebody else was faster, or the shop stopped delivering there: show what is true now.
        return go(url_for("gifts.open_gift", code=code))
    # The code shows that somebody reads the mailbox it was sent to, and no other.
    is_proved = normalise_email(form.email.data or "") == gift.email
    if me is None and done.new_customer_id is not None and is_proved:
        _sign_in(rt, done.new_customer_id)
        me = current_customer()
    thanks = _("Thank you. Your boxes go there.")
    if me is not None:
        return go(url_for("account.subscription", subscription=done.subscription), thanks)
    flash(thanks)
    return go(url_for("gifts.open_gift", code=code))


def _gift(rt: Runtime, code: str) -> GiftView:
    with reading():
        gift = by_code(rt.session, code[:60])
    rt.session.rollback()
    if gift is None:
        abort(404)
    return gift


def _shown(gift: GiftView) -> dict[str, str]:
    """Return what is filled in of the address that the giver told us, never the phone.

    Of what we mailed a link to, the town alone: the mail may reach another than the giver meant.
    """
    parts = gift.goes_to.keys() - {"phone"} if gift.is_quiet else gift.goes_to.keys() & {"city"}
    return {name: gift.goes_to[name] for name in parts}


def _known(gift: GiftView) -> dict[str, str]:
    me = current_customer()
    return {"email": me.email if me else gift.email}


def _form(gift: GiftView, known: dict[str, str], given: Any = None) -> DeliveryForm:
    return delivery_form([_country(gift)], known, given)


def _country(gift: GiftView) -> tuple[str, str]:
    return gift.country, str(writing_locale().territories.get(gift.country, gift.country))


def _sign_in(rt: Runtime, customer_id: int) -> None:
    """Sign this browser in: who was made by this claim has nothing yet that is anybody else's."""
    agent = one_line(request.user_agent.string)
    secret = start_session(rt, customer_id, "gift", request.remote_addr or "", agent)
    remember_customer(secret)


def _page(code: str, gift: GiftView, form: DeliveryForm, status: int = 200) -> Response:
    rt = runtime()
    return show(
        "storefront/gifts/claim.html",
        "storefront/gifts/_claim.html",
        status,
        code=code,
        gift=gift,
        form=form,
        country=_country(gift),
        is_closed=gift.cutoff_on is not None and gift.cutoff_on < rt.today(),
        **asked_of_address(rt, [gift.country]),
        sign_in_url=page_url("auth.sign_in"),
        page_has_errors=status != 200,
    )
