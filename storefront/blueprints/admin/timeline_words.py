"""What happened to a subscription, line by line, in words for staff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from storefront.blueprints.admin.words import amount, decline_reason, hold_reason, long_day
from storefront.blueprints.change_words import changed
from storefront.blueprints.leaving_words import reason_word
from storefront.domain.events import EventKind
from storefront.domain.money import Money
from storefront.queries.subscribers import Happening


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a timeline, for the macro that draws it."""

    at: datetime
    text: str
    icon: str = "clock"
    tone: str = "neutral"
    who: str = ""
    detail: str = ""
    count: int = 1


def told(one: Happening, currency: str) -> Line:
    """Put one event of a subscription into plain words."""
    text, icon, tone = _told(one, currency)
    who = {
        "staff": _("by %(name)s", name=one.actor_name) if one.actor_name else _("by staff"),
        "customer": _("by the customer"),
        "shopper": _("in the shop"),
    }.get(one.actor, "")
    return Line(one.at, text, icon, tone, who, _detail(one))


def _detail(one: Happening) -> str:
    data = one.data
    if data.get("note"):
        return f"“{data['note']}”"
    if one.kind == EventKind.PAYMENT_DECLINED:
        return decline_reason(str(data.get("reason", "")))
    return ""


def _told(one: Happening, currency: str) -> tuple[str, str, str]:
    kind, data = one.kind, one.data
    if kind in _WITH_DAY:
        field, words = _WITH_DAY[kind]
        if data.get(field):
            return words(long_day(data[field]))
    if kind in _WITH_MONEY and "amount_minor" in data:
        return _WITH_MONEY[kind](amount(Money(data["amount_minor"], currency)))
    if kind in (EventKind.SUBSCRIPTION_HELD, EventKind.SUBSCRIPTION_RELEASED):
        return _hold(kind, str(data.get("reason", "")))
    if kind in (EventKind.SUBSCRIPTION_PAUSE_PLANNED, EventKind.DATE_MOVED):
        return _other_days(data)
    return _with_name(kind, data, currency) or _plain(kind)


def _with_name(kind: str, data: Mapping[str, Any], currency: str) -> tuple[str, str, str] | None:
    """Word what names a card, a place or a product; None where the event keeps none."""
    if kind == EventKind.METHOD_CHANGED and "last4" in data:
        return _("The card ending %(last4)s pays.", last4=data["last4"]), "card", "info"
    if kind in (EventKind.ADDRESS_CHANGED, EventKind.BOX_ADDRESS_CHANGED) and "city" in data:
        return _to_city(kind, data["city"]), "map-pin", "info"
    if kind == EventKind.LEAVING_SAID and data.get("why"):
        return _("Said why they leave: %(why)s.", why=reason_word(data["why"])), "info", "info"
    if kind == EventKind.ADDONS_CHANGED and "invoice" in data:
        return _added(data, currency), "box", "info"
    change = changed(data, currency) if kind == EventKind.SUBSCRIPTION_CHANGED else ""
    return (change, "swap", "info") if change else None


def _added(data: Mapping[str, Any], currency: str) -> str:
    """Word what was put into boxes that were paid for already."""
    text = _(
        "Added to %(boxes)s paid boxes: %(count)s × %(name)s in each, for %(amount)s.",
        boxes=data["boxes"],
        count=data["quantity"],
        name=data["name"],
        amount=amount(Money(data["amount_minor"], currency)),
    )
    if data["boxes"] == 1:
        text = _(
            "Added to a paid box: %(count)s × %(name)s, for %(amount)s.",
            count=data["quantity"],
            name=data["name"],
            amount=amount(Money(data["amount_minor"], currency)),
        )
    return text


def _to_city(kind: str, city: str) -> str:
    if kind == EventKind.BOX_ADDRESS_CHANGED:
        return _("One box goes to %(city)s.", city=city)
    return _("Boxes go to %(city)s.", city=city)


