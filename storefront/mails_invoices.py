"""Mails about invoices: money that goes back, transfers that are waited for, extra charges."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront.domain.money import Money
from storefront.mail_words import Words, Writer


def refunded(writer: Writer) -> Words:
    payload = writer.delivery.payload
    amount = writer.money(Money(int(payload["amount_minor"]), str(payload["currency"])))
    how = {
        "card": _("It goes back to your card, usually within days."),
        "credit": _("It is credit now and pays your next invoices."),
        "bank": _("We send it to your bank account."),
        "open": _("We had not asked you for it yet, and do not any more."),
    }
    return Words(
        _("%(amount)s back from %(shop)s", amount=amount, shop=writer.rt.shop.name),
        _("You get %(amount)s back.", amount=amount),
        how[str(payload["way"])],
        ((_("Amount"), amount),),
        (
            _("See the credit note"),
            writer.url(f"/account/invoices/{payload['credit_note']}"),
        ),
        (how[str(payload["way"])],),
    )


INVOICE_TOPICS: dict[str, Callable[[Writer], Words | None]] = {"refunded": refunded}
