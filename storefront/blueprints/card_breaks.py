"""What is said to somebody who has to take a break after too many declined cards."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from flask import Response, request
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.context import runtime
from storefront.domain.card_testing import Asker, takes_cards
from storefront.htmx import wants_partial
from storefront.logins import current_customer


def asker_of(order: str) -> Asker:
    """Return who tries a card for an order: the customer who is signed in, else its shopper."""
    me = current_customer()
    return Asker.of(me.id if me else None, order, request.remote_addr or "")


def break_words(until: datetime, ways: Sequence[tuple[str, str]]) -> str:
    """Return what happened and what can be done; ``ways`` as ``ways_to_pay`` has them."""
    rt = runtime()
    minutes = max(1, -int((rt.now() - until).total_seconds() // 60))
    told = [
        _("Too many cards were declined here within an hour. Nothing was charged for them."),
        ngettext(
            "A card can be tried again in %(num)s minute; what you entered is kept until then.",
            "A card can be tried again in %(num)s minutes; what you entered is kept until then.",
            minutes,
        ),
    ]
    other = [
        word
        for name, word in ways
        if name in rt.gateways and not takes_cards(rt.gateways[name].capabilities.kinds)
    ]
    if other:
        told.append(_("You can pay another way at once: %(ways)s.", ways=", ".join(other)))
    told.append(
        _(
            "Your bank can say why it declines. We help as well: %(email)s",
            email=rt.shop.support_email,
        )
    )
    return " ".join(told)


def break_status() -> int:
    """Return the status of the answer; htmx swaps a 422 and leaves a 429 alone."""
    return 422 if wants_partial() else 429


def come_back(response: Response, until: datetime) -> Response:
    """Say in the answer's head as well when to try again."""
    seconds = int((until - runtime().now()).total_seconds())
    response.headers["Retry-After"] = str(max(1, seconds))
    return response