def _other_days(data: Mapping[str, Any]) -> tuple[str, str, str]:
    """Word a pause that was asked for or taken back, or a payment that moved (``to``)."""
    if data.get("to"):
        text = _("The next payment moved to %(day)s.", day=long_day(data["to"]))
        return text, "calendar", "info"
    if not data.get("from"):
        return _("The pause was taken back."), "undo", "info"
    first, last = long_day(data["from"]), data.get("until")
    if not last:
        return _("A pause from %(day)s on was asked for.", day=first), "pause", "info"
    text = _("A pause from %(day)s to %(end)s was asked for.", day=first, end=long_day(last))
    return text, "pause", "info"


def _hold(kind: str, reason: str) -> tuple[str, str, str]:
    if kind == EventKind.SUBSCRIPTION_RELEASED:
        return _("Released. It goes on."), "play", "positive"
    return _("On hold: %(reason)s.", reason=hold_reason(reason)), "stop", "held"


def _plain(kind: str) -> tuple[str, str, str]:
    known: dict[str, tuple[str, str, str]] = {
        EventKind.SUBSCRIPTION_STARTED: (_("Began."), "check", "positive"),
        EventKind.SUBSCRIPTION_IMPORTED: (_("Taken over from another system."), "check", "info"),
        EventKind.SUBSCRIPTION_TAKEN_OVER: (_("Taken over from another account."), "swap", "info"),
        EventKind.SUBSCRIPTION_RENEWED: (_("Renewed."), "receipt", "positive"),
        EventKind.SUBSCRIPTION_SKIPPED: (_("A period was left out."), "skip", "neutral"),
        EventKind.SUBSCRIPTION_PAST_DUE: (_("Past due."), "warning", "danger"),
        EventKind.SUBSCRIPTION_RECOVERED: (_("The open payment arrived."), "check", "positive"),
        EventKind.SUBSCRIPTION_CANCEL_PLANNED: (_("Cancelled."), "calendar", "caution"),
        EventKind.SUBSCRIPTION_CANCEL_UNDONE: (_("Cancellation taken back."), "undo", "info"),
        EventKind.OFFER_TAKEN: (_("Took an offer instead of leaving."), "check", "positive"),
        EventKind.OFFER_DECLINED: (_("Left although something was offered."), "info", "neutral"),
        EventKind.LEAVING_SAID: (_("Said why they leave."), "info", "info"),
        EventKind.SUBSCRIPTION_ENDED: (_("Ended."), "cross", "neutral"),
        EventKind.SUBSCRIPTION_EXPIRED: (_("The order was never finished."), "cross", "neutral"),
        EventKind.SUBSCRIPTION_PAUSED: (_("A pause began."), "pause", "held"),
        EventKind.SUBSCRIPTION_RESUMED: (_("The pause is over."), "play", "positive"),
        EventKind.BOXES_MADE_UNPAID: (_("The box goes out unpaid."), "box", "caution"),
        EventKind.SUBSCRIPTION_CHANGED: (_("Changed."), "swap", "info"),
        EventKind.ADDONS_CHANGED: (_("Add-ons changed."), "box", "info"),
        EventKind.ANSWERS_CHANGED: (_("Said what must not be in a box."), "allergy", "info"),
        EventKind.OPTIONS_CHANGED: (_("Preferences changed."), "swap", "info"),
        EventKind.BOX_CHOSEN: (_("The contents of a box were chosen."), "box", "info"),
        EventKind.BOX_SWAPPED: (_("Something in a box was swapped."), "swap", "info"),
        EventKind.CODE_ADDED: (_("Code added."), "percent", "positive"),
        EventKind.CODE_REMOVED: (_("Code taken off."), "percent", "neutral"),
        EventKind.PAYMENT_SUCCEEDED: (_("Paid."), "check", "positive"),
        EventKind.PAYMENT_DECLINED: (_("The bank declined."), "warning", "danger"),
        EventKind.PAYMENT_ACTION_REQUIRED: (_("The bank asks the customer."), "lock", "caution"),
        EventKind.PAYMENT_UNKNOWN: (_("The bank has not answered."), "search", "held"),
        EventKind.PAYMENT_CORRECTED: (
            _("A payment over another amount than asked was settled."),
            "receipt",
            "info",
        ),
        EventKind.PAYMENT_SURPLUS: (_("Paid once too often; sent back."), "refund", "info"),
        EventKind.REFUND_DONE: (_("Money sent back."), "refund", "info"),
        EventKind.DISPUTE_OPENED: (_("The customer disputes a payment."), "warning", "danger"),
        EventKind.DISPUTE_WON: (_("A dispute was won."), "check", "positive"),
        EventKind.DISPUTE_LOST: (_("A dispute was lost."), "warning", "danger"),
        EventKind.BOX_MADE: (_("A box was paid for."), "box-open", "info"),
        EventKind.BOX_MOVED: (_("A box moved to another date."), "swap", "info"),
        EventKind.BOX_SKIPPED: (_("A box was skipped."), "skip", "neutral"),
        EventKind.BOX_UNSKIPPED: (_("A skip was taken back."), "undo", "info"),
        EventKind.BOX_LOCKED: (_("A box was locked for packing."), "lock", "info"),
        EventKind.BOX_EXPORTED: (_("A box went to the packers."), "download", "info"),
        EventKind.BOX_SHIPPED: (_("A box left the house."), "truck", "positive"),
        EventKind.BOX_LOST: (_("A box was lost."), "warning", "danger"),
        EventKind.BOX_REPLACED: (_("A box is sent again."), "truck", "info"),
        EventKind.BOX_DELIVERED: (_("A box arrived."), "house", "positive"),
        EventKind.BOX_RETURNED: (_("A box came back."), "warning", "danger"),
        EventKind.ADDRESS_CHANGED: (_("The address changed."), "map-pin", "info"),
        EventKind.ADDRESS_CONFIRMED: (_("They said that the address is right."), "check", "info"),
        EventKind.BOX_ADDRESS_CHANGED: (
            _("The address of one box changed."),
            "map-pin",
            "info",
        ),
        EventKind.METHOD_CHANGED: (_("The card changed."), "card", "info"),
    }
    return known.get(kind, (kind.replace("_", " ").replace(".", ": "), "clock", "neutral"))


