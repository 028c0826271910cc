"""Counts of the first page in words, and what each list behind one is about."""

from __future__ import annotations

from collections.abc import Callable

from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.words import waiting_charges


def short(count: int) -> str:
    return ngettext("%(num)s product runs short", "%(num)s products run short", count)


def held(count: int) -> str:
    return ngettext(
        "%(num)s renewal waits because the shop was down",
        "%(num)s renewals wait because the shop was down",
        count,
    )


def unknown(count: int) -> str:
    return ngettext(
        "%(num)s payment with unknown result", "%(num)s payments with unknown result", count
    )


def late(count: int) -> str:
    return ngettext("%(num)s renewal is late", "%(num)s renewals are late", count)


def parked(count: int) -> str:
    return ngettext(
        "%(num)s piece of work failed and waits", "%(num)s pieces of work failed and wait", count
    )


def overdue(count: int) -> str:
    return ngettext("%(num)s transfer is overdue", "%(num)s transfers are overdue", count)


def past_due(count: int) -> str:
    return ngettext("%(num)s invoice is past due", "%(num)s invoices are past due", count)


def boxes(count: int) -> str:
    return ngettext("%(num)s box has a problem", "%(num)s boxes have a problem", count)


def returned(count: int) -> str:
    return ngettext(
        "%(num)s box came back or is lost", "%(num)s boxes came back or are lost", count
    )


def unshipped(count: int) -> str:
    return ngettext(
        "%(num)s batch is not marked as shipped", "%(num)s batches are not marked as shipped", count
    )


def unserved(count: int) -> str:
    return ngettext(
        "%(num)s renewal waits: nothing is sent to its address",
        "%(num)s renewals wait: nothing is sent to their addresses",
        count,
    )


def to_ship(count: str) -> str:
    """How many boxes of a batch are still there, as the list has it."""
    return ngettext("%(num)s box", "%(num)s boxes", int(count))


def gifts(count: int) -> str:
    return ngettext(
        "%(num)s gift was not claimed for 30 days",
        "%(num)s gifts were not claimed for 30 days",
        count,
    )


def late_changes(count: int) -> str:
    return ngettext(
        "%(num)s late change waits for a decision",
        "%(num)s late changes wait for a decision",
        count,
    )


def declarations(count: int) -> str:
    return ngettext(
        "%(num)s declaration about a contract waits",
        "%(num)s declarations about contracts wait",
        count,
    )


def inquiries(count: int) -> str:
    return ngettext(
        "%(num)s inquiry waits for an answer", "%(num)s inquiries wait for an answer", count
    )


def dead(count: int) -> str:
    return ngettext("%(num)s message was given up", "%(num)s messages were given up", count)


def failed(count: int) -> str:
    return ngettext("%(num)s job stopped early", "%(num)s jobs stopped early", count)


def old_drafts(count: int) -> str:
    return ngettext(
        "%(num)s draft of an extra charge has waited for a week",
        "%(num)s drafts of extra charges have waited for a week",
        count,
    )


def many_declines(count: int) -> str:
    return ngettext(
        "%(num)s card was declined within an hour: somebody may be trying out cards",
        "%(num)s cards were declined within an hour: somebody may be trying out cards",
        count,
    )


def joined(count: int) -> str:
    return ngettext("%(num)s new subscriber", "%(num)s new subscribers", count)


def left_shop(count: int) -> str:
    return ngettext("%(num)s cancelled", "%(num)s cancelled", count)


def paid(count: int) -> str:
    return ngettext("%(num)s payment", "%(num)s payments", count)


def declined(count: int) -> str:
    return ngettext("%(num)s declined", "%(num)s declined", count)


def shipped(count: int) -> str:
    return ngettext("%(num)s box shipped", "%(num)s boxes shipped", count)


TITLES = {
    "outage": held,
    "late": late,
    "unknown": unknown,
    "waiting": waiting_charges,
    "boxes": boxes,
    "returned": returned,
    "unshipped": unshipped,
    "unserved": unserved,
    "gifts": gifts,
    "overdue": overdue,
    "past_due": past_due,
    "new": joined,
    "left": left_shop,
    "paid": paid,
    "declined": declined,
    "shipped": shipped,
}

LEADS: dict[str, Callable[[], str]] = {
    "outage": lambda: _(
        "They fell due while nothing ran for over 48 hours, so nobody was charged by surprise."
        " Look first; once released they are charged right away."
    ),
    "late": lambda: _("They are due and not worked yet. Is the worker running?"),
    "waiting": lambda: _(
        "Nothing was charged. Each says what it waits for, and goes out by itself when that is"
        " over."
    ),
    "unknown": lambda: _(
        "The gateway did not answer. We ask again by ourselves and never charge a second time"
        " before we know."
    ),
    "overdue": lambda: _(
        "We remind 3 and 10 days after the due day. Note what came, or void or write off the"
        " rest, on the page of each invoice."
    ),
    "past_due": lambda: _(
        "The charge did not go through. Tries go on by themselves as each plan says; what the"
        " customer pays before counts at once."
    ),
    "boxes": lambda: _("Each is paid for and cannot be packed until its problem is gone."),
    "returned": lambda: _(
        "Their subscribers were told. Each stays here until it is sent again, refunded, or you say"
        " that it is settled."
    ),
    "unshipped": lambda: _(
        "Their days to leave are over. Revenue is booked and subscribers are told only once a batch"
        " is marked as shipped. Is it still here? Pack it."
    ),
    "unserved": lambda: _(
        "Nothing was charged, and they were told. Each goes on within an hour once its address is"
        " another, or its zone or country is served again."
    ),
    "gifts": lambda: _(
        "The recipients have their code and were reminded; the boxes wait and none is lost. Ask the"
        " givers to remind them, or refund what was not sent."
    ),
    "new": lambda: _("Since the beginning of yesterday."),
    "left": lambda: _("Since the beginning of yesterday. Some still have paid boxes to come."),
    "paid": lambda: _("Since the beginning of yesterday."),
    "declined": lambda: _(
        "Since the beginning of yesterday. Tries go on by themselves as each plan says."
    ),
    "shipped": lambda: _("Since the beginning of yesterday."),
}
