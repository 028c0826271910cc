"""The mail about a new order, and what it shares with other mails about payments."""

from __future__ import annotations

from datetime import date

from flask_babel import gettext as _

from storefront import formats
from storefront.domain.declarations import links_end
from storefront.domain.descriptors import descriptor
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said
from storefront.queries.mails import (
    PaymentFacts,
    SubscriptionFacts,
    boxes_of,
    law_of,
    payment_facts,
)
from storefront.queries.withdrawal import exclusions
from storefront.withdrawal_words import not_for


def order_confirmed(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    paid = payment_facts(writer.rt.session, payload)
    boxes = boxes_of(writer.rt.session, payload["invoice"])
    if paid is None or not boxes:
        return None
    first = min((box.ships_on for box in boxes if box.ships_on), default=None)
    subject, news = _news(writer, first)
    cancel = how_to_cancel(writer, boxes[0].public_id)
    if len(boxes) > 1:
        cancel = _(
            "Skip or cancel each box online at any time: %(url)s", url=writer.url("/account/")
        )
    return Words(
        subject,
        news,
        _paid(writer, paid),
        tuple(_facts(writer, paid, boxes)),
        (_("See your boxes"), writer.url("/account/")),
        (cancel, *_without_signing_in(writer, boxes)),
    )


def _news(writer: Writer, first: date | None) -> tuple[str, str]:
    """Return subject and first sentence; ``first`` is the day on which the first box leaves."""
    name = writer.reader.name
    if first is None:
        return (
            _("Your order at %(shop)s", shop=writer.rt.shop.name),
            _("Thank you, %(name)s. Your subscription has begun.", name=name),
        )
    ships = writer.day(first)
    return (
        _("Your first box leaves on %(day)s", day=ships),
        _("Thank you, %(name)s. Your first box leaves on %(day)s.", name=name, day=ships),
    )


def _paid(writer: Writer, paid: PaymentFacts) -> str:
    if paid.is_carried:
        return _("You can skip or cancel online.")
    if not paid.amount.minor:
        return _("Nothing is charged today. You can skip or cancel online.")
    return _("Paid %(amount)s. You can skip or cancel online.", amount=writer.money(paid.amount))


def _facts(
    writer: Writer, paid: PaymentFacts, boxes: list[SubscriptionFacts]
) -> list[tuple[str, str]]:
    is_free = not paid.amount.minor
    today = (_("Paid today"), _("nothing") if is_free else paid_from(writer, paid))
    if len(boxes) > 1:
        return [today, *((said(box.plan), _what_comes(writer, box)) for box in boxes)]
    (box,) = boxes
    coming = (
        _first_payment(writer, box)
        if is_free
        else [*on_statement(writer, paid), *coming_charge(writer, box)]
    )
    return [(_("Your plan"), said(box.plan)), today, *coming, *_first_box(writer, box)]


def _first_payment(writer: Writer, box: SubscriptionFacts) -> list[tuple[str, str]]:
    """Return when what was not charged with the order is charged."""
    charge = writer.next_charge(box.public_id)
    payment = [(_("First payment"), charge)] if charge else []
    if box.last_free_on is None:
        return payment
    last = _("Cancel by %(day)s and you pay nothing.", day=writer.day(box.last_free_on))
    return [(_("Free trial"), last), *payment]


def _first_box(writer: Writer, box: SubscriptionFacts) -> list[tuple[str, str]]:
    """Return when the first box leaves and, as long as it can be changed, until when."""
    facts = [(_("First box"), writer.day(box.ships_on))] if box.ships_on else []
    if box.choose_until and box.choose_until >= writer.rt.today():
        until = _("23:59, %(zone)s time", zone=formats.zone_name(writer.rt.shop.zone))
        facts.append((_("Change it until"), f"{writer.day(box.choose_until)}, {until}"))
    elif box.choose_until:
        facts.append((_("Your first box"), _("It cannot be changed or skipped any more.")))
    return facts


def _what_comes(writer: Writer, box: SubscriptionFacts) -> str:
    """Return the coming days of one box of several."""
    words = []
    if box.ships_on:
        words.append(_("ships %(day)s", day=writer.day(box.ships_on)))
    if charge := writer.next_charge(box.public_id):
        words.append(_("then %(charge)s", charge=charge))
    if box.last_free_on is not None:
        words.append(_("free if you cancel by %(day)s", day=writer.day(box.last_free_on)))
    return ", ".join(words)


def paid_from(writer: Writer, paid: PaymentFacts) -> str:
    """Return the amount of a payment and where it came from."""
    shown = writer.money(paid.amount)
    if paid.is_carried:
        return _("nothing: %(amount)s is asked for with your next payment", amount=shown)
    if not paid.last4:
        return shown
    return _(
        "%(amount)s from %(brand)s ending %(last4)s",
        amount=shown,
        brand=paid.brand.title(),
        last4=paid.last4,
    )


def on_statement(writer: Writer, paid: PaymentFacts) -> list[tuple[str, str]]:
    """Return the words by which the payment is found on a statement; none where none are sent."""
    gateway = writer.rt.gateways.get(paid.gateway)
    if gateway is None or paid.is_carried:
        return []
    room = gateway.capabilities.descriptor_length
    text = descriptor(writer.rt.shop.name, room, is_after_trial=paid.is_after_trial)
    return [(_("On your statement"), text)] if text else []


def coming_charge(writer: Writer, subscription: SubscriptionFacts) -> list[tuple[str, str]]:
    """Return amount and day of the next charge; nothing where none comes."""
    charge = writer.next_charge(subscription.public_id)
    return [(_("Next charge"), charge)] if charge else []


def how_to_cancel(writer: Writer, subscription: str) -> str:
    """Return the sentence with the address at which a subscription is ended."""
    return _(
        "Skip or cancel online at any time: %(url)s",
        url=writer.url(f"/account/subscriptions/{subscription}"),
    )


def _without_signing_in(writer: Writer, boxes: list[SubscriptionFacts]) -> tuple[str, ...]:
    """Return how the contract is ended or withdrawn from without an account."""
    words, query = [], ""
    if len(boxes) == 1:
        query = f"?contract={boxes[0].public_id}"
        words.append(_("Your contract has the number %(number)s.", number=boxes[0].public_id))
    if links_end(writer.rt.shop.countries):
        url = writer.url(f"/contracts/end{query}")
        words.append(_("Cancel without signing in: %(url)s", url=url))
    return *words, *withdrawal(writer, query, ships=any(box.ships for box in boxes))


def withdrawal(writer: Writer, query: str = "", *, ships: bool = True) -> tuple[str, ...]:
    """Return what the law of the order's country says of withdrawing; nothing where none does."""
    law = law_of(writer.rt.session, writer.delivery.payload["invoice"])
    if law is None or not law.withdrawal_days:
        return ()
    values = {"days": law.withdrawal_days, "url": writer.url(f"/contracts/withdraw{query}")}
    if ships:
        words = _(
            "You can withdraw from this contract within %(days)s days of the first box's arrival,"
            " without giving a reason: %(url)s",
            **values,
        )
    else:
        words = _(
            "You can withdraw from this contract within %(days)s days of your order, without"
            " giving a reason: %(url)s",
            **values,
        )
    return tuple(filter(None, (words, not_for(exclusions(writer.rt.session)))))
