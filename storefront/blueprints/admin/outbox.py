"""What was said to whom: every message, worded as its reader gets it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, Response, abort, make_response, request, url_for
from flask_babel import gettext as _

from storefront.adapters.mail import Mail
from storefront.blueprints.admin.base import page, saved, who
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.headers import content_security_policy
from storefront.htmx import go
from storefront.mails import TOPICS, compose
from storefront.operations.outbox import LAST_MAIL
from storefront.queries import outbox as query
from storefront.security import register_policy, staff
from storefront.services import outbox as service

_ACCESS = staff(permissions.MESSAGES_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACCESS
        for name in ("outbox", "message", "message_mail", "message_again", "message_stop")
    }
)
#: A mail is shown as it is, but may do nothing: no script, no form, nothing from elsewhere.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'self'; sandbox"
)
#: Mails that let their reader in. Staff must not be able to read them.
_SECRET = {"sign_in", "staff_link", "new_email"}
_PILLS = {"waiting": "pending", "delivered": "sent", "dead": "dead", "stopped": "stopped"}


def add_outbox(bp: Blueprint) -> None:
    """Add the list, one message, and sending it again."""
    bp.add_url_rule("/outbox", "outbox", outbox)
    bp.add_url_rule("/outbox/<ref>", "message", message)
    bp.add_url_rule("/outbox/<ref>/mail", "message_mail", mail)
    bp.add_url_rule("/outbox/<ref>/send-again", "message_again", again, methods=["POST"])
    bp.add_url_rule("/outbox/<ref>/stop", "message_stop", stop, methods=["POST"])


def outbox() -> Response:
    """List messages, narrowed by the address alone."""
    rt, args = runtime(), request.args
    topics = query.topics(rt.session)
    filters = query.Filters(
        kind=args.get("kind", "") if args.get("kind") in query.KINDS else "",
        state=args.get("state", "") if args.get("state") in query.STATES else "",
        topic=args.get("topic", "") if args.get("topic") in topics else "",
    )
    found = query.messages(
        rt.session, filters, after=args.get("older", ""), before=args.get("newer", "")
    )
    return page(
        "outbox/outbox",
        found=found,
        filters=filters,
        topics=[(code, topic_name(code)) for code in topics],
        states=[(code, state_name(code)) for code in query.STATES],
        chips=_chips(filters),
        address=_address,
        topic_name=topic_name,
        pill=pill,
    )


def message(ref: str) -> Response:
    """Show one message and what became of it."""
    response = page("outbox/message", **_context(ref))
    # The mail is in a frame of its own address.
    policy = content_security_policy("admin")
    response.headers["Content-Security-Policy"] = f"{policy}; frame-src 'self'"
    return response


def mail(ref: str) -> Response:
    """Show the mail itself, for the frame of its page."""
    rt, row = runtime(), _load(ref)
    worded = None if _is_secret(row) else _worded(row)
    if worded is None or not worded.html:
        abort(404)
    rt.session.rollback()
    html = worded.html
    for picture in worded.pictures:
        # What a mail brings with it, a page has to be told in another way.
        data = b64encode(picture.data).decode()
        html = html.replace(f"cid:{picture.key}", f"data:image/png;base64,{data}")
    response = make_response(html)
    response.headers["Content-Security-Policy"] = _MAIL_POLICY
    return response


def again(ref: str) -> Response:
    """Send it once more."""
    _load(ref)
    runtime().session.rollback()
    done = service.send_again(runtime(), ref, who())
    text = _("It goes out with the worker's next run.") if done else _("It is on its way already.")
    return _answer(ref, text)


def stop(ref: str) -> Response:
    """Keep it from being sent."""
    row = _load(ref)
    runtime().session.rollback()
    done = service.stop(runtime(), ref, who())
    text = _("Stopped. It will not be sent.") if done else _("It is not waiting any more.")
    if done and row.topic == LAST_MAIL:
        return go(url_for("admin.outbox"), text)
    return _answer(ref, text)


def _answer(ref: str, text: str) -> Response:
    to = url_for("admin.message", ref=ref)
    response = saved(text, "outbox/message", to, **_context(ref))
    policy = content_security_policy("admin")
    response.headers["Content-Security-Policy"] = f"{policy}; frame-src 'self'"
    return response


def _load(ref: str) -> query.MessageRow:
    row = query.message(runtime().session, ref)
    if row is None:
        abort(404)
    return row


def _context(ref: str) -> dict[str, Any]:
    row = _load(ref)
    secret = _is_secret(row)
    return {
        "row": row,
        "topic": topic_name(row.topic),
        "pill": pill,
        "secret": secret,
        "mail": None if secret or row.kind != "mail" else _worded(row),
        "data": _plain(row) if row.kind == "event" else [],
    }


def _is_secret(row: query.MessageRow) -> bool:
    """In the demo nobody is behind a mailbox, and its visitor needs the code."""
    return row.topic in _SECRET and not runtime().settings.is_demo


def _worded(row: query.MessageRow) -> Mail | None:
    if row.kind != "mail" or row.topic not in TOPICS:
        return None
    delivery = service.Delivery(
        row.id,
        row.ref,
        row.kind,
        row.topic,
        row.key,
        row.payload,
        row.customer_id,
        row.created_at,
    )
    return compose(runtime(), delivery)


def _plain(row: query.MessageRow) -> list[tuple[str, str]]:
    data = {"subject": row.payload.get("subject", ""), **row.payload.get("data", {})}
    return [(key.replace("_", " ").capitalize(), str(value)) for key, value in data.items()]


def _address(filters: query.Filters, **cursor: str) -> str:
    values: dict[str, object] = {**asdict(filters), **cursor}
    return url_for("admin.outbox", **{k: v for k, v in values.items() if v})  # type: ignore[arg-type]


def _chips(filters: query.Filters) -> list[tuple[str, str]]:
    kinds = {"mail": _("Mails"), "event": _("Events for plugins")}
    chips = []
    if filters.kind:
        chips.append((kinds[filters.kind], replace(filters, kind="")))
    if filters.state:
        chips.append((state_name(filters.state), replace(filters, state="")))
    if filters.topic:
        chips.append((topic_name(filters.topic), replace(filters, topic="")))
    return [(label, _address(without)) for label, without in chips]


def pill(row: query.MessageRow) -> str:
    """Return the code of the pill: a mail that failed and will be tried again says so."""
    if row.state == "waiting" and row.error:
        return "failed"
    return _PILLS[row.state]


def state_name(code: str) -> str:
    """Return a state as the filter names it."""
    return {
        "waiting": _("Waiting"),
        "delivered": _("Sent"),
        "dead": _("Given up"),
        "stopped": _("Stopped"),
    }[code]


def topic_name(code: str) -> str:
    """Return what a message is about."""
    known = {
        "sign_in": _("Sign-in code"),
        "accounts_merged": _("Accounts merged"),
        "account_erased": _("Account deleted"),
        "two_step_changed": _("Two-step sign-in switched"),
        "new_email": _("Code for a new e-mail"),
        "email_changed": _("E-mail changed"),
        "staff_link": _("Link for staff"),
        "order_confirmed": _("Order confirmed"),
        "receipt": _("Receipt"),
        "payment_failed": _("Payment failed"),
        "payment_waits": _("New card waits"),
        "debit_notice": _("Notice before a debit"),
        "payment_confirm": _("Bank asks for confirmation"),
        "cancel_confirmed": _("Cancellation confirmed"),
        "ended": _("Subscription ended"),
        "box_shipped": _("Box shipped"),
        "box_renumbered": _("Another tracking number"),
        "batch_file": _("File of a batch"),
        "box_replaced": _("Box sent again"),
        "box_returned": _("Box that came back"),
        "box_lost": _("Box that is lost"),
        "withdrawal_due": _("Withdrawal to refund"),
        "inquiry_received": _("Inquiry of a subscriber"),
        "inquiry_answered": _("Answer to an inquiry"),
        "late_change": _("Late change of a box"),
        "box_waits": _("Box that waits for stock"),
        "not_delivered_there": _("Next box to where nothing is sent"),
        "box_not_added": _("Not added to a box, not paid"),
        "box_made": _("Box of which something is still made"),
        "box_short": _("Box with something missing"),
        "gift_ordered": _("Gift ordered"),
        "gift_received": _("Gift for its recipient"),
        "gift_reminder": _("Gift, once more"),
        "gift_unclaimed": _("Gift nobody claimed"),
        "gift_waits": _("Gift of which a box waits"),
        "gift_claimed": _("Gift claimed"),
        "waiting_joined": _("On a waiting list"),
        "place_free": _("A place is free"),
        "order_later": _("Link to go on with an order"),
        "choose_soon": _("Reminder to choose a box"),
        "choice_gone": _("Choice that a recipe does not offer"),
        "box_soon": _("Next box, before its cut-off"),
        "ship_day_moved": _("Next box leaves on another day"),
        "surplus_refunded": _("Surplus sent back"),
        "card_renewed": _("Card renewed by its bank"),
        "card_gone": _("Card gone, another asked for"),
        "card_ends": _("Card ends soon"),
        "dispute_opened": _("Boxes rest over a dispute"),
        "dispute_won": _("Dispute won: go on?"),
    }
    return known.get(code, code.replace("_", " ").replace(".", ": ").capitalize())
