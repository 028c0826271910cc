"""Mails about gifts: to who gives one, and from its day on to who gets it."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront import formats
from storefront.domain.address_lines import place_lines
from storefront.domain.order_law import names_vat
from storefront.mail_words import Words, Writer
from storefront.mails_orders import withdrawal
from storefront.merchant_texts import said
from storefront.operations.checkout import Market
from storefront.operations.secrets import gift_code
from storefront.queries.continuing import GoingOn, gift_of, going_on
from storefront.queries.gifts import GiftView, by_id, of_subscription
from storefront.queries.mails import box_facts, payment_facts


def gift_ordered(writer: Writer) -> Words | None:
    """To the giver, once it is paid."""
    payload = writer.delivery.payload
    paid = payment_facts(writer.rt.session, payload)
    gift = of_subscription(writer.rt.session, payload["subscription"])
    if paid is None or gift is None:
        return None
    return Words(
        _("Your gift for %(name)s", name=gift.name),
        _("Thank you, %(name)s. Your gift is paid.", name=gift.giver),
        _how_told(writer, gift),
        (
            (_("Gift"), f"{said(gift.plan)}, {_boxes(gift)}"),
            *_where_and_when(writer, gift),
            (_("Paid today"), writer.money(paid.amount)),
        ),
        _hand_over(writer, gift),
        (
            _who_says_where(gift),
            _("It ends by itself, and you are not charged again."),
            *withdrawal(writer),
        ),
        why=_why_given(writer),
    )


def _how_told(writer: Writer, gift: GiftView) -> str:
    day = writer.day(gift.send_on)
    if not gift.is_quiet:
        return _("%(name)s hears of it on %(day)s and not before.", name=gift.name, day=day)
    return _(
        "We write nothing to %(name)s. The code to hand over opens on %(day)s.",
        name=gift.name,
        day=day,
    )


def _where_and_when(writer: Writer, gift: GiftView) -> tuple[tuple[str, str], ...]:
    facts = [(_("For"), gift.name)]
    if gift.goes_to:
        to = gift.goes_to
        facts.append((_("To"), ", ".join(place_lines(to))))
        if gift.ships_on is not None:
            facts.append((_("The next box leaves on"), writer.day(gift.ships_on)))
    if not gift.is_quiet:
        facts.append((_("Their mail goes out on"), writer.day(gift.send_on)))
    return tuple(facts)


def _hand_over(writer: Writer, gift: GiftView) -> tuple[str, str]:
    if gift.is_quiet:
        return _("See the code to hand over"), writer.url(f"/account/gifts/{gift.public_id}")
    return _("See your gifts"), writer.url("/account/")


def _who_says_where(gift: GiftView) -> str:
    if gift.goes_to:
        return _(
            "The boxes go to the address that you gave us. With the code %(name)s can correct it"
            " until the cut-off of a box.",
            name=gift.name,
        )
    if gift.is_quiet:
        return _(
            "%(name)s says where the boxes go, with the code that you hand over. A box for which"
            " there is no address yet is not lost: it comes later.",
            name=gift.name,
        )
    return _(
        "%(name)s says where the boxes go, with a code that we send them. A box for which"
        " there is no address yet is not lost: it comes later.",
        name=gift.name,
    )


def gift_received(writer: Writer) -> Words | None:
    """To the recipient, on the day that the giver chose."""
    gift = _waiting(writer)
    if gift is None:
        return None
    asked, button = _("Say where it should go."), _("Say where it should go")
    if gift.goes_to:
        # The town alone: the mail may reach another than the giver meant.
        asked = _(
            "It goes to the address in %(town)s that %(giver)s gave us. You live elsewhere? "
            "Tell us your address.",
            town=gift.goes_to["city"],
            giver=gift.giver,
        )
        button = _("Tell us your address")
    return Words(
        _("%(giver)s has sent you a gift", giver=gift.giver),
        _("%(giver)s has a gift for you, %(name)s.", giver=gift.giver, name=gift.name),
        asked,
        ((_("Your gift"), f"{said(gift.plan)}, {_boxes(gift)}"),),
        (button, _claim_url(writer, gift)),
        (*_message(gift), _("It costs you nothing, and it ends by itself."), _for_you_only()),
        why=_why_received(writer, gift),
    )


def gift_reminder(writer: Writer) -> Words | None:
    """To the recipient, who has not said yet where it goes."""
    gift = _waiting(writer)
    if gift is None:
        return None
    return Words(
        _("Your gift from %(giver)s waits for you", giver=gift.giver),
        _("Your gift from %(giver)s waits for you, %(name)s.", giver=gift.giver, name=gift.name),
        _("Say where it should go."),
        ((_("Your gift"), f"{said(gift.plan)}, {_boxes(gift)}"),),
        (_("Say where it should go"), _claim_url(writer, gift)),
        (*_message(gift), _("No box is lost: the first one leaves once we know where to.")),
        why=_why_received(writer, gift),
    )


def gift_unclaimed(writer: Writer) -> Words | None:
    """To the giver: the recipient has not answered."""
    gift = _waiting(writer)
    if gift is None:
        return None
    now = _("We have reminded %(name)s today.", name=gift.name)
    facts = [(_("Gift"), f"{said(gift.plan)}, {_boxes(gift)}"), (_("Sent to"), gift.email)]
    hint = _("Our mail may lie among unwanted ones: ask them to look for it.")
    if gift.is_quiet:
        now = _("They say so with the code that you hand over.")
        facts, hint = facts[:1], _("If you have not done so yet: you find it in your account.")
    return Words(
        _("%(name)s has not opened your gift yet", name=gift.name),
        _("%(name)s has not said yet where your gift goes.", name=gift.name),
        now,
        tuple(facts),
        _hand_over(writer, gift),
        (
            hint,
            _("No box is lost: the first one leaves once we know where to."),
        ),
        why=_why_given(writer),
    )


def gift_waits(writer: Writer) -> Words | None:
    """To the giver: a box waits for stock or an address; its recipient reads nothing of it."""
    payload = writer.delivery.payload
    box = box_facts(writer.rt.session, str(payload["box"]))
    gift = of_subscription(writer.rt.session, box.subscription) if box is not None else None
    if gift is None or gift.state == "claimed":
        return None
    if payload["for"] == "address" and gift.goes_to:
        # Entered meanwhile.
        return None
    names = {"plan": said(gift.plan), "name": gift.name}
    if payload["for"] == "stock":
        subject = _("A box that you give has to wait a little")
        words = _(
            "Something in the %(plan)s box for %(name)s has run out. It waits with us.", **names
        )
        then = _("It leaves as soon as it is complete. You need not do anything.")
        more: tuple[str, ...] = (_("We write nothing of it to %(name)s.", name=gift.name),)
    elif payload["for"] == "other_address":
        subject = _("A box that you give waits for an address")
        words = _("We cannot send the %(plan)s box for %(name)s to its address.", **names)
        then, more = _("Please answer this mail with the right address, and we find a way."), ()
    else:
        subject = _("A box that you give waits for an address")
        words = _("We do not know yet where the %(plan)s box for %(name)s goes.", **names)
        then = _("So it leaves later than planned, and it is not lost.")
        more = (
            _("They say so with the code that you hand over.")
            if gift.is_quiet
            else _("%(name)s says so with the link in our mail.", name=gift.name),
            _("You know the address? Answer this mail, and we enter it."),
        )
    facts = ((_("Gift"), f"{said(gift.plan)}, {_boxes(gift)}"), (_("For"), gift.name))
    hand_over = _hand_over(writer, gift)
    return Words(subject, words, then, facts, hand_over, more, why=_why_given(writer))


def gift_claimed(writer: Writer) -> Words | None:
    """To the giver: it arrives."""
    gift = by_id(writer.rt.session, writer.delivery.payload["gift"])
    if gift is None:
        return None
    facts = [(_("Gift"), f"{said(gift.plan)}, {_boxes(gift)}")]
    if gift.ships_on:
        facts.append((_("The next box leaves on"), writer.day(gift.ships_on)))
    return Words(
        _("%(name)s has opened your gift", name=gift.name),
        _("%(name)s has said where your gift goes.", name=gift.name),
        _("We pack the boxes as they are due."),
        tuple(facts),
        (_("See your gifts"), writer.url("/account/")),
        why=_why_given(writer),
    )


def gift_last_box(writer: Writer) -> Words | None:
    """To the recipient, before the last box leaves: it ends, and how they could go on."""
    found = _own(writer)
    if found is None:
        return None
    gift, page, going = found
    if going is not None and going.subscription:
        return None
    facts = [(_("Your gift"), f"{said(gift.plan)}, {_boxes(gift)}")]
    if going is not None and going.last_ships_on is not None:
        facts.append((_("Your last box leaves on"), writer.day(going.last_ships_on)))
    if going is not None:
        facts += _offered(writer, going)
    return Words(
        _("The last box of your gift leaves soon"),
        _("The last box of your gift from %(giver)s leaves soon.", giver=gift.giver),
        _("It ends by itself, and nothing is charged."),
        tuple(facts),
        (_("Go on with your own card"), page) if going else None,
        (_how(going),) if going else (),
        why=_why_claimed(writer),
    )


def gift_over(writer: Writer) -> Words | None:
    """To the recipient, when the last box has left and nothing follows."""
    found = _own(writer)
    if found is None:
        return None
    gift, page, going = found
    if going is not None and going.subscription:
        return None
    more = (_("If you miss it: you can go on with your own card whenever you like."),)
    return Words(
        _("That was your gift from %(giver)s", giver=gift.giver),
        _("That was the last box of your gift from %(giver)s.", giver=gift.giver),
        _("We hope you enjoyed it. It ended by itself, and nothing is charged."),
        ((_("Your gift"), f"{said(gift.plan)}, {_boxes(gift)}"),),
        (_("Go on after your gift"), page) if going else None,
        more if going else (),
        why=_why_claimed(writer),
    )


def _own(writer: Writer) -> tuple[GiftView, str, GoingOn | None] | None:
    """Return a claimed gift, its page, and how its recipient can go on."""
    rt, public_id = writer.rt, writer.delivery.payload["gift"]
    gift, whose = by_id(rt.session, public_id), gift_of(rt.session, public_id)
    if gift is None or whose is None:
        return None
    page = writer.url(f"/account/subscriptions/{gift.subscription}/go-on")
    return gift, page, going_on(rt.session, *whose, Market.of(rt.shop), rt.moment())


def _offered(writer: Writer, going: GoingOn) -> list[tuple[str, str]]:
    """Return what going on would cost: each price with its tax, and the first payment."""
    facts = []
    for price in going.prices:
        each = formats.interval_per(price.interval)
        text = f"{writer.money(price.amount)} {each}"
        for rate, tax in price.taxes:
            percent = formats.percent(rate, writer.locale)
            words = (
                _("incl. %(rate)s VAT", rate=percent)
                if names_vat(going.country)
                else _("incl. %(rate)s tax", rate=percent)
            )
            text += f", {words} ({writer.money(tax)})"
        facts.append((_("If you go on"), text))
    facts.append((_("First payment"), writer.day(going.prices[0].charge_on)))
    return facts


def _how(going: GoingOn) -> str:
    if going.is_ahead:
        return _(
            "If you like, go on with your own card: you see the price and the day of the first"
            " payment once more, and nothing renews before you agree. You can cancel online at"
            " any time."
        )
    return _("If you like, go on with your own card.")


def _why_claimed(writer: Writer) -> str:
    return _("You get this because you have a gift from %(shop)s.", shop=writer.rt.shop.name)


def _waiting(writer: Writer) -> GiftView | None:
    """Return the gift while nobody has claimed it: who has needs no such mail any more."""
    gift = by_id(writer.rt.session, writer.delivery.payload["gift"])
    return None if gift is None or gift.state == "claimed" else gift


def _claim_url(writer: Writer, gift: GiftView) -> str:
    return writer.url(f"/gift/{gift_code(writer.rt.settings.secret_key, gift.public_id)}")


def _boxes(gift: GiftView) -> str:
    return ngettext("%(num)s box", "%(num)s boxes", gift.boxes)


def _message(gift: GiftView) -> tuple[str, ...]:
    """Return what the giver wrote, marked as theirs."""
    if not gift.message:
        return ()
    return (_("%(giver)s writes: %(message)s", giver=gift.giver, message=gift.message),)


def _for_you_only() -> str:
    return _("Who has this link says where the gift goes, so keep it to yourself.")


def _why_received(writer: Writer, gift: GiftView) -> str:
    return _(
        "You get this because %(giver)s gave us your address for a gift from %(shop)s.",
        giver=gift.giver,
        shop=writer.rt.shop.name,
    )


def _why_given(writer: Writer) -> str:
    return _("You get this because you ordered a gift at %(shop)s.", shop=writer.rt.shop.name)


GIFT_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "gift_ordered": gift_ordered,
    "gift_received": gift_received,
    "gift_reminder": gift_reminder,
    "gift_unclaimed": gift_unclaimed,
    "gift_waits": gift_waits,
    "gift_claimed": gift_claimed,
    "gift_last_box": gift_last_box,
    "gift_over": gift_over,
}
