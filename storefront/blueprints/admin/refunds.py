"""Refund a paid invoice: choose lines, see what follows, confirm exactly that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import NotAnAmount, plain_money, read_money
from storefront.blueprints.admin.words import amount, long_day
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.errors import DomainError
from storefront.domain.invoices import CreditReason
from storefront.domain.money import Money
from storefront.domain.refunds import (
    Afterwards,
    NothingToRefund,
    Refundable,
    RefundChanged,
    RefundTooHigh,
    Way,
    WayNotOffered,
)
from storefront.htmx import go
from storefront.models.base import public_id
from storefront.operations.refund_boxes import RefundBox
from storefront.queries import documents
from storefront.security import register_policy, staff
from storefront.services import refunding
from storefront.services.refunding import Offer, RefundQuote, Wish

register_policy({"admin.invoice_refund": staff(permissions.INVOICES_MANAGE)})

#: Reasons offered, the most frequent first.
_REASONS = (CreditReason.REFUND, CreditReason.GOODWILL, CreditReason.WRONG_PRICE)
#: Fields of the confirming form that are no part of the wish.
_OF_THE_PREVIEW = ("csrf_token", "shown", "once")


def add_refunds(bp: Blueprint) -> None:
    """Add the page on which an invoice is refunded."""
    bp.add_url_rule("/documents/<ref>/refund", "invoice_refund", refund, methods=["GET", "POST"])


def refund(ref: str) -> Response:
    """Ask what goes back; show what follows; do what was shown."""
    rt = runtime()
    try:
        offered = refunding.offer(rt, ref)
    except LookupError:
        abort(404)
    if request.method == "GET":
        return _show(offered)
    shown = request.form.get("shown", "")
    try:
        wish = _wish(offered, request.form)
        if not shown or "change" in request.form:
            quote = None if "change" in request.form else refunding.quote_refund(rt, ref, wish)
            return _show(offered, quote)
        note, once = one_line(request.form.get("note")), one_line(request.form.get("once"))[:60]
        done = refunding.refund(rt, who(), ref, wish, shown, note, once)
    except RefundChanged:
        fresh = refunding.offer(rt, ref)
        text = _("This changed meanwhile. Please look again before you confirm.")
        return _show(fresh, _quoted(ref, fresh), text)
    except (DomainError, NotAnAmount, ValueError) as error:
        rt.session.rollback()
        return _show(refunding.offer(rt, ref), None, _problem(error, offered))
    text = _("Refunded. The credit note is written and logged.")
    return go(url_for("admin.document", ref=done), text)


def _quoted(ref: str, offered: Offer) -> RefundQuote | None:
    """Return what the same wish would do now, or None when that is not possible any more."""
    try:
        return refunding.quote_refund(runtime(), ref, _wish(offered, request.form))
    except DomainError:
        runtime().session.rollback()
        return None


def _wish(offered: Offer, form: Mapping[str, str]) -> Wish:
    """Read the form. Raises ``ValueError``, ``NotAnAmount``, ``RefundTooHigh``."""
    amounts = {}
    named = _named(offered, form.get("box", ""))
    for line in offered.lines:
        key = line.head.id
        if line.left and f"line-{key}" in form:
            most = line.left if named is None else named.parts.get(key, 0)
            amounts[key] = _amount(line, form, offered.currency, most)
    return Wish(
        amounts,
        Way(form.get("way", "")),
        CreditReason(form.get("reason", "")),
        Afterwards(form.get("afterwards", "")),
        form.get("box", ""),
    )


def _named(offered: Offer, ref: str) -> RefundBox | None:
    return next((one for one in offered.boxes if one.public_id == ref), None)


def _amount(line: Refundable, form: Mapping[str, str], currency: str, most: int) -> int:
    typed = one_line(form.get(f"amount-{line.head.id}"))[:40]
    pieces = one_line(form.get(f"pieces-{line.head.id}"))[:6]
    if typed:
        return read_money(typed, currency).minor
    if pieces:
        if not pieces.isascii() or not pieces.isdigit():
            raise ValueError(pieces)
        return line.of_pieces(int(pieces))
    return most


def _show(offered: Offer, quote: RefundQuote | None = None, problem: str = "") -> Response:
    form, session = request.form, runtime().session
    sent = bool(form)
    found = documents.invoice(session, offered.invoice)
    session.rollback()
    number = found.number if found else str(offered.number)
    named = _named(offered, request.values.get("box", ""))
    asked = {} if named is None or sent else named.parts
    rows = [
        {
            "key": line.head.id,
            "text": line.head.text,
            "left": Money(line.left, offered.currency),
            "paid": Money(line.paid, offered.currency),
            "pieces": line.head.quantity,
            "checked": f"line-{line.head.id}" in form
            or (not sent and (line.head.id in asked or len(offered.lines) == 1)),
            "amount": form.get(f"amount-{line.head.id}") or _typed(asked, line, offered.currency),
            "typed_pieces": form.get(f"pieces-{line.head.id}", ""),
        }
        for line in offered.lines
    ]
    return page(
        "documents/refund",
        422 if problem else 200,
        offered=offered,
        rows=rows,
        left=Money(offered.left, offered.currency),
        quote=quote,
        problem=problem,
        ways=[
            (way.value, _way(way), _way_note(way, most, offered)) for way, most in _ways(offered)
        ],
        reasons=[(code.value, _reason(code)) for code in _REASONS],
        afters=[(one.value, *_afterwards(one)) for one in offered.afterwards],
        chosen={
            "way": form.get("way") or next((way.value for way in offered.ways), ""),
            "reason": form.get("reason") or CreditReason.REFUND.value,
            "afterwards": form.get("afterwards") or Afterwards.KEEP.value,
            "note": form.get("note", ""),
            "box": "" if named is None else named.public_id,
        },
        boxes=[(one.public_id, _box(one, offered.currency)) for one in offered.boxes],
        said=_said(quote, number.removesuffix(str(offered.number)), named) if quote else [],
        number=number,
        # Each preview is done once, however often it is confirmed.
        once=public_id("once"),
        fields=[(name, form[name]) for name in form if name not in _OF_THE_PREVIEW],
    )


def _ways(offered: Offer) -> list[tuple[Way, int]]:
    return list(offered.ways.items())


def _typed(asked: Mapping[int, int], line: Refundable, currency: str) -> str:
    """Return the part of the line that is of the box asked for, as somebody would type it."""
    minor = asked.get(line.head.id, 0)
    return plain_money(Money(minor, currency)) if minor else ""


def _box(one: RefundBox, currency: str) -> str:
    return _(
        "Box %(n)s, %(day)s: %(sum)s left",
        n=one.ordinal,
        day=_day(one.ship_from),
        sum=amount(Money(one.left_minor, currency)),
    )


def _said(quote: RefundQuote, prefix: str, named: RefundBox | None) -> list[tuple[str, str]]:
    """Return the preview as label and text; ``prefix`` is that of invoices' numbers."""
    rows = [(text, amount(sum_)) for text, sum_ in quote.parts]
    if named is not None:
        text = _("%(n)s, %(day)s", n=named.ordinal, day=_day(named.ship_from))
        rows.insert(0, (_("For box"), text))
    rows.append((_("Goes back"), amount(quote.total)))
    rows.append((_("Tax in it"), amount(quote.tax)))
    rows.append((_("Which way"), _way(quote.wish.way)))
    for number, sum_ in quote.earlier:
        text = _("of it on invoice %(n)s, which the change took over", n=f"{prefix}{number}")
        rows.append((text, amount(sum_)))
    rows.append((_("Reason"), _reason(quote.wish.reason)))
    for plan, day in quote.ends:
        rows.append((_("%(plan)s ends", plan=plan), _day(day)))
    if quote.wish.afterwards is Afterwards.STOP_NOW:
        days = [_day(day) for day in quote.canceled]
        rows.append((_("Boxes cancelled"), ", ".join(days) or _("none: they have left")))
    if not quote.beside.is_zero:
        rows.append(
            (_("Paid for things added to these boxes, goes back as well"), amount(quote.beside))
        )
    if quote.emptied:
        text = ngettext(
            "taken out of %(num)s box that is not packed yet",
            "taken out of %(num)s boxes that are not packed yet",
            quote.emptied,
        )
        rows.append((_("What was added"), text))
    elif not quote.ends:
        rows.append((_("Subscription and boxes"), _("stay as they are")))
    return rows


