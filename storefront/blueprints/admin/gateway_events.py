"""Messages of payment gateways: when the last one came, what was refused, what waits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import may, page, saved, who
from storefront.blueprints.context import external_url, runtime
from storefront.database import AnySession
from storefront.domain import permissions
from storefront.formats import moment
from storefront.queries import gateway_events as query
from storefront.security import register_policy, staff
from storefront.services import webhooks
from storefront.templating import writing_locale

_ACCESS = staff(permissions.JOBS_MANAGE)
register_policy({"admin.gateway_events": _ACCESS, "admin.gateway_event_again": _ACCESS})


def add_gateway_events(bp: Blueprint) -> None:
    """Add the page, and trying a message again."""
    bp.add_url_rule("/gateways", "gateway_events", gateway_events)
    bp.add_url_rule(
        "/gateways/messages/<int:key>/again", "gateway_event_again", again, methods=["POST"]
    )


def gateway_events() -> Response:
    """Show every gateway and what of its messages needs a person."""
    return page("gateways/gateways", **_context())


def again(key: int) -> Response:
    """Have one message applied anew by the worker."""
    done = webhooks.try_again(runtime(), who(), key)
    text = (
        _("The worker applies it again in a moment.")
        if done
        else _("Somebody has done that already.")
    )
    return saved(text, "gateways/gateways", url_for("admin.gateway_events"), **_context())


def needs(session: AnySession) -> list[tuple[str, str, str, str, str, None, datetime | None]]:
    """Return lines of the first page as (tone, icon, text, verb, address, worth, since)."""
    found = query.waiting(session)
    lines: list[tuple[str, str, str, str, str, None, datetime | None]] = []
    if found.disputes and may(permissions.SUBSCRIBERS_VIEW):
        text = ngettext("%(num)s dispute", "%(num)s disputes", found.disputes)
        if found.answer_by:
            rt = runtime()
            until = moment(found.answer_by, writing_locale(), rt.shop.zone_info, rt.today())
            text = _("%(disputes)s, answer by %(when)s", disputes=text, when=until)
        lines.append(("danger", "warning", text, _("Look"), url_for("admin.disputes"), None, None))
    if found.differences and may(permissions.CHARGING_MANAGE):
        text = ngettext(
            "%(num)s payment differs from the list of a gateway",
            "%(num)s payments differ from the lists of gateways",
            found.differences,
        )
        url = url_for("admin.differences")
        lines.append(("danger", "warning", text, _("Look"), url, None, None))
    stuck = found.failed + found.orphans
    if stuck and may(permissions.JOBS_MANAGE):
        text = ngettext(
            "%(num)s message of a payment gateway could not be applied",
            "%(num)s messages of payment gateways could not be applied",
            stuck,
        )
        url = url_for("admin.gateway_events")
        lines.append(("caution", "warning", text, _("Look"), url, None, None))
    return lines


def refusal(code: str) -> str:
    """Return why a message was refused."""
    known = {
        "no_signature": _("without a signature"),
        "bad_signature": _("with a wrong signature"),
        "too_old": _("signed too long ago, or in the future: is the clock of this server right?"),
        "unreadable": _("not readable"),
        "other_account": _("for another account"),
        "wrong_mode": _("a test message, or from live to test"),
    }
    return known.get(code, code.replace("_", " "))


def trouble(code: str) -> str:
    """Return why a message could not be applied."""
    known = {
        "unknown_charge": _("no payment of ours is meant"),
        "unknown_refund": _("no refund of ours is meant"),
        "unknown_setup": _("no card of ours is meant"),
        "unknown_dispute": _("a dispute about no payment of ours"),
        "other_account": _("the payment was made with another account"),
        "not_sent": _("the payment was never sent"),
        "no_answer": _("the gateway did not answer"),
        "no_dispute": _("the gateway knows of no dispute yet"),
        "gateway_missing": _("the gateway is not installed any more"),
        "left_to_worker": _("waits for the worker"),
        "card_break": _("waits: too many cards were declined there"),
    }
    return known.get(code, code.replace("_", " "))


def _context() -> dict[str, Any]:
    rt = runtime()
    accounts = [(name, gateway.account) for name, gateway in rt.gateways.items()]
    return {
        "gateways": query.gateways(rt.session, accounts),
        "lists": [
            (code, title, query.listed(rt.session, code))
            for code, title in (
                ("failed", _("Could not be applied")),
                ("orphan", _("About something this shop does not know")),
                ("waiting", _("Waiting")),
            )
        ],
        "address": lambda name: external_url("incoming.message", gateway=name),
        "refusal": refusal,
        "trouble": trouble,
    }
