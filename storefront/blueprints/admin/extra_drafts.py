"""Extra charges kept as drafts: the list, and one to change, charge or discard."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request, url_for
from flask_babel import gettext as _

from storefront.blueprints.admin.base import page, who
from storefront.blueprints.admin.fields import NotAnAmount, plain_money
from storefront.blueprints.admin.invoices import extra_problem, said, tax_classes, typed_extra
from storefront.blueprints.context import runtime
from storefront.domain import permissions
from storefront.domain.errors import DomainError
from storefront.extras import ExtraChanged, ExtraQuote
from storefront.htmx import go
from storefront.queries import extra_drafts as queries
from storefront.queries.extra_drafts import Draft
from storefront.security import register_policy, staff
from storefront.services import extra_drafts
from storefront.services.extra_drafts import DraftChanged

_ACT = staff(permissions.INVOICES_MANAGE)
register_policy(
    {
        f"admin.{name}": _ACT
        for name in (
            "extra_drafts",
            "extra_draft",
            "extra_draft_save",
            "extra_draft_charge",
            "extra_draft_discard",
        )
    }
)


def add_extra_drafts(bp: Blueprint) -> None:
    """Add the pages."""
    one = "/extras/<ref>"
    bp.add_url_rule("/extras", "extra_drafts", drafts)
    bp.add_url_rule(one, "extra_draft", draft)
    bp.add_url_rule(f"{one}/save", "extra_draft_save", save, methods=["POST"])
    bp.add_url_rule(f"{one}/charge", "extra_draft_charge", charge, methods=["POST"])
    bp.add_url_rule(f"{one}/discard", "extra_draft_discard", discard, methods=["POST"])


def drafts() -> Response:
    """List the drafts that wait."""
    rt = runtime()
    found = queries.drafts(rt.session)
    rt.session.rollback()
    return page("documents/drafts", drafts=found)


def draft(ref: str) -> Response:
    """Show one, priced as it would be charged now; what was finalised is a document."""
    found = _found(ref)
    if found.state not in ("draft", "discarded"):
        return go(url_for("admin.document", ref=ref))
    return _page(found)


def save(ref: str) -> Response:
    """Change what the draft says."""
    found = _found(ref)
    try:
        wish = typed_extra(found.amount.currency)
        extra_drafts.change_draft(runtime(), who(), ref, wish, request.form.get("version", ""))
    except DraftChanged:
        return _somebody_else(ref, is_typed=True)
    except (NotAnAmount, DomainError) as error:
        problem = extra_problem(error, found.amount.currency)
        return _page(_found(ref), problem, is_typed=True)
    return go(url_for("admin.extra_draft", ref=ref), _("Saved."))


def charge(ref: str) -> Response:
    """Finalise it: exactly what was shown, once."""
    found = _found(ref)
    try:
        shown = request.form.get("shown", "")
        done = extra_drafts.finalise_draft(runtime(), who(), ref, shown)
    except (ExtraChanged, DraftChanged):
        return _somebody_else(ref)
    except DomainError as error:
        return _page(_found(ref), extra_problem(error, found.amount.currency))
    return go(url_for("admin.document", ref=done.invoice), said(done.outcome))


def discard(ref: str) -> Response:
    """Discard it; it stays in the list of the subscriber's invoices, marked so."""
    found = _found(ref)
    try:
        extra_drafts.discard_draft(runtime(), who(), ref, request.form.get("version", ""))
    except DraftChanged:
        return _somebody_else(ref)
    back = url_for("admin.subscriber", ref=found.customer)
    return go(back, _("Discarded. Nobody was asked for it."))


def _somebody_else(ref: str, *, is_typed: bool = False) -> Response:
    """Show how the draft stands now; what was typed stays in its form."""
    runtime().session.rollback()
    found = _found(ref)
    text = _("This changed meanwhile. Please look again before you confirm.")
    if found.state not in ("draft", "discarded"):
        return go(url_for("admin.document", ref=ref), _("Somebody has done that already."))
    return _page(found, text, is_typed=is_typed)


def _found(ref: str) -> Draft:
    rt = runtime()
    found = queries.draft(rt.session, ref)
    rt.session.rollback()
    if found is None:
        abort(404)
    return found


def _page(found: Draft, problem: str = "", *, is_typed: bool = False) -> Response:
    form = request.form
    quote, refusal = _quoted(found)
    typed = {
        "text": found.text,
        "amount": plain_money(found.amount),
        "tax_class": found.tax_class,
    }
    if is_typed:
        typed = {name: form.get(name, "")[:120] for name in typed}
    return page(
        "documents/draft",
        422 if problem else 200,
        draft=found,
        quote=quote,
        refusal=refusal,
        problem=problem,
        typed=typed,
        classes=tax_classes(),
    )


def _quoted(found: Draft) -> tuple[ExtraQuote | None, str]:
    """Return the price of the draft now, or why it cannot be charged now."""
    if found.state != "draft":
        return None, ""
    rt = runtime()
    try:
        return extra_drafts.quote_draft(rt, found.ref), ""
    except DomainError as error:
        rt.session.rollback()
        return None, extra_problem(error, found.amount.currency)
