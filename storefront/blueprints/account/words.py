"""What happened and what is refused, in the customer's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from babel.dates import format_date
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront import formats
from storefront.blueprints.change_words import changed
from storefront.blueprints.skip_words import skip_kept
from storefront.domain.changes import ChangeQuote, Ending
from storefront.domain.commitment import boxes_owed
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.gateways import NOT_DONE
from storefront.domain.skip_limits import SkipLimits
from storefront.merchant_texts import said
from storefront.queries.account import Happening
from storefront.services.skips import SkipChange
from storefront.templating import FILTERS, writing_locale

#: Raised with every change of the words of ``change_consent``, in any language.
CHANGE_CONSENT_VERSION = "change-3"


def change_consent(quote: ChangeQuote) -> str:
    """Return what the button of a change agrees to. Stored as shown, so nothing may be vague."""
    locale, ends = writing_locale(), quote.ends
    words = [
        _(
            "I agree that %(plan)s renews %(each)s for %(amount)s in "
            "total, next on %(day)s, until I cancel. I can cancel online at any time.",
            plan=said(quote.plan),
            each=formats.interval_each(quote.interval),
            amount=formats.money(quote.amount, locale),
            day=format_date(quote.next_charge_on, "long", locale=locale),
        )
    ]
    if boxes_owed(max(quote.billed, 1), ends.least):
        words.append(_("I agree to %(least)s boxes in all.", least=ends.least))
    if (ends.most, ends.on, ends.falls_to) != (None, None, None):
        words.append(_("It ends: %(when)s.", when=_over(ends)))
    return " ".join(words)


def endings(quote: ChangeQuote) -> list[tuple[str, str, str]]:
    """Return what a change of plan does to the least number of boxes and to the end, line by line.

    Nothing where neither side says anything.
    """
    rows = []
    ended, ends = quote.ended, quote.ends
    owed = [boxes_owed(max(quote.billed, 1), one.least) for one in (ended, ends)]
    if any(owed):
        before, after = (
            _least(one.least, left) for one, left in zip((ended, ends), owed, strict=True)
        )
        rows.append((_("Least number"), before, after))
    before, after = _over(ended), _over(ends)
    if (ended, ends) != (Ending(), Ending()) and (before, after) != (_over(Ending()),) * 2:
        rows.append((_("Ends"), before, after))
    return rows


def _least(least: int, owed: int) -> str:
    if not owed:
        return _("none to come")
    return ngettext(
        "%(least)s boxes, %(num)s to come", "%(least)s boxes, %(num)s to come", owed, least=least
    )


def _over(ends: Ending) -> str:
    """Say when a subscription is over by itself."""
    if ends.on is not None and ends.most is not None:
        return _("after box %(count)s, or on %(day)s", count=ends.most, day=long_day(ends.on))
    if ends.on is not None:
        return _("on %(day)s", day=long_day(ends.on))
    if ends.most is not None:
        return _("after box %(count)s", count=ends.most)
    if ends.falls_to is not None:
        amount = FILTERS["money"](ends.falls_to)
        return _("when you cancel; after the term each box costs %(amount)s", amount=amount)
    return _("when you cancel")


def long_day(value: date | datetime) -> str:
    """Return a date as running text has it: Thu 12 March."""
    return str(FILTERS["day"](value))


def month_of(value: date) -> str:
    """Return the month by which a box is called."""
    return str(FILTERS["month"](value))


def skipped(change: SkipChange) -> str:
    """Say what skipping came to."""
    if not change.changed:
        return _("Already skipped a moment ago.")
    if change.moved_to_on:
        day = long_day(change.moved_to_on)
        return _("Skipped. Your paid box moves to %(day)s.", day=day)
    if change.moved:
        return _("Skipped. Your paid box moves to the next date we pack.")
    if change.charge_on:
        return _("Skipped. You are not charged on %(day)s.", day=long_day(change.charge_on))
    return _("Skipped. Nothing is charged for it.")


def unskipped(change: SkipChange) -> str:
    """Say what taking a skip back came to."""
    if not change.changed:
        return _("Already taken back a moment ago.")
    ships = long_day(change.ship_on)
    if change.charge_on:
        charged = long_day(change.charge_on)
        return _(
            "Your box ships on %(ships)s again. It is charged on %(charged)s.",
            ships=ships,
            charged=charged,
        )
    return _("Your box ships on %(ships)s again.", ships=ships)


def refused(error: DomainError) -> str:
    """Say why a box cannot be skipped or put back, and which one can be changed."""
    params = error.params
    if error.code == "box_too_late":
        late = _("This box is being packed and cannot be changed any more.")
        if params["next_on"] is None:
            return late
        more = _(
            "The next one you can change ships on %(day)s, until %(cutoff)s.",
            day=long_day(params["next_on"]),
            cutoff=long_day(params["next_cutoff_on"]),
        )
        return f"{late} {more}"
    if error.code == "skip_not_allowed":
        return _skip_not_allowed(params)
    if error.code == "skip_done":
        return _("That box was left out already. The next one comes as planned.")
    return _("There is no box to skip on that date.")


def _skip_not_allowed(params: Mapping[str, Any]) -> str:
    """Say which limit of the plan is reached, and which box may be skipped first."""
    limits: SkipLimits = params["limits"]
    kept = skip_kept(params["why"], limits, params["year"])
    if params["next_on"] is None:
        return kept
    more = _(
        "The first one you can skip ships on %(day)s, until %(last)s.",
        day=long_day(params["next_on"]),
        last=long_day(params["until_on"]),
    )
    return f"{kept} {more}"


def why_declined(reason: str) -> str:
    """Return the bank's reason as the end of a sentence."""
    return {
        "insufficient_funds": _("the card does not have enough money"),
        "expired_card": _("the card has expired"),
        "never_arrived": _("the bank did not answer"),
        "retry_limit": _("this card was tried too often, use another card"),
        "over_limit": _("it is more than you agreed one payment may take"),
        "opted_out": _("you did not want it debited"),
    }.get(reason, _no_bank(reason))


