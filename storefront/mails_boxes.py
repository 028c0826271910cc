"""Mails about boxes that left, and those that are sent again."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _

from storefront import formats
from storefront.domain.carriers.links import tracking_link
from storefront.domain.late_changes import LateKind, LateState
from storefront.domain.money import Money
from storefront.mail_links import address_of, address_url
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said
from storefront.queries.additions import addition
from storefront.queries.gifts import by_id
from storefront.queries.mails import box_facts, was_worth_waiting, went_to


def box_shipped(writer: Writer) -> Words:
    payload = writer.delivery.payload
    facts = [(_("Your plan"), str(payload["plan"]))]
    if payload.get("carrier"):
        facts.append((_("Carrier"), str(payload["carrier"])))
    if payload.get("tracking_number"):
        facts.append((_("Tracking number"), str(payload["tracking_number"])))
    carrier, number = str(payload.get("carrier", "")), str(payload.get("tracking_number", ""))
    is_late = was_worth_waiting(writer.rt.session, str(payload.get("box", "")))
    link = tracking_link(carrier, number, writer.rt.shop.tracking_links)
    return Words(
        _("Your box is on its way"),
        _("Your %(plan)s box is on its way.", plan=payload["plan"]),
        _("It is complete and left us today. Thank you for waiting.")
        if is_late
        else _("It left us today."),
        tuple(facts),
        (_("Follow your parcel"), link) if link else (_("See your boxes"), writer.url("/account/")),
    )


def box_renumbered(writer: Writer) -> Words:
    payload = writer.delivery.payload
    carrier, number = str(payload["carrier"]), str(payload["tracking_number"])
    facts = [(_("Your plan"), str(payload["plan"]))]
    if carrier:
        facts.append((_("Carrier"), carrier))
    facts.append((_("Tracking number"), number))
    link = tracking_link(carrier, number, writer.rt.shop.tracking_links)
    return Words(
        _("Your parcel has another tracking number"),
        _("The tracking number of your %(plan)s box was wrong.", plan=payload["plan"]),
        _("Please follow it with this one. We are sorry for the mistake."),
        tuple(facts),
        (_("Follow your parcel"), link) if link else (_("See your boxes"), writer.url("/account/")),
    )


def box_waits(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    box = box_facts(writer.rt.session, payload["box"])
    if box is None:
        return None
    return Words(
        _("Your box has to wait a little"),
        _("Something for your %(plan)s box has run out. It waits with us.", plan=payload["plan"]),
        _("It leaves as soon as it is complete, and a mail says so. You need not do anything."),
        ((_("Your plan"), str(payload["plan"])), *_products(writer, _("What is missing"))),
        (_("See your box"), writer.url(f"/account/subscriptions/{box.subscription}")),
        (_("You would rather not wait? Answer this mail, and we find a way."),),
    )


def _products(writer: Writer, label: str) -> list[tuple[str, str]]:
    """Return the products that a mail is about; one that was written before names none."""
    names = writer.delivery.payload.get("products") or ()
    return [(label, formats.listing(names, writer.locale))] if names else []


def box_made(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    box = box_facts(writer.rt.session, payload["box"])
    if box is None:
        return None
    facts = [
        (_("Your plan"), str(payload["plan"])),
        *_products(writer, _("Still being made")),
    ]
    if box.ships_on and box.ships_on >= writer.rt.today():
        facts.append((_("Planned to leave on"), writer.day(box.ships_on)))
    return Words(
        _("Something in your box is still being made"),
        _("Something for your %(plan)s box is still being made.", plan=payload["plan"]),
        _("It may leave some days later. A mail says when it does. You need not do anything."),
        tuple(facts),
        (_("See your box"), writer.url(f"/account/subscriptions/{box.subscription}")),
        (_("You would rather not wait? Answer this mail, and we find a way."),),
    )


def box_replaced(writer: Writer) -> Words:
    payload = writer.delivery.payload
    why = {
        "lost": _("Your box seems to be lost. We are sorry."),
        "returned": _("Your box came back to us."),
    }
    return Words(
        _("We send your box again"),
        _("We send your %(plan)s box again.", plan=payload["plan"]),
        why.get(str(payload["reason"]), _("Your box was not as it should be. We are sorry.")),
        ((_("Your plan"), str(payload["plan"])),),
        (_("See your boxes"), writer.url("/account/")),
        (_("It costs you nothing. You get another mail when it is on its way."),),
    )


def box_returned(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    if payload.get("gift"):
        return _gift_returned(writer)
    subscription = str(payload["subscription"])
    page = f"/account/subscriptions/{subscription}"
    facts, more = [(_("Your plan"), str(payload["plan"]))], []
    to = address_of(writer, subscription)
    if to is not None:
        facts.append((_("Address"), to.line))
        url = address_url(writer, subscription, to)
        more.append(_("The address is right? Say so, without signing in: %(url)s", url=url))
    more.append(
        _(
            "When we send it again, it goes to the address in your account. Answer this mail"
            " once it is right, and we find a way."
        )
    )
    return Words(
        _("Your box came back to us"),
        _("Your %(plan)s box could not be delivered and came back to us.", plan=payload["plan"]),
        _("Please check your address, and that your name is on the bell or the letter box."),
        tuple(facts),
        (_("Check your address"), writer.url(page)),
        tuple(more),
    )


def _gift_returned(writer: Writer) -> Words | None:
    """To the giver, as long as nobody has claimed the gift; nothing once somebody has."""
    payload = writer.delivery.payload
    gift = by_id(writer.rt.session, payload["gift"])
    if gift is None or gift.state == "claimed":
        return None
    # Where this box went, whatever was said since.
    address = went_to(writer.rt.session, str(payload["box"]))
    return Words(
        _("A box that you give came back to us"),
        _(
            "The %(plan)s box for %(name)s could not be delivered and came back to us.",
            plan=payload["plan"],
            name=gift.name,
        ),
        _("Please answer this mail with the right address, and we find a way."),
        (
            (_("Gift"), f"{payload['plan']}"),
            (_("For"), gift.name),
            *([(_("Address"), address)] if address else []),
        ),
        (_("See your gifts"), writer.url("/account/")),
    )


def box_lost(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    facts = ((_("Your plan"), str(payload["plan"])),)
    next_step = _("We send it again or give you its price back. Another mail says which.")
    if payload.get("gift"):
        gift = by_id(writer.rt.session, payload["gift"])
        if gift is None or gift.state == "claimed":
            return None
        return Words(
            _("A box that you give seems to be lost"),
            _(
                "The %(plan)s box for %(name)s seems to be lost on its way. We are sorry.",
                plan=payload["plan"],
                name=gift.name,
            ),
            next_step,
            ((_("Gift"), str(payload["plan"])), (_("For"), gift.name)),
            (_("See your gifts"), writer.url("/account/")),
        )
    return Words(
        _("Your box seems to be lost"),
        _("Your %(plan)s box seems to be lost on its way. We are sorry.", plan=payload["plan"]),
        next_step,
        facts,
        (_("See your boxes"), writer.url("/account/")),
        (_("It arrived after all, or you would rather have one of the two? Answer this mail."),),
    )


def late_change(writer: Writer) -> Words:
    payload = writer.delivery.payload
    plan = str(payload["plan"])
    credit = writer.money(Money(int(payload["credit_minor"]), str(payload["currency"])))
    holds = payload.get("holds") or ()
    done = _("It goes to the address you gave us.")
    if payload["kind"] == LateKind.CONTENTS:
        done = _("It holds what you asked for.")
    elif payload["kind"] == LateKind.KEEP_BACK:
        done = _("It is not sent.")
        if payload["credit_minor"]:
            done = _("It is not sent. %(sum)s is on your credit.", sum=credit)
    news = {
        LateState.ACCEPTED: (_("We changed your %(plan)s box.", plan=plan), done),
        LateState.REFUSED: (
            _("We could not change your %(plan)s box.", plan=plan),
            _("The reason: %(reason)s", reason=payload["reason"]),
        ),
    }.get(
        LateState(payload["state"]),
        (
            _("Your %(plan)s box left before we could change it.", plan=plan),
            _("It goes as it was."),
        ),
    )
    facts = [(_("Your plan"), plan)]
    if holds:
        listed = ", ".join(f"{count} × {name}" for name, count in holds)
        facts.append((_("You asked for"), listed))
    see = (_("See your boxes"), writer.url("/account/"))
    return Words(news[0], news[0], news[1], tuple(facts), see)


def box_added(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    found = addition(writer.rt.session, str(payload["addition"]))
    if found is None:
        return None
    what = _("%(count)s × %(name)s", count=found.quantity, name=said(found.name))
    facts = [(_("You added"), what), (_("Paid today"), writer.money(found.total))]
    if found.ships_on:
        days = ", ".join(writer.day(day) for day in found.ships_on)
        facts.append((_("Comes with the box of"), days))
    later = (_("After these boxes it comes with every box, and your next payments hold it."),)
    return Words(
        _("Something was added to your box"),
        _("Done: %(what)s is in your box.", what=what)
        if found.boxes == 1
        else _("Done: %(what)s is in each of %(boxes)s boxes.", what=what, boxes=found.boxes),
        _("Paid %(amount)s today.", amount=writer.money(found.total)),
        tuple(facts),
        (_("See the invoice"), writer.url(f"/account/invoices/{payload['invoice']}")),
        later if found.goes_on else (),
    )


def box_not_added(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    found = addition(writer.rt.session, str(payload["addition"]))
    if found is None:
        return None
    what = _("%(count)s × %(name)s", count=found.quantity, name=said(found.name))
    return Words(
        _("Nothing was added to your box"),
        _("Not added: %(what)s.", what=what),
        _("Its payment did not come through, so it is not in your box and you owe nothing for it."),
        (),
        (
            _("Choose again"),
            writer.url(f"/account/subscriptions/{payload['subscription']}/box"),
        ),
    )


def not_delivered_there(writer: Writer) -> Words:
    payload = writer.delivery.payload
    return Words(
        _("We cannot send your next box"),
        _("We do not deliver to the address of your %(plan)s box now.", plan=payload["plan"]),
        _("Nothing was charged, and nothing will be while that is so."),
        ((_("Your plan"), str(payload["plan"])),),
        (
            _("Give another address"),
            writer.url(f"/account/subscriptions/{payload['subscription']}/address"),
        ),
        (_("You can also cancel in your account."),),
    )


BOX_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "box_added": box_added,
    "box_not_added": box_not_added,
    "box_shipped": box_shipped,
    "box_renumbered": box_renumbered,
    "box_waits": box_waits,
    "box_made": box_made,
    "box_replaced": box_replaced,
    "box_returned": box_returned,
    "box_lost": box_lost,
    "late_change": late_change,
    "not_delivered_there": not_delivered_there,
}
