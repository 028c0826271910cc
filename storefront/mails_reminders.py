"""Word the mails that come before something costs: a pause or trial ends, a first charge."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from flask_babel import gettext as _

from storefront.domain.declarations import WITHDRAWAL_DAYS, links_withdrawal
from storefront.domain.money import Money
from storefront.mail_words import Words, Writer
from storefront.merchant_texts import subscription_facts
from storefront.queries.mails import (
    SubscriptionFacts,
    has_card,
    next_charge_of,
)


def _resume_soon(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    charge = writer.next_charge(payload["subscription"])
    if subscription is None or not charge:
        return None
    day = writer.day(date.fromisoformat(payload["on"]))
    page = f"/account/subscriptions/{subscription.public_id}"
    return Words(
        _("Your pause ends on %(day)s", day=day),
        _("Your pause ends on %(day)s, and your boxes come again.", day=day),
        _("You need not do anything, or change the pause until the day before."),
        (
            (_("Your plan"), subscription.plan),
            (_("Next charge"), charge),
        ),
        (_("Change the pause"), writer.url(f"{page}/pause")),
        (_skip_or_cancel(writer, subscription),),
    )


def _trial_ends(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    charge = _next_charge(writer)
    if subscription is None or charge is None:
        return None
    day = writer.day(date.fromisoformat(payload["on"]))
    plan = (_("Your plan"), subscription.plan)
    subject = _("Your trial ends on %(day)s", day=day)
    if not has_card(writer.rt.session, subscription.public_id):
        return Words(
            subject,
            _("Your trial ends on %(day)s. Add a card before, if you want to go on.", day=day),
            _("Without a card it ends by itself and nothing is charged."),
            (plan,),
            (_("Add a card"), writer.url("/account/payment")),
        )
    if charge[1].minor == 0:
        return _before_first(
            writer,
            subscription,
            subject,
            _("Your trial ends on %(day)s. Nothing is charged then.", day=day),
            (plan,),
        )
    return _before_first(
        writer,
        subscription,
        subject,
        _("Your trial ends on %(day)s. Then your first payment is taken.", day=day),
        (plan, (_("First charge"), writer.charge(*charge))),
        _second_right(writer, subscription),
    )


def _second_right(writer: Writer, subscription: SubscriptionFacts) -> tuple[str, ...]:
    """Return that the right to withdraw begins again with the first payment, where it does."""
    if not subscription.second_withdrawal or not links_withdrawal(writer.rt.shop.countries):
        return ()
    url = writer.url(f"/contracts/withdraw?contract={subscription.public_id}")
    return (
        _(
            "After it you can withdraw from this contract once more, within %(days)s days and"
            " without giving a reason: %(url)s",
            days=WITHDRAWAL_DAYS,
            url=url,
        ),
    )


def _first_charge(writer: Writer) -> Words | None:
    """Word the payment that a trial's code put off; nothing while another costs nothing."""
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    charge = _next_charge(writer)
    if subscription is None or charge is None:
        return None
    on = date.fromisoformat(payload["on"])
    if charge[0] != on or charge[1].minor == 0:
        return None
    day = writer.day(on)
    return _before_first(
        writer,
        subscription,
        _("Your first payment is on %(day)s", day=day),
        _("On %(day)s your first payment is taken.", day=day),
        ((_("Your plan"), subscription.plan), (_("First charge"), writer.charge(*charge))),
    )


def _before_first(
    writer: Writer,
    subscription: SubscriptionFacts,
    subject: str,
    news: str,
    facts: tuple[tuple[str, str], ...],
    more: tuple[str, ...] = (),
) -> Words:
    return Words(
        subject,
        news,
        _("You can cancel until then, and nothing is charged."),
        facts,
        (
            _("See your subscription"),
            writer.url(f"/account/subscriptions/{subscription.public_id}"),
        ),
        (_skip_or_cancel(writer, subscription), *more),
    )


def _next_charge(writer: Writer) -> tuple[date, Money] | None:
    rt, public_id = writer.rt, writer.delivery.payload["subscription"]
    return next_charge_of(rt.session, public_id, rt.moment(), rt.shop.taxes)


def _skip_or_cancel(writer: Writer, subscription: SubscriptionFacts) -> str:
    page = writer.url(f"/account/subscriptions/{subscription.public_id}")
    return _("Skip or cancel online at any time: %(url)s", url=page)


#: Topic of the outbox -> how it is worded.
REMINDER_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "resume_soon": _resume_soon,
    "trial_ends": _trial_ends,
    "first_charge": _first_charge,
}
