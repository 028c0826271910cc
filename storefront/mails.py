"""Word the mails: one function per topic, one frame for all, in the customer's language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _

from storefront import formats
from storefront.adapters.logos import on_white
from storefront.adapters.mail import Mail, Picture
from storefront.domain.colours import hex_of
from storefront.domain.logo import RIM
from storefront.domain.look import THEMES, Look, palette
from storefront.domain.money import Money
from storefront.mail_words import Words, Writer
from storefront.mails_accounts import ACCOUNT_TOPICS, email_code, erase_code, two_step_code
from storefront.mails_batches import BATCH_TOPICS
from storefront.mails_boxes import BOX_TOPICS
from storefront.mails_cards import CARD_TOPICS
from storefront.mails_choices import CHOICE_TOPICS
from storefront.mails_coming import COMING_TOPICS
from storefront.mails_declarations import DECLARATION_TOPICS
from storefront.mails_gifts import GIFT_TOPICS
from storefront.mails_inquiries import INQUIRY_TOPICS
from storefront.mails_invoices import INVOICE_TOPICS
from storefront.mails_later import LATER_TOPICS
from storefront.mails_orders import (
    coming_charge,
    how_to_cancel,
    on_statement,
    order_confirmed,
    paid_from,
)
from storefront.mails_payments import PAYMENT_TOPICS
from storefront.mails_reminders import REMINDER_TOPICS
from storefront.mails_waiting import WAITING_TOPICS
from storefront.merchant_texts import said_in_mail, subscription_facts
from storefront.operations.secrets import one_time
from storefront.queries.logo import logo
from storefront.queries.mails import (
    Person,
    payment_facts,
    person,
    refused_before,
    staff_person,
)
from storefront.runtime import Runtime
from storefront.services import signin
from storefront.services.outbox import Delivery
from storefront.services.staff import link_token


def compose(rt: Runtime, delivery: Delivery) -> Mail | None:
    """Word ``delivery``; None when whom or what it is about is gone.

    Raises ``KeyError`` for a topic nobody words, which is a fault to be seen.
    """
    write = TOPICS[delivery.topic]
    reader = _reader(rt, delivery)
    if reader is None:
        return None
    code = reader.locale or rt.shop.locale
    with force_locale(code):
        told = Delivery(
            delivery.id,
            delivery.public_id,
            delivery.kind,
            delivery.topic,
            delivery.key,
            said_in_mail(delivery.payload),
            delivery.customer_id,
            delivery.created_at,
        )
        words = write(Writer(rt, told, reader, formats.writing_locale(code)))
        if words is None:
            return None
        context = {"words": words, "subject": words.subject, "locale": code, "shop": rt.shop}
        context["tones"] = _tones(rt.shop.look)
        picture = _logo(rt)
        context["picture"] = picture
        # Straight from the environment: what pages are given (who is signed in …) is no
        # business of a mail, and the worker has no request to ask.
        templates = current_app.jinja_env
        text = templates.get_template("storefront/email/message.txt").render(context)
        html = templates.get_template("storefront/email/message.html").render(context)
    return Mail(
        key=delivery.public_id,
        sender=f"{rt.shop.name} <{rt.shop.support_email}>",
        to=reader.email,
        subject=words.subject,
        text=text,
        sent_at=delivery.created_at,
        html=html,
        headers=words.headers,
        attachments=words.attachments,
        pictures=(picture,) if picture else (),
    )


def _logo(rt: Runtime) -> Picture | None:
    """Return the shop's logo as mails show it; None: its name stands there."""
    found = logo(rt.session) if rt.shop.logo else None
    if found is None:
        return None
    size = (rt.shop.logo[side] + 2 * RIM for side in ("width", "height"))
    return Picture(f"logo.{found.digest}", "logo.png", on_white(found.png), *size)


def _tones(look: Look) -> dict[str, str]:
    """Return the colours of a mail's button; mail programs read no stylesheet of ours."""
    light, dark = (palette(look, theme) for theme in THEMES)
    return {
        "action": hex_of(light["action"]),
        "dark_action": hex_of(dark["action"]),
        "dark_on_action": hex_of(dark["on-action"]),
    }


def _reader(rt: Runtime, delivery: Delivery) -> Person | None:
    """Return whom a mail goes to: who the merchant named, a staff user, or a customer."""
    if delivery.payload.get("to"):
        locale = str(delivery.payload.get("locale") or rt.shop.locale)
        return Person("", str(delivery.payload["to"]), locale)
    staff = delivery.payload.get("staff")
    return staff_person(rt.session, staff) if staff else person(rt.session, delivery.customer_id)


