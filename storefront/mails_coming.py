"""Word the mail about a box that comes soon and can still be changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from flask_babel import gettext as _

from storefront import formats
from storefront.mail_links import address_of, address_url, skip_line
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said, said_piece
from storefront.operations.customer_credit import balance_of
from storefront.queries.action_links import AddressToCheck
from storefront.queries.box_soon import BoxSoon, box_soon


def _box_soon(writer: Writer) -> Words | None:
    payload, rt = writer.delivery.payload, writer.rt
    box = box_soon(
        rt.session,
        writer.delivery.customer_id or 0,
        payload["subscription"],
        payload["cycle"],
        rt.moment(),
        rt.shop.taxes,
    )
    if box is None or box.row.ship_from is None or box.row.cutoff_at is None:
        return None
    until = box.row.cutoff_at.astimezone(rt.shop.zone_info).date()
    facts = [(_("Plan"), said(box.plan)), (_("Leaves on"), writer.day(box.row.ship_from))]
    if box.contents.pieces:
        names = [said_piece(piece) for piece in box.contents.pieces]
        facts.append((_("In the box"), formats.listing(names, writer.locale)))
    for name, instead in box.contents.without:
        other = (_("Instead of %(product)s", product=said(name)), said(instead))
        facts.append(other if instead else (_("Left out"), said(name)))
    if box.row.charge_on is not None and box.row.amount is not None and not box.row.covered:
        facts.append((_("Charged"), writer.charge(box.row.charge_on, box.row.amount)))
        credit = balance_of(rt.session, writer.delivery.customer_id or 0, box.row.amount.currency)
        if credit.minor:
            used = _("%(sum)s, used before the card", sum=writer.money(credit))
            facts.append((_("Your credit"), used))
    elif box.row.is_paid:
        facts.append((_("Charged"), _("nothing more, it is paid")))
    page = f"/account/subscriptions/{payload['subscription']}"
    to = None if box.row.address else address_of(writer, payload["subscription"])
    if to is not None:
        facts.append((_("Goes to"), to.line))
    return Words(
        _("Your next box leaves on %(day)s", day=writer.day(box.row.ship_from)),
        _("You can change it until %(when)s.", when=writer.cutoff(until)),
        _("If all is as you want it, you need not do anything."),
        tuple(facts),
        (_("See your box"), writer.url(page)),
        _links(writer, box, page, to),
    )


def _links(writer: Writer, box: BoxSoon, page: str, to: AddressToCheck | None) -> tuple[str, ...]:
    """Return what can be done with the box, each with its page."""
    at = f"{page}/boxes/{box.row.cycle}"
    found = []
    if box.contents.to_choose:
        found.append(_("Choose what is in it: %(url)s", url=writer.url(f"{at}/choose")))
    elif box.contents.can_swap:
        found.append(_("Swap something: %(url)s", url=writer.url(f"{at}/swap")))
    if box.can_add:
        found.append(_("Add something: %(url)s", url=writer.url(f"{page}/box")))
    if box.row.can_skip:
        after = (box.row.cutoff_at or writer.rt.now()) + timedelta(seconds=1)
        found.append(skip_line(writer, box.row.subscription, box.row.cycle, after))
    found.append(_("Change the address: %(url)s", url=writer.url(f"{page}/address")))
    if to is not None:
        url = address_url(writer, box.row.subscription, to)
        found.append(_("The address is right? Say so, without signing in: %(url)s", url=url))
    return tuple(found)


def _ship_day_moved(writer: Writer) -> Words:
    payload = writer.delivery.payload
    first, last = (date.fromisoformat(payload[name]) for name in ("ship_from", "ship_to"))
    leaves = writer.day(first)
    if last > first:
        leaves = formats.day_range(first, last, writer.locale, writer.rt.today())
    page = f"/account/subscriptions/{payload['subscription']}"
    return Words(
        _("Your next box leaves on another day"),
        _("Your next box leaves on %(day)s.", day=writer.day(first)),
        _(
            "It was planned for %(day)s. What you pay, and when, stays as it is.",
            day=writer.day(date.fromisoformat(payload["was_on"])),
        ),
        (
            (_("Plan"), str(payload["plan"])),
            (_("Leaves on"), leaves),
        ),
        (_("See your box"), writer.url(page)),
    )


#: Topic of the outbox -> how it is worded.
COMING_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "box_soon": _box_soon,
    "ship_day_moved": _ship_day_moved,
}
