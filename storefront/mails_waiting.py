"""Mails to who waits for a place of a plan: on the list, and a place is free."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said
from storefront.operations.secrets import return_token
from storefront.queries.waiting import WAITING, Waiting, waiting_one


def waiting_joined(writer: Writer) -> Words | None:
    """To who has just come: what happens next, and the way off the list."""
    found = _found(writer)
    if found is None or found.until_at is not None:
        return None
    return Words(
        _("You are on the list for %(plan)s", plan=said(found.plan)),
        _("%(plan)s is sold out for now, and you are on its list.", plan=said(found.plan)),
        _("When it is your turn, we write once and keep a place for you for a while."),
        ((_("Plan"), said(found.plan)),),
        (_("See how you stand, or leave the list"), _url(writer, found)),
        why=_why(writer, found),
    )


def place_free(writer: Writer) -> Words | None:
    """To who is next; None once the time is over."""
    found = _found(writer)
    if found is None or found.until_at is None or found.until_at <= writer.rt.now():
        return None
    until = writer.moment(found.until_at)
    return Words(
        _("A place of %(plan)s is yours until %(until)s", plan=said(found.plan), until=until),
        _("A place of %(plan)s is free, and it is kept for you.", plan=said(found.plan)),
        _("Order by %(until)s. After that it goes to the next on the list.", until=until),
        ((_("Plan"), said(found.plan)), (_("Kept until"), until)),
        (_("See your place"), _url(writer, found)),
        (_("Order with this e-mail, %(email)s: the place is kept for it.", email=found.email),),
        why=_why(writer, found),
    )


def _found(writer: Writer) -> Waiting | None:
    return waiting_one(writer.rt.session, str(writer.delivery.payload["place"]))


def _url(writer: Writer, found: Waiting) -> str:
    token = return_token(writer.rt.settings.secret_key, WAITING, found.public_id)
    return writer.url(f"/waiting/place/{token}")


def _why(writer: Writer, found: Waiting) -> str:
    return _(
        "You get this mail because somebody put %(email)s on the waiting list of %(shop)s. It was"
        " not you? The link above takes you off it.",
        email=found.email,
        shop=writer.rt.shop.name,
    )


#: Topic of the outbox -> how it is worded.
WAITING_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "place_free": place_free,
    "waiting_joined": waiting_joined,
}