def _sign_in(writer: Writer) -> Words:
    payload = writer.delivery.payload
    secret = one_time(writer.rt.settings.secret_key, payload["nonce"])
    if payload.get("for") == signin.ERASE:
        return erase_code(writer, secret.code)
    if payload.get("for") == signin.TWO_STEP:
        return two_step_code(writer, secret.code)
    if payload.get("for") == signin.EMAIL:
        return email_code(writer, secret.code)
    wanted = f"?{urlencode({'next': payload['next']})}" if payload.get("next") else ""
    return Words(
        _("%(code)s is your code for %(shop)s", code=secret.code, shop=writer.rt.shop.name),
        _("Your code is %(code)s", code=secret.code),
        _("The code and the link work for 10 minutes and only once."),
        action=(_("Sign in"), writer.url(f"/sign-in/link/{secret.token}{wanted}")),
        more=(_("You did not ask for it? Then do nothing: without the code nobody gets in."),),
    )


def _staff_link(writer: Writer) -> Words:
    token = link_token(writer.rt, writer.delivery.payload)
    until = datetime.fromtimestamp(writer.delivery.payload["until"], UTC)
    return Words(
        _("Your sign-in to the admin of %(shop)s", shop=writer.rt.shop.name),
        _("Choose a password, %(name)s.", name=writer.reader.name),
        _("Then you can sign in to the admin of %(shop)s.", shop=writer.rt.shop.name),
        action=(_("Choose a password"), writer.url(f"/sign-in/staff/{token}")),
        more=(
            _("The link works once, until %(when)s.", when=writer.moment(until)),
            _("You did not expect this? Then do nothing and tell the shop's owner."),
        ),
    )