_WITH_DAY: dict[str, tuple[str, Callable[[str], tuple[str, str, str]]]] = {
    EventKind.SUBSCRIPTION_CANCEL_PLANNED: (
        "ends_on",
        lambda day: (_("Cancelled. Ends on %(day)s.", day=day), "calendar", "caution"),
    ),
    EventKind.SUBSCRIPTION_ENDED: (
        "ended_on",
        lambda day: (_("Ended on %(day)s.", day=day), "cross", "neutral"),
    ),
    EventKind.SUBSCRIPTION_SKIPPED: (
        "from",
        lambda day: (_("The period from %(day)s was left out.", day=day), "skip", "neutral"),
    ),
    EventKind.BOX_SKIPPED: (
        "ship_on",
        lambda day: (_("The box of %(day)s is skipped.", day=day), "skip", "neutral"),
    ),
    EventKind.BOX_UNSKIPPED: (
        "ship_on",
        lambda day: (_("The box of %(day)s comes after all.", day=day), "undo", "info"),
    ),
}
_WITH_MONEY: dict[str, Callable[[str], tuple[str, str, str]]] = {
    EventKind.SUBSCRIPTION_STARTED: lambda sum_: (
        _("Began. %(amount)s paid.", amount=sum_),
        "check",
        "positive",
    ),
    EventKind.SUBSCRIPTION_RENEWED: lambda sum_: (
        _("Renewed. %(amount)s paid.", amount=sum_),
        "receipt",
        "positive",
    ),
    EventKind.SUBSCRIPTION_RECOVERED: lambda sum_: (
        _("The open %(amount)s arrived.", amount=sum_),
        "check",
        "positive",
    ),
}
