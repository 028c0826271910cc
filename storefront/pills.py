"""What each state is called and looks like: one table for every page, mail and export.

Colour is never alone: a pill is a tone, a symbol and a word. The words a customer
reads beside it (with date and amount) belong to the page.
"""

from typing import NamedTuple

from flask_babel import LazyString
from flask_babel import lazy_gettext as _


class Pill(NamedTuple):
    """``tone`` is one of positive, caution, danger, info, held, neutral."""

    tone: str
    icon: str
    word: LazyString


#: (kind, state code) to its pill; state codes as stored.
PILLS: dict[tuple[str, str], Pill] = {
    ("subscription", "incomplete"): Pill("neutral", "clock", _("Not finished")),
    ("subscription", "trialing"): Pill("info", "calendar", _("Trial")),
    ("subscription", "active"): Pill("positive", "check", _("Active")),
    ("subscription", "changing"): Pill("info", "swap", _("Changes soon")),
    ("subscription", "paused"): Pill("held", "pause", _("Paused")),
    ("subscription", "past_due"): Pill("danger", "warning", _("Past due")),
    ("subscription", "held"): Pill("held", "stop", _("On hold")),
    ("subscription", "ending"): Pill("caution", "calendar", _("Ends soon")),
    ("subscription", "canceled"): Pill("neutral", "cross", _("Cancelled")),
    ("subscription", "completed"): Pill("neutral", "check-circle", _("Ended")),
    ("subscription", "gift_waits"): Pill("caution", "gift", _("Not claimed")),
    ("subscription", "expired"): Pill("neutral", "cross", _("Not finished")),
    ("invoice", "draft"): Pill("neutral", "receipt", _("Draft")),
    ("invoice", "offered"): Pill("neutral", "receipt", _("Not paid")),
    ("invoice", "discarded"): Pill("neutral", "cross", _("Discarded")),
    ("invoice", "open"): Pill("info", "receipt", _("Due")),
    ("invoice", "paid"): Pill("positive", "receipt", _("Paid")),
    ("invoice", "overdue"): Pill("danger", "warning", _("Overdue")),
    ("invoice", "action_required"): Pill("caution", "lock", _("Needs your confirmation")),
    ("invoice", "part_refunded"): Pill("info", "refund", _("Partly refunded")),
    ("invoice", "refunded"): Pill("info", "refund", _("Refunded")),
    ("invoice", "void"): Pill("neutral", "cross", _("Dropped")),
    ("invoice", "uncollectible"): Pill("neutral", "cross", _("Written off")),
    ("box", "planned"): Pill("info", "box-open", _("Open")),
    ("box", "open"): Pill("info", "box-open", _("Open")),
    ("box", "locked"): Pill("info", "box", _("Being packed")),
    ("box", "exported"): Pill("info", "box", _("Being packed")),
    ("box", "shipped"): Pill("info", "truck", _("On its way")),
    ("box", "delivered"): Pill("positive", "house", _("Delivered")),
    ("box", "skipped"): Pill("neutral", "skip", _("Skipped")),
    ("box", "held"): Pill("held", "pause", _("Waiting")),
    ("box", "returned"): Pill("danger", "warning", _("Came back")),
    ("box", "lost"): Pill("danger", "warning", _("Lost")),
    ("box", "canceled"): Pill("neutral", "cross", _("Cancelled")),
    ("payment", "planned"): Pill("neutral", "clock", _("Planned")),
    ("payment", "sent"): Pill("info", "clock", _("Asking")),
    ("payment", "succeeded"): Pill("positive", "check", _("Paid")),
    ("payment", "pending"): Pill("info", "clock", _("Pending")),
    ("payment", "declined"): Pill("caution", "warning", _("Declined")),
    ("payment", "declined_hard"): Pill("danger", "warning", _("Declined")),
    ("payment", "action_required"): Pill("caution", "lock", _("Needs confirmation")),
    ("payment", "unknown"): Pill("held", "search", _("Checking")),
    ("payment", "abandoned"): Pill("neutral", "cross", _("Dropped")),
    ("cycle", "planned"): Pill("neutral", "calendar", _("Planned")),
    ("cycle", "open"): Pill("info", "box-open", _("Open")),
    ("cycle", "locked"): Pill("info", "lock", _("Locked")),
    ("cycle", "shipped"): Pill("positive", "truck", _("Shipped")),
    ("cycle", "closed"): Pill("neutral", "check", _("Closed")),
    ("mail", "pending"): Pill("info", "clock", _("Waiting")),
    ("mail", "sent"): Pill("positive", "check", _("Sent")),
    ("mail", "failed"): Pill("danger", "warning", _("Not sent")),
    ("mail", "dead"): Pill("danger", "stop", _("Given up")),
    ("mail", "stopped"): Pill("neutral", "stop", _("Stopped")),
    ("inquiry", "open"): Pill("info", "clock", _("Waits for us")),
    ("inquiry", "answered"): Pill("positive", "mail", _("Answered")),
    ("inquiry", "closed"): Pill("neutral", "check", _("Closed")),
    ("job", "running"): Pill("info", "clock", _("Running")),
    ("job", "done"): Pill("positive", "check", _("Done")),
    ("job", "failed"): Pill("danger", "warning", _("Stopped early")),
    ("job", "parked"): Pill("caution", "pause", _("Set aside")),
}


def pill_of(kind: str, state: str) -> Pill:
    """Return the pill of a state; a code the table does not know is shown as it is."""
    code = str(getattr(state, "value", state))
    known = PILLS.get((kind, code))
    if known is not None:
        return known
    return Pill("neutral", "info", _(code.replace("_", " ").capitalize()))