def _receipt(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    paid = payment_facts(writer.rt.session, payload)
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if paid is None or subscription is None:
        return None
    facts = [(_("Paid"), paid_from(writer, paid))]
    if paid.paid_at is not None:
        facts.append((_("Date"), writer.day(writer.rt.moment().day_of(paid.paid_at))))
    if paid.number:
        facts.append((_("Invoice"), paid.number))
    facts += on_statement(writer, paid)
    if subscription.ships_on:
        facts.append((_("Your box leaves on"), writer.day(subscription.ships_on)))
    facts += coming_charge(writer, subscription)
    amount = writer.money(paid.amount)
    more = [how_to_cancel(writer, subscription.public_id)]
    refused = refused_before(writer.rt.session, paid.invoice_ref)
    if refused:
        more.insert(
            0,
            _("Your card ending %(last4)s was refused, so we used your backup.", last4=refused),
        )
    return Words(
        _("Receipt: %(amount)s for %(plan)s", amount=amount, plan=subscription.plan),
        _("Paid. %(amount)s for %(plan)s.", amount=amount, plan=subscription.plan),
        _("Thank you. Your invoice is in your account."),
        tuple(facts),
        (_("See invoice"), writer.url(f"/account/invoices/{paid.invoice_ref}")),
        tuple(more),
    )


def _cancel_confirmed(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if subscription is None:
        return None
    ends = writer.day(date.fromisoformat(payload["ends_on"]))
    facts = [
        (_("Your plan"), subscription.plan),
        (_("Ends on"), ends),
        (_("Received"), writer.moment(datetime.fromisoformat(payload["received_at"]))),
    ]
    owed = int(payload.get("boxes_owed", 0))
    more: list[str] = []
    if owed:
        more = [
            _(
                "You agreed to %(least)s boxes. Those still to come (%(owed)s) are charged as"
                " before; it ends after box %(least)s.",
                least=payload["min_boxes"],
                owed=owed,
            )
        ]
    boxes = [writer.day(date.fromisoformat(day)) for day in payload["boxes"]]
    if boxes:
        days = formats.listing(boxes, writer.locale)
        more.append(_("Boxes you have paid for still ship: %(days)s.", days=days))
    if payload["dropped_minor"]:
        dropped = writer.money(Money(payload["dropped_minor"], payload["currency"]))
        more.append(
            _("The unpaid %(amount)s is dropped, because the box was not sent.", amount=dropped)
        )
    for number, minor in payload.get("stays_due", []):
        more.append(
            _(
                "Invoice %(number)s stays due: %(amount)s for what was sent to you already.",
                number=number,
                amount=writer.money(Money(minor, payload["currency"])),
            )
        )
    if payload["in_flight"]:
        more.append(_("A payment was on its way. If it still arrives, you get all of it back."))
    more.append(_("You can come back any time with your old choices."))
    return Words(
        _("Cancelled: it ends on %(day)s", day=ends) if owed else _("Cancelled: no more charges"),
        _("Cancelled. It ends on %(day)s.", day=ends)
        if owed
        else _("Cancelled. You will not be charged again."),
        facts=tuple(facts),
        action=(
            _("See your subscription"),
            writer.url(f"/account/subscriptions/{subscription.public_id}"),
        ),
        more=tuple(more),
    )


def _plan_changed(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    paid = payment_facts(writer.rt.session, payload)
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if paid is None or subscription is None:
        return None
    facts = [
        (_("Your plan"), f"{subscription.plan}, {formats.interval_name(subscription.interval)}"),
        (_("Paid today"), paid_from(writer, paid)),
    ]
    facts += coming_charge(writer, subscription)
    return Words(
        _("Your subscription has changed"),
        _("Changed. You have %(plan)s now.", plan=subscription.plan),
        _("Paid %(amount)s today.", amount=writer.money(paid.amount)),
        tuple(facts),
        (
            _("See your subscription"),
            writer.url(f"/account/subscriptions/{subscription.public_id}"),
        ),
        (how_to_cancel(writer, subscription.public_id),),
    )


def _price_change(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if subscription is None:
        return None
    old, new = (Money(payload[name], payload["currency"]) for name in ("old_minor", "new_minor"))
    day = writer.day(date.fromisoformat(payload["on"]))
    each = formats.interval_each(subscription.interval)
    return Words(
        _("A new price for %(plan)s", plan=subscription.plan),
        _("From %(day)s %(plan)s costs another price.", day=day, plan=subscription.plan),
        _(
            "You pay %(new)s %(each)s from %(day)s. Until then nothing changes.",
            new=writer.money(new),
            each=each,
            day=day,
        ),
        (
            (_("Now"), f"{writer.money(old)} {each}"),
            (_("From %(day)s", day=day), f"{writer.money(new)} {each}"),
        ),
        (
            _("See or refuse the new price"),
            writer.url(f"/account/subscriptions/{subscription.public_id}"),
        ),
        (
            _(
                "You need not do anything to agree. On the page of your subscription you can keep "
                "the old price, choose another plan or cancel, until the day before."
            ),
            how_to_cancel(writer, subscription.public_id),
        ),
    )


def _ended(writer: Writer) -> Words | None:
    subscription = subscription_facts(writer.rt.session, writer.delivery.payload["subscription"])
    if subscription is None:
        return None
    more: tuple[str, ...] = ()
    if subscription.ships_on:
        more = (_("Your last box leaves on %(day)s.", day=writer.day(subscription.ships_on)),)
    return Words(
        _("Your subscription has ended"),
        _("Your subscription %(plan)s has ended.", plan=subscription.plan),
        _("You will not be charged again."),
        action=(_("See the plans"), writer.url("/")),
        more=more,
    )


def _surplus_refunded(writer: Writer) -> Words:
    payload = writer.delivery.payload
    amount = writer.money(Money(int(payload["amount_minor"]), str(payload["currency"])))
    return Words(
        _("We send %(amount)s back to you", amount=amount),
        _("We send %(amount)s back to you.", amount=amount),
        _("Your bank took more than you owed us."),
        ((_("Amount"), amount),),
        (_("See your invoices"), writer.url("/account/invoices")),
        (_("You need not do anything. It goes back the way it came, usually within days."),),
    )


def _referral_credit(writer: Writer) -> Words:
    payload = writer.delivery.payload
    amount = writer.money(Money(int(payload["amount_minor"]), str(payload["currency"])))
    thanks = (
        _("Thank you for recommending us.")
        if payload["origin"] == "referral"
        else _("Thank you for trying us.")
    )
    return Words(
        _("%(amount)s of credit for you", amount=amount),
        _("You have %(amount)s of credit.", amount=amount),
        thanks,
        ((_("Credit"), amount),),
        (_("See your credit"), writer.url("/account/payment")),
        (_("It pays your next invoices before your card does."),),
    )


#: Topic of the outbox -> how it is worded.
TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "sign_in": _sign_in,
    "staff_link": _staff_link,
    "order_confirmed": order_confirmed,
    "receipt": _receipt,
    "cancel_confirmed": _cancel_confirmed,
    "plan_changed": _plan_changed,
    "price_change": _price_change,
    "ended": _ended,
    "surplus_refunded": _surplus_refunded,
    **ACCOUNT_TOPICS,
    **BATCH_TOPICS,
    **BOX_TOPICS,
    **PAYMENT_TOPICS,
    **CARD_TOPICS,
    **CHOICE_TOPICS,
    **COMING_TOPICS,
    **DECLARATION_TOPICS,
    **GIFT_TOPICS,
    **INQUIRY_TOPICS,
    **INVOICE_TOPICS,
    **REMINDER_TOPICS,
    **WAITING_TOPICS,
    **LATER_TOPICS,
    "referral_credit": _referral_credit,
}
