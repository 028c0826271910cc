"""What is put into boxes that are paid for, in words: what it costs now, and what came of it."""

from __future__ import annotations

from flask_babel import gettext as _

from storefront import formats
from storefront.blueprints.account.words import long_day, why_declined
from storefront.domain.addons import MOST
from storefront.domain.money import Money
from storefront.services.additions import Added, AdditionQuote
from storefront.templating import writing_locale


def facts(quote: AdditionQuote) -> list[tuple[str, str]]:
    """Return what is paid now, line by line."""
    rows = [(_("To pay now"), _money(quote.total))]
    if not quote.delivery.is_zero:
        rows.append((_("of it for the dearer delivery"), _money(quote.delivery)))
    rows.append((_("Tax in it"), _money(quote.tax)))
    if not quote.from_credit.is_zero:
        rows.append((_("paid by your credit"), _money(quote.from_credit)))
    if not quote.due.is_zero:
        card = _("%(brand)s ending %(last4)s", brand=quote.brand.title(), last4=quote.last4)
        rows.append(
            (
                _("from your card"),
                f"{_money(quote.due)}, {card}" if quote.last4 else _money(quote.due),
            )
        )
    return rows


def sentences(quote: AdditionQuote) -> list[str]:
    """Say which boxes bring it, and what later payments are."""
    days, count = quote.ships_on, len(quote.ships_on)
    day = long_day(days[0]) if days[0] else ""
    if count == 1:
        said = [
            _("It comes with the box that leaves on %(day)s.", day=day)
            if day
            else _("It comes with your next box.")
        ]
    elif day:
        said = [
            _(
                "It comes with each of the %(count)s boxes that are paid for; the first leaves "
                "on %(day)s.",
                count=count,
                day=day,
            )
        ]
    else:
        said = [_("It comes with each of the %(count)s boxes that are paid for.", count=count)]
    if quote.takes_days:
        said.append(
            _(
                "Your bank may take days to pay it. If the box leaves before that, nothing is "
                "added and the money goes back."
            )
        )
    if quote.later is not None:
        said.append(
            _(
                "After these it comes with every box: your payment on %(day)s is %(amount)s then.",
                day=long_day(quote.later.charge_on),
                amount=_money(quote.later.amount),
            )
        )
    return said


def said(done: Added) -> str:
    """Say what became of it."""
    if done.outcome == "added":
        return _("It is in your box. We have sent you a mail with the details.")
    if done.outcome == "declined":
        reason = why_declined(done.reason)
        return _("%(reason)s Nothing was charged and nothing was added.", reason=reason)
    if done.outcome == "surplus":
        return _(
            "It was too late for this box: it is packed, or the last piece was gone. Nothing was "
            "added, and the money goes back to where it came from."
        )
    if done.outcome == "action":
        return _("Your bank wants a confirmation.")
    return _(
        "We are asking our payment partner what happened. Please do not pay again. "
        "We e-mail you the answer."
    )


def why_not(reason: str) -> str:
    """Return why nothing can be put into a paid box now."""
    return {
        "ends": _("This subscription ends, so nothing more can be added to it."),
        "on_hold": _("Your subscription is on hold. Once it goes on you can add something."),
        "held": _("The shop takes no payments at the moment. Nothing was changed. Try later."),
        "unpaid": _("A payment is open. Once it is settled you can add something."),
        "paying": _("Something for your box is being paid. Wait for that, then add more."),
        "changing": _("A change is being paid. Once it is settled you can add something."),
        "no_box": _("No paid box can be changed any more."),
        "no_card": _("There is no card that could pay. Add one first."),
        "gone": _("That is not on sale any more. Choose something else."),
        "stock": _("So many are not there any more. Choose a smaller number, or something else."),
        "small": _("That is too little for a payment of its own. Choose more of it."),
        "quantity": _("Enter a whole number from 1 to %(most)s", most=MOST),
    }[reason]


def _money(amount: Money) -> str:
    return formats.money(amount, writing_locale())
