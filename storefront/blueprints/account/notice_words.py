"""What a notice of the account says, and where it leads; read from the mail's own facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import url_for
from flask_babel import gettext as _

from storefront.navigation import page_url
from storefront.queries.account_notices import NoticeRow

#: Topics that lead to what is paid with and owed.
_MONEY = frozenset(
    {
        "payment_failed",
        "payment_confirm",
        "payment_last_warning",
        "payment_given_up",
        "debit_notice",
        "card_ends",
        "card_gone",
        "card_renewed",
        "referral_credit",
        "transfer_due",
        "transfer_overdue",
        "extra_charge",
    }
)


def notice_text(row: NoticeRow) -> str:
    """Return a notice in one sentence."""
    return _TEXTS[row.topic]()


def notice_url(row: NoticeRow) -> str:
    """Return where something can be done about it."""
    facts: Mapping[str, Any] = row.payload
    if row.topic in _MONEY:
        return page_url("account.payment")
    if facts.get("inquiry"):
        return url_for("account.inquiry", inquiry=str(facts["inquiry"]))
    if facts.get("dispute"):
        return url_for("account.dispute", dispute=str(facts["dispute"]))
    if row.topic in {"refunded", "surplus_refunded"}:
        return page_url("account.invoices")
    if facts.get("subscription") and not facts.get("gift"):
        return url_for("account.subscription", subscription=str(facts["subscription"]))
    return page_url("account.home")


_TEXTS: dict[str, Callable[[], str]] = {
    "payment_failed": lambda: _("A payment did not go through."),
    "payment_confirm": lambda: _("Your bank wants you to confirm a payment."),
    "payment_last_warning": lambda: _("A payment is still open. We try once more."),
    "payment_given_up": lambda: _("A payment stayed open, and we try no more."),
    "transfer_due": lambda: _("An invoice waits for your transfer."),
    "transfer_overdue": lambda: _("Your transfer is overdue."),
    "extra_charge": lambda: _("You have an invoice for something extra."),
    "debit_notice": lambda: _("We announced a debit."),
    "card_ends": lambda: _("A card of yours ends soon."),
    "card_gone": lambda: _("Your bank closed a card. Add another one."),
    "card_renewed": lambda: _("Your bank renewed a card of yours."),
    "price_change": lambda: _("A new price is coming."),
    "trial_ends": lambda: _("Your trial ends soon."),
    "resume_soon": lambda: _("Your pause ends soon."),
    "ship_day_moved": lambda: _("Your next box leaves on another day."),
    "box_short": lambda: _("Something was missing in your box."),
    "box_waits": lambda: _("Your box waits for something that ran out."),
    "box_made": lambda: _("Something for your box is still being made."),
    "box_returned": lambda: _("A box came back to us."),
    "box_lost": lambda: _("A box seems to be lost on its way."),
    "box_replaced": lambda: _("We send a box again."),
    "box_not_added": lambda: _("Something could not be added to your box."),
    "not_delivered_there": lambda: _("We do not deliver to the address of your next box."),
    "late_change": lambda: _("We decided on your late change."),
    "choice_replaced": lambda: _("Something you chose was replaced."),
    "choice_gone": lambda: _("Something you chose cannot come."),
    "dispute_opened": lambda: _("Your boxes rest, because you dispute a payment."),
    "dispute_won": lambda: _("A disputed payment is settled. Does it go on?"),
    "refunded": lambda: _("Money goes back to you."),
    "surplus_refunded": lambda: _("Money goes back to you."),
    "referral_credit": lambda: _("You got credit."),
    "inquiry_answered": lambda: _("We answered your inquiry."),
}
