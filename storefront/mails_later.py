"""The mail with the link to an order that was begun; only who asks for it gets it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from flask_babel import gettext as _

from storefront.mail_words import Words, Writer
from storefront.operations.checkout import find_checkout
from storefront.operations.order_links import TOPIC, order_token


def order_later(writer: Writer) -> Words | None:
    """The way back to an order; None once it is paid for, or its e-mail is another."""
    rt, payload = writer.rt, writer.delivery.payload
    row = find_checkout(rt.session, str(payload["order"]))
    until = datetime.fromtimestamp(payload["until"], UTC)
    is_wanted = row is not None and row.state in ("open", "expired")
    if row is None or not is_wanted or row.email != writer.reader.email or until <= rt.now():
        return None
    token = order_token(rt.settings.secret_key, row.public_id, payload["total"], until)
    return Words(
        _("Your order at %(shop)s: go on where you were", shop=rt.shop.name),
        _("Here is the link you asked for."),
        _("Nothing is ordered yet, and nothing was charged."),
        ((_("The link works until"), writer.moment(until)),),
        (_("Go on with your order"), writer.url(f"/checkout/later/{token}")),
        (_("We keep no box for you until you order. The link shows what changed meanwhile."),),
        why=_(
            "You get this mail because somebody typed %(email)s in an order at %(shop)s and asked"
            " for a link. It was not you? Then do nothing: nothing is ordered, and we do not write"
            " again on our own.",
            email=row.email,
            shop=rt.shop.name,
        ),
    )


#: Topic of the outbox -> how it is worded.
LATER_TOPICS: dict[str, Callable[[Writer], Words | None]] = {TOPIC: order_later}
