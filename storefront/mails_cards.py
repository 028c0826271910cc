"""Mails about what gateways report of cards, and about disputes."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from flask_babel import gettext as _

from storefront.domain.gateways import DisputeState
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said
from storefront.models import PaymentMethod
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow
from storefront.queries.disputes import dispute


def card_renewed(writer: Writer) -> Words | None:
    found = _method(writer)
    if found is None or found.detached_at is not None:
        return None
    facts = [(_("Card"), _name(found))]
    if found.exp_year:
        facts.append((_("Good until"), f"{found.exp_month:02d}/{found.exp_year}"))
    return Words(
        _("Your card was renewed"),
        _("Your bank renewed your card ending %(last4)s.", last4=found.last4),
        _("Your subscription goes on with the new card. You need not do anything."),
        tuple(facts),
        (_("See your cards"), writer.url("/account/payment")),
        (
            _("Your bank told us; what you agreed to stays as it is."),
            _("You would rather pay with another card? Choose it in your account."),
        ),
    )


def card_gone(writer: Writer) -> Words | None:
    found = _method(writer)
    if found is None or found.detached_at is not None:
        return None
    return Words(
        _("Please add another card"),
        _("Your card ending %(last4)s cannot be charged any more.", last4=found.last4),
        _("Nothing was charged. Without another card your next box cannot be paid."),
        ((_("Card"), _name(found)),),
        (_("Add a card"), writer.url("/account/payment")),
        (_("Your bank told us. We do not try this card again."),),
    )


def card_ends(writer: Writer) -> Words | None:
    """Nothing when the card was replaced or renewed since, or pays no more."""
    found = _method(writer)
    if found is None or found.detached_at is not None or found.refused_at is not None:
        return None
    if f"{found.exp_year}-{found.exp_month:02d}" != writer.delivery.payload["until"]:
        return None
    until = f"{found.exp_month:02d}/{found.exp_year}"
    return Words(
        _("Your card ends soon"),
        _("Your card ending %(last4)s is good until %(until)s.", last4=found.last4, until=until),
        _("Add another card before, so that your next box is paid in time."),
        ((_("Card"), _name(found)), (_("Good until"), until)),
        (_("Add a card"), writer.url("/account/payment")),
        (
            _("Nothing was charged."),
            _("Some banks tell us the new card themselves. Then we write to you, and all is done."),
        ),
    )


def dispute_opened(writer: Writer) -> Words | None:
    found = dispute(writer.rt.session, str(writer.delivery.payload["dispute"]))
    if found is None or not found.holds or found.row.state != DisputeState.OPEN:
        return None
    plans = ", ".join(said(one.plan) for one in found.subscriptions if one.is_held)
    amount = writer.money(found.row.amount)
    return Words(
        _("Your boxes rest for now"),
        _("Your bank took our payment of %(amount)s back, because you dispute it.", amount=amount),
        _("Until your bank has decided nothing is charged and no box is sent."),
        ((_("Your plan"), plans), (_("Payment"), amount)),
        (_("See what it means"), writer.url(f"/account/disputes/{found.row.public_id}")),
        (_("Was it a mistake? Tell your bank that you take it back."),),
    )


def dispute_won(writer: Writer) -> Words | None:
    found = dispute(writer.rt.session, str(writer.delivery.payload["dispute"]))
    if found is None or not found.holds:
        return None
    plans = ", ".join(said(one.plan) for one in found.subscriptions if one.is_held)
    amount = writer.money(found.row.amount)
    return Words(
        _("Shall your boxes go on?"),
        _("Your bank decided about the payment of %(amount)s: it stays with us.", amount=amount),
        _("Your subscription still rests. You decide whether it goes on."),
        ((_("Your plan"), plans), (_("Payment"), amount)),
        (_("Decide"), writer.url(f"/account/disputes/{found.row.public_id}")),
        (
            _("Boxes that fell due meanwhile are left out and not charged."),
            _("Do nothing, and nothing is charged or sent."),
        ),
    )


def _method(writer: Writer) -> AnyRow | None:
    table = table_of(PaymentMethod)
    return writer.rt.session.execute(
        sa.select(table).where(table.c.public_id == writer.delivery.payload["method"])
    ).one_or_none()


def _name(found: AnyRow) -> str:
    return f"{found.brand.title()} •••• {found.last4}" if found.last4 else found.label


CARD_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "card_renewed": card_renewed,
    "card_gone": card_gone,
    "card_ends": card_ends,
    "dispute_opened": dispute_opened,
    "dispute_won": dispute_won,
}