def _day(day: date | None) -> str:
    return long_day(day) if day else _("a later box")


def _way(way: Way) -> str:
    return {
        Way.CARD: _("To the card"),
        Way.CREDIT: _("To the account's credit"),
        Way.BANK: _("By bank, by hand"),
        Way.OPEN: _("Do not ask for it"),
    }[way]


def _way_note(way: Way, most: int, offered: Offer) -> str:
    sum_ = amount(Money(most, offered.currency))
    return {
        Way.CARD: _("Up to %(sum)s. The gateway sends it within minutes.", sum=sum_),
        Way.CREDIT: _("Up to %(sum)s. It pays the next invoices.", sum=sum_),
        Way.BANK: _("Up to %(sum)s. You send it yourself; it is booked as sent.", sum=sum_),
        Way.OPEN: _("All of %(sum)s, which nobody was charged for yet.", sum=sum_),
    }[way]


def _reason(reason: CreditReason) -> str:
    return {
        CreditReason.REFUND: _("Money back"),
        CreditReason.GOODWILL: _("Goodwill"),
        CreditReason.WRONG_PRICE: _("The price was wrong"),
    }[reason]


def _afterwards(one: Afterwards) -> tuple[str, str]:
    return {
        Afterwards.KEEP: (
            _("Keep the subscription"),
            _("Boxes leave, the next renewal is charged."),
        ),
        Afterwards.PERIOD_END: (
            _("Stop at the end of the paid time"),
            _("Paid boxes leave, nothing more is charged."),
        ),
        Afterwards.STOP_NOW: (
            _("Stop now"),
            _("It ends today. Boxes of this invoice that were not sent are cancelled."),
        ),
    }[one]


def _problem(error: Exception, offered: Offer) -> str:
    if isinstance(error, RefundTooHigh):
        left = Money(int(error.params.get("left", 0)), offered.currency)
        return _("That is more than can go back: %(sum)s at most.", sum=amount(left))
    if isinstance(error, NothingToRefund):
        return _("Choose a line and an amount above zero.")
    if isinstance(error, WayNotOffered):
        return _("That is not possible any more. Choose again.")
    return _("Choose each answer, and enter amounts as 12.50.")
