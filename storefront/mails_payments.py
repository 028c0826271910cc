"""Word the mails about a payment: announced, failed, or waiting for the customer's bank."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from flask_babel import gettext as _

from storefront import formats
from storefront.domain.money import Money
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import said, subscription_facts
from storefront.queries.debits import debit_facts
from storefront.queries.mails import PaymentFacts, payment_facts
from storefront.services.pay_links import link


def _debit_notice(writer: Writer) -> Words | None:
    rt = writer.rt
    debit = debit_facts(rt.session, str(writer.delivery.payload["attempt"]))
    if debit is None:
        return None
    # Not before that day: the clock of the notice runs from when this mail is handed over.
    day = writer.day(rt.day_of(debit.earliest(rt.now(), rt.notices)))
    amount = writer.money(debit.amount)
    facts = [(_("Amount"), amount), (_("On or after"), day), (_("For"), said(debit.about))]
    if debit.method:
        facts.insert(2, (_("From"), debit.method))
    return Words(
        _("We debit %(amount)s on %(day)s", amount=amount, day=day),
        _("On %(day)s or soon after we debit %(amount)s.", amount=amount, day=day),
        _("You need not do anything, or you can stop it before."),
        tuple(facts),
        (_("See or stop this debit"), writer.url("/account/payment")),
        (
            _("You do not want it? Stop this one debit in your account, without giving a reason."),
            _("Or take back the whole agreement: use another card, or cancel, in your account."),
        ),
    )


def _payment_failed(writer: Writer) -> Words | None:
    tried = payment_facts(writer.rt.session, writer.delivery.payload)
    if tried is None:
        return None
    amount = writer.money(tried.amount)
    reason_code = str(writer.delivery.payload.get("reason", ""))
    reason = _reason(writer)
    if tried.retry_at:
        then = _(
            "We try again on %(when)s, or you can pay now.", when=writer.moment(tried.retry_at)
        )
    elif reason_code in {"over_limit", "opted_out"}:
        then = _("Pay it yourself, with the same card or another, to keep your box.")
    else:
        then = _("We do not try this card again. Use another card to keep your box.")
    return Words(
        _("We could not charge %(amount)s", amount=amount),
        _("We could not charge %(amount)s: %(reason)s.", amount=amount, reason=reason),
        _("Nothing was charged. Your box waits until this is settled."),
        (*_refused_cards(writer, tried), (_("Amount"), amount)),
        (_("Pay %(amount)s", amount=amount), _pay_page(writer, tried)),
        (then, _no_sign_in()),
    )


def _refused_cards(writer: Writer, tried: PaymentFacts) -> list[tuple[str, str]]:
    """Return the card that was refused; with a backup, both of them."""
    shown = (_("Card"), _card(tried))
    first = writer.delivery.payload.get("first")
    usual = payment_facts(writer.rt.session, {"attempt": first}) if first else None
    if usual is None:
        return [shown]
    return [(_("Card"), _card(usual)), (_("Backup card"), _card(tried))]


def _card(tried: PaymentFacts) -> str:
    return f"{tried.brand.title()} •••• {tried.last4}"


def _payment_link(writer: Writer) -> Words | None:
    tried = payment_facts(writer.rt.session, writer.delivery.payload)
    if tried is None:
        return None
    amount = writer.money(tried.amount)
    return Words(
        _("Your new link to pay %(amount)s", amount=amount),
        _("Here is your new link to pay %(amount)s.", amount=amount),
        _("The old one does not work any more."),
        ((_("Amount"), amount),),
        (_("Pay %(amount)s", amount=amount), _pay_page(writer, tried)),
        (_no_sign_in(), _("You did not ask for it? Then do nothing: nothing is charged.")),
    )


def _payment_waits(writer: Writer) -> Words | None:
    """Another card was stored, and may not be asked for this amount yet."""
    payload = writer.delivery.payload
    tried = payment_facts(writer.rt.session, payload)
    if tried is None:
        return None
    amount = writer.money(tried.amount)
    when = writer.moment(datetime.fromisoformat(str(payload["until"])))
    return Words(
        _("We charge your new card on %(when)s", when=when),
        _(
            "We charge %(amount)s to your new card on %(when)s or soon after.",
            amount=amount,
            when=when,
        ),
        _("Nothing was charged. Your box waits until this is settled."),
        ((_("Card"), _card(tried)), (_("Amount"), amount)),
        (_("Use another card"), writer.url("/account/payment")),
        (
            _(
                "This card was asked for this amount very often lately, and the card schemes allow"
                " no more until then. You need not do anything, or you can use another card."
            ),
        ),
    )


def _last_warning(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    tried = payment_facts(writer.rt.session, payload)
    if tried is None:
        return None
    amount = writer.money(tried.amount)
    day = writer.day(date.fromisoformat(str(payload["on"])))
    then = {
        "cancel": _("After %(day)s your subscription ends and no more boxes come.", day=day),
        "pause": _("After %(day)s your subscription pauses and no more boxes come.", day=day),
    }.get(str(payload["action"]), _("After %(day)s we do not try again by ourselves.", day=day))
    return Words(
        _("Please pay %(amount)s by %(day)s", amount=amount, day=day),
        _("%(amount)s is still open: %(reason)s.", amount=amount, reason=_reason(writer)),
        then,
        ((_("Amount"), amount), (_("To be paid by"), day)),
        (_("Pay %(amount)s", amount=amount), _pay_page(writer, tried)),
        (_no_sign_in(),),
    )


def _given_up(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    boxes = [subscription_facts(writer.rt.session, ref) for ref in payload["subscriptions"]]
    plans = formats.listing([one.plan for one in boxes if one], writer.locale)
    amount = writer.money(Money(int(payload["minor"]), str(payload["currency"])))
    failed = _("We could not collect %(amount)s for %(plan)s.", amount=amount, plan=plans)
    if payload["action"] == "leave":
        page = writer.url(f"/pay/{link(writer.rt, payload['invoice'], writer.delivery.created_at)}")
        return Words(
            _("%(amount)s stays open", amount=amount),
            failed,
            _("We do not try again by ourselves. Pay it, and your boxes come again."),
            ((_("Amount"), amount),),
            (_("Pay %(amount)s", amount=amount), page),
        )
    if payload["action"] == "pause":
        return Words(
            _("Your subscription is paused"),
            failed,
            _("Your subscription is paused. You owe nothing."),
            ((_("Your plan"), plans),),
            (_("Go on with it"), writer.url("/account/")),
            (_("You owe nothing, and no box comes until you go on with it."),),
        )
    if payload.get("stays_minor"):
        return _ended_owing(writer, failed, plans)
    return Words(
        _("Your subscription has ended"),
        failed,
        _("Your subscription has ended. You owe nothing."),
        ((_("Your plan"), plans),),
        (_("See the plans"), writer.url("/")),
        (_("You owe nothing and will not be charged again. Boxes you have paid for still ship."),),
    )


def _ended_owing(writer: Writer, failed: str, plans: str) -> Words:
    """Say what stays due of a subscription that ended: boxes that left before they were paid."""
    payload = writer.delivery.payload
    stays = writer.money(Money(int(payload["stays_minor"]), str(payload["currency"])))
    page = writer.url(f"/pay/{link(writer.rt, payload['invoice'], writer.delivery.created_at)}")
    due = _("Your subscription has ended. %(amount)s for what was sent stays due.", amount=stays)
    return Words(
        _("Your subscription has ended"),
        failed,
        due,
        ((_("Your plan"), plans), (_("Still due"), stays)),
        (_("Pay %(amount)s", amount=stays), page),
        (_("We do not try again by ourselves. Boxes you have paid for still ship."),),
    )


def _payment_confirm(writer: Writer) -> Words | None:
    tried = payment_facts(writer.rt.session, writer.delivery.payload)
    if tried is None:
        return None
    amount = writer.money(tried.amount)
    return Words(
        _("Your bank wants a confirmation"),
        _("Your bank wants to know that %(amount)s is really from you.", amount=amount),
        _("Confirm it and your box goes out."),
        ((_("Amount"), amount),),
        (_("Confirm payment"), _pay_page(writer, tried)),
        (_("Nothing was charged yet."), _no_sign_in()),
    )


def _pay_page(writer: Writer, tried: PaymentFacts) -> str:
    """Return the link by which this one invoice is paid; the same each time the mail is tried."""
    return writer.url(f"/pay/{link(writer.rt, tried.invoice_ref, writer.delivery.created_at)}")


def _no_sign_in() -> str:
    return _("The link works for 14 days, without signing in. Nothing is charged before you click.")


def _reason(writer: Writer) -> str:
    return _decline_reason(str(writer.delivery.payload.get("reason", "")))


def _decline_reason(reason: str) -> str:
    """Return a decline in plain words; an unknown reason is the bank's own business."""
    known = {
        "insufficient_funds": _("the card does not have enough money"),
        "expired_card": _("the card has expired"),
        "authentication_failed": _("your bank could not confirm it was you"),
        "over_limit": _("it is more than you agreed one payment may take"),
        "opted_out": _("you did not want it debited"),
    }
    return known.get(reason, _("your bank declined"))


PAYMENT_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "debit_notice": _debit_notice,
    "payment_failed": _payment_failed,
    "payment_confirm": _payment_confirm,
    "payment_link": _payment_link,
    "payment_last_warning": _last_warning,
    "payment_waits": _payment_waits,
    "payment_given_up": _given_up,
}
