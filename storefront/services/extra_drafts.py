"""Keep an extra charge as a draft, change it, finalise it once, or discard it.

Source: docs/decisions/0108-drafts-of-extra-charges.md.
"""

from __future__ import annotations

from storefront import charges, tax_desk
from storefront.database import retrying
from storefront.domain.errors import DomainError
from storefront.domain.invoices import InvoiceState
from storefront.domain.money import Money
from storefront.extras import (
    Charged,
    Extra,
    ExtraChanged,
    ExtraQuote,
    NotChargeable,
    Outcome,
    charge_issued,
    invoice_draft,
    issue,
    price_extra,
    quoted,
    read_subscription,
)
from storefront.models import Invoice
from storefront.models.base import table_of
from storefront.operations import audit, extra_drafts
from storefront.operations.audit import Who
from storefront.operations.invoices import InvoiceDraft
from storefront.operations.keys import AnyRow
from storefront.runtime import Runtime


class DraftChanged(DomainError):
    """Somebody else changed, finalised or discarded it since it was shown (``state``)."""

    code = "draft_changed"


def save_draft(
    rt: Runtime, who: Who, customer: str, subscription: str, extra: Extra, once: str
) -> str:
    """Keep ``extra`` as a draft and return its public id; ``once`` names the form.

    Nobody is asked for it, so the subscription need not be chargeable now.
    Raises ``LookupError``, ``BadExtra``.
    """
    tax_desk.prepare_extra(rt, subscription, extra.tax_class)

    def work() -> str:
        row = read_subscription(rt, customer, subscription, for_update=True, is_asked=False)
        known = extra_drafts.saved_before(rt.session, row.id, once)
        if known is not None:
            rt.session.rollback()
            return known
        draft = _drafted(rt, row, extra, once)
        ref = extra_drafts.write(rt.session, draft, rt.moment())
        _log(rt, who, "invoice.draft_saved", customer, {}, _said(ref, extra))
        return ref

    return retrying(rt.session, work)


def change_draft(rt: Runtime, who: Who, ref: str, extra: Extra, seen: str) -> None:
    """Let the draft say ``extra``; ``seen`` is the ``version`` that was shown.

    Raises ``LookupError``, ``BadExtra``, ``DraftChanged``.
    """
    tax_desk.prepare_extra(rt, _read(rt, ref).subscription, extra.tax_class)

    def work() -> None:
        old = _locked(rt, ref, seen)
        row = read_subscription(rt, old.customer, old.subscription, is_asked=False)
        draft = _drafted(rt, row, extra, old.snapshot["extra"]["once"])
        if not extra_drafts.rewrite(rt.session, old, draft, rt.moment()):
            raise DraftChanged(state=InvoiceState.DRAFT.value)
        before = _said(ref, _extra_of(old))
        _log(rt, who, "invoice.draft_changed", old.customer, before, _said(ref, extra))

    retrying(rt.session, work)


def quote_draft(rt: Runtime, ref: str) -> ExtraQuote:
    """Price the draft as it would be charged now.

    Raises ``LookupError``, ``NotChargeable``, ``BadExtra``, ``DraftChanged``.
    """
    old = _read(rt, ref)
    if old.state != InvoiceState.DRAFT:
        raise DraftChanged(state=InvoiceState(old.state).value)
    extra = _extra_of(old)
    tax_desk.prepare_extra(rt, old.subscription, extra.tax_class)
    row = read_subscription(rt, old.customer, old.subscription)
    taxed, priced = price_extra(rt, row, extra)
    rt.session.rollback()
    return quoted(row, taxed, priced)


def finalise_draft(rt: Runtime, who: Who, ref: str, shown: str) -> Charged:
    """Invoice the draft, taxed today, and ask for it; ``shown`` is the quote that was shown.

    A draft that somebody has finalised already is ``Outcome.REPEATED``. Raises ``LookupError``,
    ``NotChargeable``, ``BadExtra``, ``ExtraChanged``, ``DraftChanged``, ``TriedTooOften``.
    """
    if not charges.may_charge(rt):
        raise NotChargeable(reason="charging_held")
    old = _read(rt, ref)
    if old.state == InvoiceState.DRAFT:
        tax_desk.prepare_extra(rt, old.subscription, _extra_of(old).tax_class)
    found, attempt_id = retrying(rt.session, lambda: _finalise(rt, who, ref, shown))
    return charge_issued(rt, found, attempt_id)


