"""Word the mails that come before something costs again: the end of a pause, of a trial."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from flask_babel import gettext as _

from storefront.mail_words import Words, Writer
from storefront.queries.mails import SubscriptionFacts, has_card, subscription_facts


def _resume_soon(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if subscription is None or subscription.next_charge_on is None:
        return None
    day = writer.day(date.fromisoformat(payload["on"]))
    page = f"/account/subscriptions/{subscription.public_id}"
    return Words(
        _("Your pause ends on %(day)s", day=day),
        _("Your pause ends on %(day)s, and your boxes come again.", day=day),
        _("You need not do anything, or change the pause until the day before."),
        (
            (_("Your plan"), subscription.plan),
            (_("Next charge"), _charge(writer, subscription)),
        ),
        (_("Change the pause"), writer.url(f"{page}/pause")),
        (_skip_or_cancel(writer, subscription),),
    )


def _trial_ends(writer: Writer) -> Words | None:
    payload = writer.delivery.payload
    subscription = subscription_facts(writer.rt.session, payload["subscription"])
    if subscription is None or subscription.next_charge_on is None:
        return None
    day = writer.day(date.fromisoformat(payload["on"]))
    plan = (_("Your plan"), subscription.plan)
    if not has_card(writer.rt.session, subscription.public_id):
        return Words(
            _("Your trial ends on %(day)s", day=day),
            _("Your trial ends on %(day)s. Add a card before, if you want to go on.", day=day),
            _("Without a card it ends by itself and nothing is charged."),
            (plan,),
            (_("Add a card"), writer.url("/account/payment")),
        )
    return Words(
        _("Your trial ends on %(day)s", day=day),
        _("Your trial ends on %(day)s. Then your first payment is taken.", day=day),
        _("You can cancel until then, and nothing is charged."),
        (plan, (_("First charge"), _charge(writer, subscription))),
        (
            _("See your subscription"),
            writer.url(f"/account/subscriptions/{subscription.public_id}"),
        ),
        (_skip_or_cancel(writer, subscription),),
    )


def _charge(writer: Writer, subscription: SubscriptionFacts) -> str:
    assert subscription.next_charge_on is not None
    return _(
        "%(amount)s on %(day)s",
        amount=writer.money(subscription.price),
        day=writer.day(subscription.next_charge_on),
    )


def _skip_or_cancel(writer: Writer, subscription: SubscriptionFacts) -> str:
    page = writer.url(f"/account/subscriptions/{subscription.public_id}")
    return _("Skip or cancel online at any time: %(url)s", url=page)


#: Topic of the outbox -> how it is worded.
REMINDER_TOPICS: dict[str, Callable[[Writer], Words | None]] = {
    "resume_soon": _resume_soon,
    "trial_ends": _trial_ends,
}