def _no_bank(reason: str) -> str:
    if reason in NOT_DONE:
        return _("our payment partner could not be reached, and nothing was charged")
    return _("your bank declined")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline, for the macro that draws it."""

    at: datetime
    text: str
    icon: str = "clock"
    tone: str = "neutral"
    who: str = ""
    detail: str = ""
    count: int = 1


def told(happening: Happening, currency: str) -> Line:
    """Put one event of a subscription that is paid in ``currency`` into plain words."""
    text, icon, tone = _told(happening, currency)
    who = _("by our staff") if happening.actor == Actor.STAFF else ""
    return Line(happening.at, text, icon, tone, who)


def _other_days(data: Mapping[str, Any]) -> tuple[str, str, str]:
    """Word a pause that was asked for or taken back, or a payment that moved (``to``)."""
    if data.get("to"):
        day = long_day(date.fromisoformat(data["to"]))
        return _("The next payment moved to %(day)s.", day=day), "calendar", "info"
    if not data.get("from"):
        return _("The pause was taken back."), "undo", "info"
    first = long_day(date.fromisoformat(data["from"]))
    if not data.get("until"):
        return _("A pause from %(day)s on was asked for.", day=first), "pause", "info"
    last = long_day(date.fromisoformat(data["until"]))
    text = _("A pause from %(day)s to %(end)s was asked for.", day=first, end=last)
    return text, "pause", "info"


def _told(one: Happening, currency: str) -> tuple[str, str, str]:
    kind, data = one.kind, one.data
    plain = {
        EventKind.SUBSCRIPTION_STARTED: (_("Your subscription began."), "check", "positive"),
        EventKind.SUBSCRIPTION_IMPORTED: (_("Your subscription moved here."), "check", "info"),
        EventKind.SUBSCRIPTION_TAKEN_OVER: (_("It came from your other account."), "swap", "info"),
        EventKind.SUBSCRIPTION_RENEWED: (_("Paid for the next period."), "receipt", "positive"),
        EventKind.SUBSCRIPTION_SKIPPED: (_("A box was left out."), "skip", "neutral"),
        EventKind.SUBSCRIPTION_PAST_DUE: (_("A payment did not go through."), "warning", "danger"),
        EventKind.SUBSCRIPTION_RECOVERED: (_("The open payment arrived."), "check", "positive"),
        EventKind.SUBSCRIPTION_CANCEL_UNDONE: (_("You kept your subscription."), "undo", "info"),
        EventKind.OFFER_TAKEN: (_("You took our offer."), "check", "info"),
        EventKind.OFFER_DECLINED: (_("You did without our offer."), "info", "info"),
        EventKind.LEAVING_SAID: (_("You told us why you leave."), "info", "info"),
        EventKind.SUBSCRIPTION_HELD: (_("Your subscription is on hold."), "stop", "held"),
        EventKind.SUBSCRIPTION_RELEASED: (_("Your subscription goes on."), "play", "positive"),
        EventKind.SUBSCRIPTION_CHANGED: (_("Your subscription changed."), "swap", "info"),
        EventKind.SUBSCRIPTION_PAUSED: (_("Your pause began."), "pause", "held"),
        EventKind.SUBSCRIPTION_RESUMED: (_("Your pause is over."), "play", "positive"),
        EventKind.BOXES_MADE_UNPAID: (_("Your box goes out all the same."), "box", "info"),
        EventKind.ADDONS_CHANGED: (_("You changed what is in your box."), "box", "info"),
        EventKind.ANSWERS_CHANGED: (_("You said what must not be in your box."), "allergy", "info"),
        EventKind.OPTIONS_CHANGED: (_("You changed your preferences."), "swap", "info"),
        EventKind.CODE_ADDED: (_("A code was added."), "percent", "positive"),
        EventKind.CODE_REMOVED: (_("A code was taken off."), "percent", "neutral"),
        EventKind.PAYMENT_DECLINED: (_("Your bank declined a payment."), "warning", "danger"),
        EventKind.PAYMENT_ACTION_REQUIRED: (_("Your bank asked for you."), "lock", "caution"),
        EventKind.BOX_LOCKED: (_("We are packing your box."), "box", "info"),
        EventKind.BOX_SHIPPED: (_("Your box left us."), "truck", "info"),
        EventKind.BOX_LOST: (
            _("A box did not reach you. We send it again or give you its price back."),
            "warning",
            "caution",
        ),
        EventKind.BOX_REPLACED: (_("We send your box again."), "truck", "info"),
        EventKind.BOX_DELIVERED: (_("Your box arrived."), "house", "positive"),
        EventKind.BOX_RETURNED: (_("Your box came back to us."), "warning", "caution"),
        EventKind.PAYMENT_CORRECTED: (
            _("We put a payment over a wrong amount right."),
            "receipt",
            "info",
        ),
        EventKind.REFUND_DONE: (_("We sent money back to you."), "refund", "info"),
        EventKind.DISPUTE_OPENED: (
            _("Your bank told us that you dispute a payment."),
            "warning",
            "caution",
        ),
        EventKind.DISPUTE_WON: (
            _("Your bank decided: the payment stays with us."),
            "info",
            "info",
        ),
        EventKind.ADDRESS_CONFIRMED: (_("You said that the address is right."), "check", "info"),
        EventKind.DISPUTE_LOST: (_("Your bank gave you the payment back."), "refund", "info"),
    }
    if kind == EventKind.SUBSCRIPTION_CANCEL_PLANNED and "ends_on" in data:
        day = long_day(date.fromisoformat(data["ends_on"]))
        return _("Cancelled. It ends on %(day)s.", day=day), "calendar", "caution"
    if kind in (EventKind.SUBSCRIPTION_PAUSE_PLANNED, EventKind.DATE_MOVED):
        return _other_days(data)
    if kind == EventKind.SUBSCRIPTION_ENDED and "ended_on" in data:
        day = long_day(date.fromisoformat(data["ended_on"]))
        return _("Your subscription ended on %(day)s.", day=day), "cross", "neutral"
    if kind in _OF_BOXES:
        return _of_box(kind, data)
    known = _with_name(kind, data, currency)
    known = known or {str(code): words for code, words in plain.items()}.get(kind)
    return known or (_("Something was noted."), "clock", "neutral")


def _with_name(kind: str, data: Mapping[str, Any], currency: str) -> tuple[str, str, str] | None:
    """Word what names a place, a card or a plan; None where the event keeps none."""
    if kind == EventKind.ADDRESS_CHANGED and "city" in data:
        return _("Boxes go to %(city)s now.", city=data["city"]), "map-pin", "info"
    if kind == EventKind.BOX_ADDRESS_CHANGED and "city" in data:
        return one_box_goes(data["city"], data.get("ship_on", "")), "map-pin", "info"
    if kind == EventKind.METHOD_CHANGED and "last4" in data:
        text = _("The card ending %(last4)s pays from now on.", last4=data["last4"])
        return text, "card", "info"
    change = changed(data, currency) if kind == EventKind.SUBSCRIPTION_CHANGED else ""
    return (change, "swap", "info") if change else None


def one_box_goes(city: str, ship_on: str) -> str:
    """Say where one box goes; ``ship_on`` is its first ship day, empty where none is known."""
    if not ship_on:
        return _("One box goes to %(city)s.", city=city)
    day = long_day(date.fromisoformat(ship_on))
    return _("The box of %(day)s goes to %(city)s.", day=day, city=city)


_OF_BOXES = (
    EventKind.BOX_SKIPPED,
    EventKind.BOX_UNSKIPPED,
    EventKind.BOX_CHOSEN,
    EventKind.BOX_SWAPPED,
)


def _swapped(data: Mapping[str, Any]) -> tuple[str, str, str]:
    if not data["instead"]:
        return _("%(name)s is in your box again.", name=said(data["own"])), "undo", "info"
    names = {"instead": said(data["instead"]), "own": said(data["own"])}
    if data.get("from_now_on"):
        return _("%(instead)s comes instead of %(own)s from now on.", **names), "swap", "info"
    return _("%(instead)s comes instead of %(own)s once.", **names), "swap", "info"


def _of_box(kind: str, data: Mapping[str, Any]) -> tuple[str, str, str]:
    """Word a skip, its undo, and what was chosen for a box or swapped in it."""
    if kind == EventKind.BOX_SWAPPED:
        return _swapped(data)
    day = long_day(date.fromisoformat(data["ship_on"]))
    if kind == EventKind.BOX_SKIPPED:
        return _("The box of %(day)s is skipped.", day=day), "skip", "neutral"
    if kind == EventKind.BOX_UNSKIPPED:
        return _("The box of %(day)s comes after all.", day=day), "undo", "info"
    things = [
        said(name) if count == 1 else f"{count} × {said(name)}" for name, count in data["items"]
    ]
    if not things:
        return _("You left the box of %(day)s to us.", day=day), "box", "neutral"
    listed = FILTERS["listing"](things)
    return _("You chose for the box of %(day)s: %(things)s.", day=day, things=listed), "box", "info"


def credit_origin(origin: str) -> str:
    """Return where a customer's credit came from."""
    return {
        "goodwill": _("From us"),
        "referral": _("For recommending us"),
        "welcome": _("Because a friend sent you"),
        "refund": _("Refunded"),
        "change": _("From a change of plan"),
    }.get(origin, _("Credit"))