def discard_draft(rt: Runtime, who: Who, ref: str, seen: str) -> None:
    """Discard the draft; ``seen`` is the ``version`` that was shown. Twice is once.

    Raises ``LookupError``, ``DraftChanged``.
    """

    def work() -> None:
        old = extra_drafts.lock(rt.session, ref)
        if old is not None and old.state == InvoiceState.DISCARDED:
            rt.session.rollback()
            return
        old = _locked(rt, ref, seen)
        if not extra_drafts.discard(rt.session, old.id):
            raise DraftChanged(state=InvoiceState.DRAFT.value)
        before = _said(ref, _extra_of(old))
        _log(rt, who, "invoice.draft_discarded", old.customer, before, {"invoice": ref})

    retrying(rt.session, work)


def _finalise(rt: Runtime, who: Who, ref: str, shown: str) -> tuple[Charged, int | None]:
    old = extra_drafts.lock(rt.session, ref)
    if old is None:
        raise LookupError(ref)
    if old.state != InvoiceState.DRAFT:
        rt.session.rollback()
        if old.state == InvoiceState.DISCARDED:
            raise DraftChanged(state=InvoiceState.DISCARDED.value)
        return Charged(ref, Outcome.REPEATED), None
    extra, moment = _extra_of(old), rt.moment()
    row = read_subscription(rt, old.customer, old.subscription, for_update=True)
    taxed, priced = price_extra(rt, row, extra)
    if quoted(row, taxed, priced).quote_hash != shown:
        rt.session.rollback()
        raise ExtraChanged(subscription=old.subscription)
    draft = invoice_draft(rt, row, taxed, priced, moment)
    issued = extra_drafts.finalise(rt.session, old, draft, moment)
    if issued is None:
        raise DraftChanged(state=InvoiceState.DRAFT.value)
    return issue(rt, who, old.customer, row, extra.text, issued, f"mail:extra:{ref}")


def _read(rt: Runtime, ref: str) -> AnyRow:
    found = extra_drafts.extras().where(table_of(Invoice).c.public_id == ref)
    row = rt.session.execute(found).one_or_none()
    rt.session.rollback()
    if row is None:
        raise LookupError(ref)
    return row


def _locked(rt: Runtime, ref: str, seen: str) -> AnyRow:
    """Return the draft, held, as it was shown. Raises ``LookupError``, ``DraftChanged``."""
    old = extra_drafts.lock(rt.session, ref)
    if old is None:
        raise LookupError(ref)
    if old.state != InvoiceState.DRAFT or old.content_hash != seen:
        raise DraftChanged(state=InvoiceState(old.state).value)
    return old


def _drafted(rt: Runtime, row: AnyRow, extra: Extra, once: str) -> InvoiceDraft:
    taxed, priced = price_extra(rt, row, extra)
    draft = invoice_draft(rt, row, taxed, priced, rt.moment())
    return extra_drafts.remembering(draft, extra.tax_class, once)


def _extra_of(row: AnyRow) -> Extra:
    amount = Money(row.unit_minor, row.currency)
    return Extra(row.text, amount, row.snapshot["extra"]["tax_class"])


def _said(ref: str, extra: Extra) -> dict[str, object]:
    return {
        "invoice": ref,
        "text": extra.text,
        "amount_minor": extra.amount.minor,
        "tax_class": extra.tax_class,
    }


def _log(
    rt: Runtime,
    who: Who,
    action: str,
    customer: str,
    before: dict[str, object],
    after: dict[str, object],
) -> None:
    audit.write(rt.session, who.id, action, customer, before, after, rt.moment(), who.ip)
    rt.session.commit()
