"""Word the mails about boxes that do not hold all that they should."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront import formats
from storefront.domain.money import Money
from storefront.mail_links import skip_line
from storefront.mail_words import Words, Writer
from storefront.queries.action_links import skip_asked
from storefront.queries.mails import box_facts


def _choice_replaced(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    box = box_facts(writer.rt.session, payload["box"])
    if box is None or not payload["lost"]:
        return None
    lost = formats.listing(payload["lost"], writer.locale)
    instead = formats.listing(payload["instead"], writer.locale)
    is_ahead = box.ships_on is not None and box.ships_on >= writer.rt.today()
    day = writer.day(box.ships_on) if box.ships_on and is_ahead else ""
    facts = [(_("Not in it"), lost)]
    if payload["instead"]:
        facts.append((_("Instead"), instead))
    if day:
        facts.append((_("Leaves on"), day))
    page = f"/account/subscriptions/{box.subscription}"
    return Words(
        ngettext(
            "One thing you chose is not in your box",
            "%(num)s things you chose are not in your box",
            len(payload["lost"]),
        ),
        ngettext(
            "%(lost)s could not go into your box, so we chose something else.",
            "%(lost)s could not go into your box, so we chose something else.",
            len(payload["lost"]),
            lost=lost,
        ),
        _("Everything else you chose is in your box."),
        tuple(facts),
        (_("See your box"), writer.url(page)),
        (_("You are not happy with it? Answer this mail, and we find a way."),),
    )


def _choice_gone(writer: Writer) -> Words | None:
    """Word what a recipe that was written later does not offer any more."""
    payload = writer.delivery.payload
    lost, until = payload["lost"], date.fromisoformat(payload["until_on"])
    page = f"/account/subscriptions/{payload['subscription']}"
    button = _("See your box")
    notes: tuple[str, ...] = (_("Everything else in your box is as you see it there."),)
    if payload["can_choose"] and until >= writer.rt.today():
        page += f"/boxes/{payload['cycle']}/choose"
        button = _("Choose something else")
        text = _("You can choose something else until %(when)s.", when=writer.cutoff(until))
        notes = (text, _("If you leave it to us, we choose for you."))
    leaves = writer.day(date.fromisoformat(payload["ship_on"]))
    return Words(
        ngettext(
            "One thing you chose is not offered any more",
            "%(num)s things you chose are not offered any more",
            len(lost),
        ),
        _("We changed what is in your next box, and what you chose does not fit it any more."),
        notes[0],
        (
            (_("Not in it"), formats.listing(lost, writer.locale)),
            (_("Plan"), payload["plan"]),
            (_("Leaves on"), leaves),
        ),
        (button, writer.url(page)),
        notes[1:],
    )


def _box_short(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    box = box_facts(writer.rt.session, payload["box"])
    if box is None:
        return None
    unwanted = payload.get("unwanted", [])
    gone = formats.listing([name for name, _instead in payload["lacks"] or unwanted], writer.locale)
    facts = [
        (_("Instead of %(product)s", product=name), instead) if instead else (_("Left out"), name)
        for name, instead in [*payload["lacks"], *unwanted]
    ]
    notes = [_("You are not happy with it? Answer this mail, and we find a way.")]
    if payload["credit_minor"]:
        credit = Money(payload["credit_minor"], payload["currency"])
        facts.append((_("Your credit"), formats.money(credit, writer.locale)))
        notes.insert(0, _("The credit pays for what is due next."))
    if box.ships_on and box.ships_on >= writer.rt.today():
        facts.append((_("Leaves on"), writer.day(box.ships_on)))
    if not payload["lacks"]:
        return Words(
            _("Your box is packed without what you leave out"),
            _("%(products)s is not in your box, as you asked.", products=gone),
            _("Everything else is in it."),
            tuple(facts),
            (_("See your box"), writer.url(f"/account/subscriptions/{box.subscription}")),
            tuple(notes),
        )
    return Words(
        _("Not everything was there for your box"),
        _("%(products)s had run out when we packed your box.", products=gone),
        _("Everything else is in it."),
        tuple(facts),
        (_("See your box"), writer.url(f"/account/subscriptions/{box.subscription}")),
        tuple(notes),
    )


def _choose_soon(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    until = date.fromisoformat(payload["until_on"])
    if until < writer.rt.today():
        return None
    page = f"/account/subscriptions/{payload['subscription']}/boxes/{payload['cycle']}/choose"
    leaves = writer.day(date.fromisoformat(payload["ship_on"]))
    return Words(
        _("Choose what is in your next box"),
        ngettext(
            "You choose %(num)s thing for your box, until %(when)s.",
            "You choose %(num)s things for your box, until %(when)s.",
            payload["pieces"],
            when=writer.cutoff(until),
        ),
        _("If you leave it to us, we choose for you."),
        ((_("Plan"), payload["plan"]), (_("Leaves on"), leaves)),
        (_("Choose now"), writer.url(page)),
        _or_skip(writer, until),
    )


def _or_skip(writer: Writer, until: date) -> tuple[str, ...]:
    """Offer to skip the box instead, where its plan lets it be skipped."""
    payload, rt = writer.delivery.payload, writer.rt
    box, moment = (payload["subscription"], payload["cycle"]), rt.moment()
    found = skip_asked(rt.session, *box, moment, rt.shop.taxes)
    if found is None or found.standing != "open":
        return ()
    return (skip_line(writer, *box, moment.start_of(until + timedelta(days=1))),)


#: Topic of the outbox -> how it is worded.
CHOICE_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "box_short": _box_short,
    "choice_gone": _choice_gone,
    "choice_replaced": _choice_replaced,
    "choose_soon": _choose_soon,
}
