"""Disputes: what banks took back or ask about, until when to answer, and what becomes of it."""

from __future__ import annotations

from flask import Blueprint, Response, abort, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.dispute_evidence import evidence
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.disputes import NothingToEnd, NothingToResume
from storefront.htmx import go
from storefront.queries import disputes as query
from storefront.security import register_policy, staff
from storefront.services import disputes as service

_SEES, _DECIDES = staff(permissions.SUBSCRIBERS_VIEW), staff(permissions.SUBSCRIPTIONS_MANAGE)
register_policy(
    {
        "admin.disputes": _SEES,
        "admin.dispute": _SEES,
        "admin.dispute_evidence": _SEES,
        "admin.dispute_resume": _DECIDES,
        "admin.dispute_end": _DECIDES,
    }
)


def add_disputes(bp: Blueprint) -> None:
    """Add the list, one dispute, and the two decisions."""
    bp.add_url_rule("/disputes", "disputes", disputes)
    bp.add_url_rule("/disputes/<ref>", "dispute", dispute)
    bp.add_url_rule("/disputes/<ref>/evidence.txt", "dispute_evidence", evidence)
    bp.add_url_rule("/disputes/<ref>/resume", "dispute_resume", resume, methods=["POST"])
    bp.add_url_rule("/disputes/<ref>/end", "dispute_end", end, methods=["POST"])


def disputes() -> Response:
    """List what waits, by the day an answer is due, and below it what is over."""
    session = runtime().session
    return page(
        "disputes/disputes",
        waiting=query.disputes(session, is_open=True),
        over=query.disputes(session, is_open=False),
        pill=pill,
        reason=reason,
    )


def dispute(ref: str) -> Response:
    """Show one dispute."""
    rt = runtime()
    found = query.dispute(rt.session, ref)
    if found is None:
        abort(404)
    about = {"gateway": found.row.gateway, "reference": found.row.gateway_reference}
    return page(
        "disputes/dispute",
        found=found,
        evidence=rt.hooks.slot("dispute.evidence", about),
        pill=pill,
        reason=reason,
        gone=sum(one.gone for one in found.subscriptions),
    )


def resume(ref: str) -> Response:
    """Let the subscriptions go on, without what was missed."""
    try:
        done = service.resume(runtime(), who(), ref)
    except LookupError:
        abort(404)
    except NothingToResume:
        return go(url_for("admin.dispute", ref=ref), _("It holds nothing any more."))
    text = ngettext(
        "%(num)s subscription goes on; what it missed is not charged.",
        "%(num)s subscriptions go on; what they missed is not charged.",
        len(done),
    )
    return go(url_for("admin.dispute", ref=ref), text)


def end(ref: str) -> Response:
    """End the subscriptions now."""
    try:
        done = service.end(runtime(), who(), ref)
    except LookupError:
        abort(404)
    except NothingToEnd:
        return go(url_for("admin.dispute", ref=ref), _("No subscription runs any more."))
    text = ngettext(
        "%(num)s subscription ended; its disputed boxes are cancelled.",
        "%(num)s subscriptions ended; their disputed boxes are cancelled.",
        len(done),
    )
    return go(url_for("admin.dispute", ref=ref), text)


def pill(row: query.DisputeRow) -> tuple[str, str]:
    """Return the tone and the word of where a dispute stands."""
    if row.is_inquiry:
        return "caution", _("Bank asks")
    return {
        "open": ("danger", _("Bank decides")),
        "won": ("positive", _("Won")),
        "lost": ("neutral", _("Lost")),
    }[row.state]


def reason(code: str) -> str:
    """Return what the customer said to their bank."""
    known = {
        "fraudulent": _("says they did not buy it"),
        "product_not_received": _("says nothing came"),
        "product_unacceptable": _("says it was not as described"),
        "duplicate": _("says they paid twice"),
        "subscription_canceled": _("says they had cancelled"),
        "credit_not_processed": _("says a refund did not come"),
        "unrecognized": _("does not know the payment"),
        "general": _("gave no reason"),
        "": _("gave no reason"),
    }
    return known.get(code, code.replace("_", " "))
