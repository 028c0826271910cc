"""What staff do with an open invoice, a refund the bank refused, and something extra."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import NotAnAmount, read_money
from storefront.blueprints.admin.words import amount
from storefront.blueprints.context import runtime
from storefront.blueprints.typed import one_line
from storefront.domain import permissions
from storefront.domain.charging import TriedTooOften
from storefront.domain.errors import DomainError
from storefront.domain.money import Money
from storefront.extras import (
    MOST,
    BadExtra,
    Extra,
    ExtraChanged,
    ExtraQuote,
    NotChargeable,
    Outcome,
)
from storefront.htmx import go
from storefront.models.base import public_id
from storefront.queries import documents
from storefront.queries.documents import Document
from storefront.security import register_policy, staff
from storefront.services import ad_hoc, bank, extra_drafts, invoice_desk, refunds
from storefront.services.invoice_desk import Then

_ACT = staff(permissions.INVOICES_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACT
        for name in (
            "invoice_open",
            "invoice_paid",
            "invoice_drop",
            "customer_pays_by",
            "subscription_extra",
            "refund_send_again",
            "refund_to_credit",
        )
    }
)


def add_invoices(bp: Blueprint) -> None:
    """Add the pages."""
    base = "/documents/<ref>"
    bp.add_url_rule(f"{base}/open", "invoice_open", decide)
    bp.add_url_rule(f"{base}/paid", "invoice_paid", paid, methods=["POST"])
    bp.add_url_rule(f"{base}/drop", "invoice_drop", drop, methods=["POST"])
    bp.add_url_rule("/subscribers/<ref>/pays-by", "customer_pays_by", pays_by, methods=["POST"])
    bp.add_url_rule(
        "/subscribers/<ref>/<sub>/extra", "subscription_extra", extra, methods=["GET", "POST"]
    )
    back = "/refunds/<ref>"
    bp.add_url_rule(f"{back}/send-again", "refund_send_again", send_again, methods=["POST"])
    bp.add_url_rule(f"{back}/to-credit", "refund_to_credit", to_credit, methods=["POST"])


def decide(ref: str) -> Response:
    """Show what can be done with an open invoice."""
    return _open_page(ref)


def _open_page(ref: str, problem: str = "") -> Response:
    rt = runtime()
    found = documents.invoice(rt.session, ref)
    rt.session.rollback()
    if found is None:
        abort(404)
    if found.state != "open":
        return go(url_for("admin.document", ref=ref), _("It is not open any more."))
    form = request.form
    typed = {
        "amount": form.get("amount", "")[:20],
        "note": form.get("note", "")[:200],
        "how": form.get("how") or "void",
        "then": form.get("then") or Then.STOP.value,
        # Both forms have a note; each keeps its own.
        "of": request.endpoint,
    }
    status = 422 if problem else 200
    return page("documents/open", status, found=found, problem=problem, typed=typed)


def paid(ref: str) -> Response:
    """Note a transfer."""
    rt = runtime()
    found = _document(ref)
    note = one_line(request.form.get("note"))
    try:
        came = read_money(request.form.get("amount", "")[:40], found.total.currency)
        invoice_desk.mark_paid(rt, who(), ref, came, note)
    except NotAnAmount:
        return _open_page(ref, _("Enter the amount that came, as 12.50."))
    except invoice_desk.OtherAmount:
        due = amount(found.due)
        text = _("It owes exactly %(due)s. Send anything else back to its sender.", due=due)
        return _open_page(ref, text)
    except DomainError as error:
        return _open_page(ref, _refused(error))
    return go(url_for("admin.document", ref=ref), _("Paid. Everything goes on as after a charge."))


def drop(ref: str) -> Response:
    """Void it, or write it off."""
    how = {"void": invoice_desk.void, "write_off": invoice_desk.give_up}
    act = how.get(request.form.get("how", ""))
    _document(ref)
    try:
        then = Then(request.form.get("then", ""))
    except ValueError:
        act = None
    if act is None:
        return _open_page(ref, _("Choose each answer."))
    try:
        act(runtime(), who(), ref, then, one_line(request.form.get("note")))
    except DomainError as error:
        return _open_page(ref, _refused(error))
    return go(url_for("admin.document", ref=ref), _("Done. Nothing of it is owed any more."))


def _document(ref: str) -> Document:
    rt = runtime()
    found = documents.invoice(rt.session, ref)
    rt.session.rollback()
    if found is None:
        abort(404)
    return found


def _refused(error: DomainError) -> str:
    runtime().session.rollback()
    known = {
        "not_open": _("It is not open any more."),
        "charge_on_its_way": _("A charge for it is on its way. Wait for the bank's answer."),
    }
    return known.get(error.code) or _("That is not possible now.")


def pays_by(ref: str) -> Response:
    """Let a customer pay by transfer, or by card again."""
    back = url_for("admin.subscriber", ref=ref)
    typed = one_line(request.form.get("days"))[:6]
    wanted = request.form.get("pays_by", "")
    try:
        days = int(typed) if typed else None
        changed = bank.set_pays_by(runtime(), who(), ref, wanted, days)
    except bank.UnknownCustomer:
        abort(404)
    except bank.NoBankDetails:
        return go(back, _("Enter the shop's bank details in the settings first."))
    except (bank.BadDays, ValueError):
        return go(back, _("Nothing changed: days to pay are a number up to 120."))
    if not changed:
        return go(back, _("It was so already."))
    by_bank = _("Pays by transfer from the next invoice on.")
    return go(back, by_bank if wanted == "bank" else _("Pays by card from the next invoice on."))


def extra(ref: str, sub: str) -> Response:
    """Charge something once: what it is, what it costs, then exactly that."""
    rt, form = runtime(), request.form
    try:
        currency = ad_hoc.currency_of(rt, ref, sub)
    except LookupError:
        abort(404)
    if request.method == "GET":
        return _extra_page(ref, sub, currency)
    try:
        wish = typed_extra(currency)
        shown = form.get("shown", "")
        once = one_line(form.get("once"))[:60] or public_id("once")
        if form.get("do") == "draft":
            draft = extra_drafts.save_draft(rt, who(), ref, sub, wish, once)
            text = _("Saved as a draft. Nobody is asked for it yet.")
            return go(url_for("admin.extra_draft", ref=draft), text)
        if not shown:
            return _extra_page(ref, sub, currency, quote=ad_hoc.quote_extra(rt, ref, sub, wish))
        done = ad_hoc.charge_extra(rt, who(), ref, sub, wish, shown, once)
    except LookupError:
        abort(404)
    except ExtraChanged:
        fresh = ad_hoc.quote_extra(rt, ref, sub, wish)
        text = _("This changed meanwhile. Please look again before you confirm.")
        return _extra_page(ref, sub, currency, quote=fresh, problem=text)
    except (NotAnAmount, DomainError) as error:
        rt.session.rollback()
        return _extra_page(ref, sub, currency, problem=extra_problem(error, currency))
    return go(url_for("admin.document", ref=done.invoice), said(done.outcome))


def _extra_page(
    ref: str, sub: str, currency: str, quote: ExtraQuote | None = None, problem: str = ""
) -> Response:
    form = request.form
    return page(
        "documents/extra",
        422 if problem else 200,
        ref=ref,
        sub=sub,
        currency=currency,
        quote=quote,
        problem=problem,
        once=form.get("once") or public_id("once"),
        typed={
            "text": form.get("text", ""),
            "amount": form.get("amount", ""),
            "tax_class": form.get("tax_class", "standard"),
        },
        classes=tax_classes(),
    )


def typed_extra(currency: str) -> Extra:
    """Return what the form says is charged. Raises ``NotAnAmount``."""
    form = request.form
    sum_ = read_money(form.get("amount", "")[:40], currency)
    return Extra(one_line(form.get("text"))[:120], sum_, form.get("tax_class", ""))


def tax_classes() -> list[tuple[str, str]]:
    """Return the choices of tax."""
    return [("standard", _("Standard rate")), ("reduced", _("Reduced rate")), ("zero", _("No tax"))]


def extra_problem(error: Exception, currency: str) -> str:
    """Return why something extra cannot be charged or kept."""
    if isinstance(error, NotChargeable):
        return {
            "ended": _("The subscription does not run, so nothing can be charged for it."),
            "held": _("The subscription is on hold. Release it first."),
            "no_consent": _("The customer never agreed to charges without being there."),
            "no_method": _("There is no card that could be charged."),
        }.get(str(error.params.get("reason")), _("Charging is held for the whole shop."))
    if isinstance(error, TriedTooOften):
        return _("This card was tried too often for this amount. Try again another day.")
    if isinstance(error, BadExtra):
        return {
            "text": _("Enter what it is for"),
            "amount": _("Enter an amount above zero"),
            "limit": _("Enter %(most)s at most", most=amount(Money(MOST, currency))),
            "tax_class": _("Choose one of the taxes in the list"),
        }.get(str(error.params.get("reason")), _("That is not possible now."))
    return str(error) if isinstance(error, NotAnAmount) else _("That is not possible now.")


def said(outcome: Outcome) -> str:
    """Return what became of something extra that was charged."""
    return {
        Outcome.PAID: _("Charged and paid."),
        Outcome.OPEN: _("The invoice is written; it waits for the transfer."),
        Outcome.DECLINED: _("The bank declined. The invoice is open and payable in the account."),
        Outcome.WAITING: _("The bank has not answered yet. We ask again by ourselves."),
        Outcome.CARRIED: _("Too little to charge now: asked for with the next charge."),
        Outcome.REPEATED: _("That was charged already; here is its invoice."),
    }[outcome]


def send_again(ref: str) -> Response:
    """Ask the gateway once more to give money back."""
    try:
        refunds.send_again(runtime(), who(), ref)
    except refunds.RefundSettled:
        return go(_parked(), _("Somebody has done that already."))
    return go(_parked(), _("It is sent again with the next run."))


def to_credit(ref: str) -> Response:
    """Give money that no card takes back as credit."""
    try:
        refunds.to_credit(runtime(), who(), ref)
    except refunds.RefundSettled:
        return go(_parked(), _("Somebody has done that already."))
    return go(_parked(), _("It is the customer's credit now."))


def _parked() -> str:
    return url_for("admin.today")
