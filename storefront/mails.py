"""Word the mails: one function per topic, one frame for all, in the customer's language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _

from storefront import formats
from storefront.adapters.mail import Mail
from storefront.domain.declarations import links_end
from storefront.domain.descriptors import descriptor
from storefront.domain.money import Money
from storefront.mail_words import Words, Writer
from storefront.mails_accounts import ACCOUNT_TOPICS, erase_code
from storefront.mails_batches import BATCH_TOPICS
from storefront.mails_boxes import BOX_TOPICS
from storefront.mails_cards import CARD_TOPICS
from storefront.mails_choices import CHOICE_TOPICS
from storefront.mails_coming import COMING_TOPICS
from storefront.mails_declarations import DECLARATION_TOPICS
from storefront.mails_gifts import GIFT_TOPICS
from storefront.mails_invoices import INVOICE_TOPICS
from storefront.mails_payments import PAYMENT_TOPICS
from storefront.mails_reminders import REMINDER_TOPICS
from storefront.mails_waiting import WAITING_TOPICS
from storefront.operations.secrets import one_time
from storefront.queries.mails import (
    PaymentFacts,
    Person,
    SubscriptionFacts,
    boxes_of,
    payment_facts,
    person,
    refused_before,
    staff_person,
    subscription_facts,
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
        words = write(Writer(rt, delivery, reader, formats.writing_locale(code)))
        if words is None:
            return None
        context = {"words": words, "subject": words.subject, "locale": code, "shop": rt.shop}
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
    )


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


def _order_confirmed(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    paid = payment_facts(writer.rt.session, payload)
    boxes = boxes_of(writer.rt.session, payload["invoice"])
    if paid is None or not boxes:
        return None
    several = len(boxes) > 1
    card = (_("Paid today"), _card(writer, paid))
    facts = [card, *((box.plan, _what_comes(writer, box)) for box in boxes)]
    if not several:
        facts = [(_("Your plan"), boxes[0].plan), card, *_on_statement(writer, paid)]
        facts += _next_charge(writer, boxes[0])
    subject = _("Your order at %(shop)s", shop=writer.rt.shop.name)
    news = _("Thank you, %(name)s. Your subscription has begun.", name=writer.reader.name)
    first = min((box.ships_on for box in boxes if box.ships_on), default=None)
    if first:
        ships = writer.day(first)
        subject = _("Your first box leaves on %(day)s", day=ships)
        news = _(
            "Thank you, %(name)s. Your first box leaves on %(day)s.",
            name=writer.reader.name,
            day=ships,
        )
        if not several:
            facts.append((_("First box"), ships))
    cancel = _how_to_cancel(writer, boxes[0].public_id)
    if several:
        cancel = _(
            "Skip or cancel each box online at any time: %(url)s", url=writer.url("/account/")
        )
    return Words(
        subject,
        news,
        _("You can skip or cancel online.")
        if paid.is_carried
        else _("Paid %(amount)s. You can skip or cancel online.", amount=writer.money(paid.amount)),
        tuple(facts),
        (_("See your boxes"), writer.url("/account/")),
        (cancel, *_without_signing_in(writer, "" if several else boxes[0].public_id)),
    )


def _what_comes(writer: Writer, box: SubscriptionFacts) -> str:
    """Return the coming days of one box of several."""
    said = []
    if box.ships_on:
        said.append(_("ships %(day)s", day=writer.day(box.ships_on)))
    if charge := writer.next_charge(box.public_id):
        said.append(_("then %(charge)s", charge=charge))
    return ", ".join(said)


def _receipt(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    paid = payment_facts(writer.rt.session, payload)
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if paid is None or subscription is None:
        return None
    facts = [(_("Paid"), _card(writer, paid))]
    if paid.paid_at is not None:
        facts.append((_("Date"), writer.day(writer.rt.moment().day_of(paid.paid_at))))
    if paid.number:
        facts.append((_("Invoice"), paid.number))
    facts += _on_statement(writer, paid)
    if subscription.ships_on:
        facts.append((_("Your box leaves on"), writer.day(subscription.ships_on)))
    facts += _next_charge(writer, subscription)
    amount = writer.money(paid.amount)
    more = [_how_to_cancel(writer, subscription.public_id)]
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
        (_("Paid today"), _card(writer, paid)),
    ]
    facts += _next_charge(writer, subscription)
    return Words(
        _("Your subscription has changed"),
        _("Changed. You have %(plan)s now.", plan=subscription.plan),
        _("Paid %(amount)s today.", amount=writer.money(paid.amount)),
        tuple(facts),
        (
            _("See your subscription"),
            writer.url(f"/account/subscriptions/{subscription.public_id}"),
        ),
        (_how_to_cancel(writer, subscription.public_id),),
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
            _how_to_cancel(writer, subscription.public_id),
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
    "order_confirmed": _order_confirmed,
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
    **INVOICE_TOPICS,
    **REMINDER_TOPICS,
    **WAITING_TOPICS,
    "referral_credit": _referral_credit,
}


def _card(writer: Writer, paid: PaymentFacts) -> str:
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


def _on_statement(writer: Writer, paid: PaymentFacts) -> list[tuple[str, str]]:
    """Return the words by which the payment is found on a statement; none where none are sent."""
    gateway = writer.rt.gateways.get(paid.gateway)
    if gateway is None or paid.is_carried:
        return []
    room = gateway.capabilities.descriptor_length
    text = descriptor(writer.rt.shop.name, room, is_after_trial=paid.is_after_trial)
    return [(_("On your statement"), text)] if text else []


def _next_charge(writer: Writer, subscription: SubscriptionFacts) -> list[tuple[str, str]]:
    charge = writer.next_charge(subscription.public_id)
    return [(_("Next charge"), charge)] if charge else []


def _how_to_cancel(writer: Writer, subscription: str) -> str:
    return _(
        "Skip or cancel online at any time: %(url)s",
        url=writer.url(f"/account/subscriptions/{subscription}"),
    )


def _without_signing_in(writer: Writer, contract: str) -> tuple[str, ...]:
    """Return how the contract is ended or withdrawn from without an account."""
    countries, query = writer.rt.shop.countries, f"?contract={contract}" if contract else ""
    said = []
    if contract:
        said.append(_("Your contract has the number %(number)s.", number=contract))
    if links_end(countries):
        url = writer.url(f"/contracts/end{query}")
        said.append(_("Cancel without signing in: %(url)s", url=url))
    withdraw = _(
        "You can withdraw from this contract within 14 days of receiving your first box, without"
        " giving a reason: %(url)s",
        url=writer.url(f"/contracts/withdraw{query}"),
    )
    return *said, withdraw
