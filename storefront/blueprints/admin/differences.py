"""Differences between our books and the gateways' lists, and what became of them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.reconciliation import DifferenceKind
from storefront.formats import money
from storefront.queries import differences as query
from storefront.security import register_policy, staff
from storefront.services import reconciliation as service
from storefront.templating import writing_locale

_ACCESS = staff(permissions.CHARGING_MANAGE)
register_policy(
    {
        "admin.differences": _ACCESS,
        "admin.difference_settle": _ACCESS,
        "admin.differences_ask": _ACCESS,
    }
)
_LONGEST_NOTE = 255


def add_differences(bp: Blueprint) -> None:
    """Add the list, settling by hand, and comparing now."""
    bp.add_url_rule("/differences", "differences", differences)
    bp.add_url_rule(
        "/differences/<ref>/settle", "difference_settle", settle_by_hand, methods=["POST"]
    )
    bp.add_url_rule("/differences/compare", "differences_ask", ask, methods=["POST"])


def differences() -> Response:
    """List what differs; ``kind``, ``gateway`` and ``state`` in the address choose."""
    return page("differences/differences", **_context())


def settle_by_hand(ref: str) -> Response:
    """Note that somebody has put a difference right."""
    note = one_line(request.form.get("note", ""))
    if not note or len(note) > _LONGEST_NOTE:
        runtime().session.rollback()
        context = _context()
        return page("differences/differences", 422, wrong=ref, typed=note, **context)
    done = service.settle(runtime(), who(), ref, note)
    text = _("Noted as settled.") if done else _("Somebody has settled that already.")
    return saved(text, "differences/differences", url_for("admin.differences"), **_context())


def ask() -> Response:
    """Have the worker compare now."""
    service.ask_again(runtime(), who())
    text = _("The worker compares within 15 minutes. Load this page again then.")
    return saved(text, "differences/differences", url_for("admin.differences"), **_context())


def kinds() -> dict[str, str]:
    """Return what each kind of difference is called."""
    return {
        DifferenceKind.MISSING_HERE.value: _("Not in our books"),
        DifferenceKind.MISSING_THERE.value: _("Not at the gateway"),
        DifferenceKind.AMOUNT.value: _("Another amount"),
        DifferenceKind.REFUNDED.value: _("Another refund"),
        DifferenceKind.STATE.value: _("Paid on one side only"),
    }


def line(row: query.DifferenceRow) -> str:
    """Return one difference in plain words."""
    locale = writing_locale()
    ours = money(row.ours, locale) if row.ours is not None else ""
    theirs = money(row.theirs, locale) if row.theirs is not None else ""
    if row.kind == DifferenceKind.MISSING_HERE:
        return _(
            "%(gateway)s took %(sum)s that is in no book here.", gateway=row.gateway, sum=theirs
        )
    if row.kind == DifferenceKind.MISSING_THERE:
        return _(
            "%(sum)s is paid here, and %(gateway)s knows nothing of it.",
            sum=ours,
            gateway=row.gateway,
        )
    if row.kind == DifferenceKind.AMOUNT:
        return _(
            "%(gateway)s took %(theirs)s; here it is %(ours)s.",
            gateway=row.gateway,
            theirs=theirs,
            ours=ours,
        )
    if row.kind == DifferenceKind.REFUNDED:
        return _(
            "%(gateway)s has given back %(theirs)s; here it is %(ours)s.",
            gateway=row.gateway,
            theirs=theirs,
            ours=ours,
        )
    if row.ours is not None and row.ours.minor:
        return _(
            "%(sum)s is paid here; %(gateway)s says it was refused.", sum=ours, gateway=row.gateway
        )
    return _("%(gateway)s took %(sum)s that is not paid here.", gateway=row.gateway, sum=theirs)


def what_to_do(kind: str) -> str:
    """Return what a person does about a kind of difference."""
    known = {
        DifferenceKind.MISSING_HERE.value: _(
            "Look for it at the gateway. Is it from another installation or from before a backup?"
            " Give it back there, or leave it, and note what you did."
        ),
        DifferenceKind.MISSING_THERE.value: _(
            "Ask the gateway about it. If the money never came, refund the invoice here as credit"
            " and note it."
        ),
        DifferenceKind.AMOUNT.value: _("Decide it on the page of the payment, then note it."),
        DifferenceKind.REFUNDED.value: _(
            "Was it given back at the gateway by hand? Make the credit note here, so that both"
            " agree."
        ),
        DifferenceKind.STATE.value: _(
            "Give the money back at the gateway, or note the payment on the invoice here."
        ),
    }
    return known.get(kind, "")


def _context() -> dict[str, Any]:
    rt = runtime()
    accounts = [(name, gateway.account) for name, gateway in rt.gateways.items()]
    known = kinds()
    kind = request.args.get("kind", "")
    gateway = request.args.get("gateway", "")
    is_open = request.args.get("state") != "settled"
    kind, gateway = kind if kind in known else "", gateway if gateway in rt.gateways else ""
    return {
        "rows": query.listed(rt.session, is_open=is_open, kind=kind, gateway=gateway),
        "runs": query.last_comparisons(rt.session, accounts),
        "filters": {"kind": kind, "gateway": gateway, "is_open": is_open},
        "kinds": known,
        "line": line,
        "what_to_do": what_to_do,
        "most": query.MOST,
    }
