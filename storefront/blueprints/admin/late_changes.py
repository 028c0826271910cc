"""The queue of late changes: accept, or refuse with a reason."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import may as may_here
from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions as may
from storefront.domain.errors import DomainError
from storefront.domain.late_changes import LateKind, LateState
from storefront.queries import late_changes as query
from storefront.security import register_policy, staff
from storefront.services import late_changes

register_policy(
    dict.fromkeys(("admin.late_changes", "admin.decide_late_change"), staff(may.BOXES_MANAGE))
)


def add_late_changes(bp: Blueprint) -> None:
    """Add the page and what it posts to."""
    bp.add_url_rule("/late-changes", "late_changes", show_queue)
    address = "/late-changes/<ref>"
    bp.add_url_rule(address, "decide_late_change", decide, methods=["POST"])


def show_queue() -> Response:
    """Show what waits for a decision, and the last ones decided."""
    return page("cycles/late", 200, **_context())


def decide(ref: str) -> Response:
    """Accept or refuse one wish."""
    rt, reason = runtime(), one_line(request.form.get("reason"))
    accepts = request.form.get("answer") == "accept"
    if accepts and not may_here(may.SUBSCRIPTIONS_MANAGE) and _is_to_credit(ref):
        abort(403)
    try:
        if accepts:
            state = late_changes.accept_late(rt, who(), ref)
        else:
            state = late_changes.refuse_late(rt, who(), ref, reason)
    except late_changes.LateNotFound:
        abort(404)
    except DomainError as error:
        return page("cycles/late", 422, **_context(_problem(error.code), ref, reason))
    text = {
        LateState.ACCEPTED: _("Done; the subscriber gets a mail."),
        LateState.REFUSED: _("Refused; the subscriber gets a mail with the reason."),
    }.get(state, _("The box was exported meanwhile, so it goes as it was. The subscriber is told."))
    return saved(text, "cycles/late", url_for("admin.late_changes"), **_context())


def _is_to_credit(ref: str) -> bool:
    """Whether accepting gives credit, which not everybody may who packs boxes."""
    found = query.queue(runtime().session)
    return any(one.ref == ref and one.kind == LateKind.KEEP_BACK for one in found)


def _problem(code: str) -> str:
    return {
        "contents_refused": _("The box cannot hold that any more. Refuse, and say so."),
        "wish_incomplete": _("Enter the reason; the subscriber reads it"),
        "already_decided": _("Somebody decided this meanwhile."),
        "money_elsewhere": _(
            "This box is not paid, or the bank has its money, so nothing can be credited now."
        ),
        "not_delivered_there": _("Nothing is sent to this address. Refuse, and say so."),
    }[code]


def _context(problem: str = "", wrong: str = "", typed: str = "") -> dict[str, object]:
    session = runtime().session
    session.rollback()
    return {
        "waiting": query.queue(session),
        "decided": query.decided(session),
        "problem": problem,
        "wrong": wrong,
        "typed": typed,
    }
