"""Mails about invoices: money that goes back, transfers that are waited for, extra charges."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront import formats
from storefront.domain.money import Money
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said
from storefront.queries.documents import Document, document
from storefront.queries.mails import gift_of_box


def refunded(writer: Writer) -> Words:
    payload = writer.delivery.payload
    amount = writer.money(Money(int(payload["amount_minor"]), str(payload["currency"])))
    how = {
        "card": _("It goes back to your card, usually within days."),
        "credit": _("It is credit now and pays your next invoices."),
        "bank": _("We send it to your bank account."),
        "open": _("We had not asked you for it yet, and do not any more."),
    }
    why = _left_out(writer)
    if why:
        # Who gives a box need not have a subscription, so perhaps no next invoice.
        text = _("It is credit now and pays for what you buy from us next.")
        ask = _("You would rather have the money back? Answer this mail, and we find a way.")
        how["credit"] = f"{text} {ask}"
    return Words(
        _("%(amount)s back from %(shop)s", amount=amount, shop=writer.rt.shop.name),
        _("You get %(amount)s back.", amount=amount),
        how[str(payload["way"])],
        ((_("Amount"), amount), *why),
        (
            _("See the credit note"),
            writer.url(f"/account/invoices/{payload['credit_note']}"),
        ),
    )


def _left_out(writer: Writer) -> list[tuple[str, str]]:
    """Return what ran out of which box, where the money is for that; empty for another reason."""
    payload = writer.delivery.payload
    if not payload.get("left_out"):
        return []
    plan, recipient = gift_of_box(writer.rt.session, str(payload["box"]))
    names = formats.listing(payload["left_out"], writer.locale)
    facts = [(_("Had run out and was left out"), names)]
    if recipient:
        return [*facts, (_("Gift"), said(plan)), (_("For"), recipient)]
    return [*facts, (_("Plan"), said(plan))]


def extra_charge(writer: Writer) -> Words:
    payload = writer.delivery.payload
    amount = writer.money(Money(int(payload["amount_minor"]), str(payload["currency"])))
    how = (
        _("Please transfer it; the invoice says where to and until when.")
        if payload["by_bank"]
        else _("We charge it to your card. If your bank says no, you can pay it in your account.")
    )
    return Words(
        _("Invoice for %(what)s", what=payload["text"]),
        _("%(what)s: %(amount)s", what=payload["text"], amount=amount),
        how,
        ((_("Amount"), amount),),
        (_("See the invoice"), writer.url(f"/account/invoices/{payload['invoice']}")),
    )


def transfer_due(writer: Writer) -> Words | None:
    found = _open_invoice(writer)
    if found is None:
        return None
    return Words(
        _("Invoice %(number)s of %(shop)s", number=found.number, shop=writer.rt.shop.name),
        _("Please transfer %(amount)s.", amount=writer.money(found.due)),
        _("We wait for it until %(day)s.", day=writer.day(found.due_on)),
        _transfer_facts(writer, found),
        (_("See the invoice"), writer.url(f"/account/invoices/{found.public_id}")),
    )


def transfer_overdue(writer: Writer) -> Words | None:
    found = _open_invoice(writer)
    if found is None:
        return None
    return Words(
        _("Invoice %(number)s is not paid yet", number=found.number),
        _("We miss your transfer of %(amount)s.", amount=writer.money(found.due)),
        _("It was due on %(day)s.", day=writer.day(found.due_on)),
        _transfer_facts(writer, found),
        (_("See the invoice"), writer.url(f"/account/invoices/{found.public_id}")),
        (_("You have paid already? Then this mail and your transfer crossed; do nothing."),),
    )


def _open_invoice(writer: Writer) -> Document | None:
    """Return the invoice while it waits for money; a mail about another one is not sent."""
    found = document(writer.rt.session, str(writer.delivery.payload["invoice"]))
    return found if found is not None and found.state == "open" else None


def _transfer_facts(writer: Writer, found: Document) -> tuple[tuple[str, str], ...]:
    return (
        (_("Amount"), writer.money(found.due)),
        (_("Due"), writer.day(found.due_on)),
        (_("Reference"), found.number),
        (_("Bank details"), " · ".join(str(found.seller.get("bank", "")).splitlines())),
    )


INVOICE_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "refunded": refunded,
    "extra_charge": extra_charge,
    "transfer_due": transfer_due,
    "transfer_overdue": transfer_overdue,
}
