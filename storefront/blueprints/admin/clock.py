"""The movable clock of a demo shop: walks day by day through everything the worker does."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.adapters.clock import DemoClock
from storefront.blueprints.admin.base import page, saved
from storefront.blueprints.context import runtime, staff_user
from storefront.demo import walk as demo
from storefront.domain import permissions
from storefront.domain.events import EventKind
from storefront.queries import clock as query
from storefront.runtime import Runtime
from storefront.security import register_policy, staff
from storefront.services import sessions

_ACCESS = staff(permissions.CLOCK_MOVE)
register_policy({"admin.clock": _ACCESS, "admin.clock_walk": _ACCESS})
#: Days of one walk; a longer one is several.
MOST_DAYS = 31
#: The page tells of so many days back.
MOST_DAYS_BACK = 366
#: A walk stops after this many seconds and offers to go on, so that no request hangs.
MOST_SECONDS = 15.0


def add_clock(bp: Blueprint) -> None:
    """Add the page and the walk."""
    bp.add_url_rule("/clock", "clock", clock)
    bp.add_url_rule("/clock/walk", "clock_walk", walk, methods=["POST"])


def clock() -> Response:
    """Show the shop's now, where it can go, and what happened on the way."""
    _demo_clock()
    return page("clock/clock", **_context(_since()))


def walk() -> Response:
    """Walk up to ``days`` days, doing on each what the worker does."""
    rt, days = runtime(), _days()
    _demo_clock()
    first = rt.today()
    demo.walk(rt, days, most_seconds=MOST_SECONDS)
    # Who moves the clock past the end of their working day is not signed out by it.
    sessions.prolong_staff_session(rt, staff_user().session_id)
    walked = (rt.today() - first).days
    since = first + timedelta(days=1) if walked else first
    text = ngettext("Walked %(num)s day.", "Walked %(num)s days.", walked)
    left = days - walked
    if left:
        text += " " + ngettext("%(num)s day is left.", "%(num)s days are left.", left)
    to = url_for("admin.clock", since=since.isoformat(), left=left or None)
    return saved(text, "clock/clock", to, **_context(since, left))


def _demo_clock() -> DemoClock:
    rt = runtime()
    if not rt.settings.is_demo or not isinstance(rt.clock, DemoClock):
        abort(404)
    return rt.clock


def _days() -> int:
    text = request.form.get("days", "")
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
        abort(422)
    return int(text)


def _since() -> date:
    """Return the day from which to tell what happened; one far away is nobody's walk."""
    today = runtime().today()
    try:
        wished = date.fromisoformat(request.args.get("since", ""))
    except ValueError:
        return today
    return min(max(wished, today - timedelta(days=MOST_DAYS_BACK)), today)


def _context(since: date, left: int | None = None) -> dict[str, Any]:
    rt = runtime()
    moment = rt.moment()
    rows = query.happened(rt.session, moment.start_of(since), rt.day_of)
    kinds = [kind for kind, _word in _columns() if any(row.counts[kind] for row in rows)]
    if left is None:
        asked = request.args.get("left", "")
        left = int(asked) if asked.isdecimal() and int(asked) <= MOST_DAYS else 0
    return {
        "targets": _targets(rt),
        "rows": rows,
        "columns": [(kind, word) for kind, word in _columns() if kind in kinds],
        "since": since,
        "left": left,
        "most": MOST_DAYS,
    }


def _targets(rt: Runtime) -> list[tuple[str, date, int]]:
    """Return (label, day it leads to, days) of every walk on offer."""
    today = rt.today()
    cutoff = query.next_cutoff(rt.session, today)
    charge = query.next_charge(rt.session, today)
    wishes: list[tuple[str, date | None]] = [
        (_("One day"), today + timedelta(days=1)),
        (_("One week"), today + timedelta(days=7)),
        # A cut-off is the last second of its day.
        (_("Past the next cut-off"), cutoff + timedelta(days=1) if cutoff else None),
        (_("To the next charge day"), charge),
    ]
    return [
        (label, day, min((day - today).days, MOST_DAYS))
        for label, day in wishes
        if day is not None and day > today
    ]


def _columns() -> list[tuple[str, str]]:
    return [
        (EventKind.SUBSCRIPTION_STARTED, _("Began")),
        (EventKind.SUBSCRIPTION_RENEWED, _("Renewed")),
        (EventKind.PAYMENT_DECLINED, _("Declined")),
        (EventKind.SUBSCRIPTION_RECOVERED, _("Recovered")),
        (EventKind.SUBSCRIPTION_SKIPPED, _("Left out")),
        (EventKind.BOX_SKIPPED, _("Skips")),
        (EventKind.SUBSCRIPTION_HELD, _("Held")),
        (EventKind.SUBSCRIPTION_CANCEL_PLANNED, _("Cancelled")),
        (EventKind.SUBSCRIPTION_ENDED, _("Ended")),
        (EventKind.BOX_SHIPPED, _("Boxes shipped")),
        ("mail", _("Mails")),
    ]
