"""Extra charges that are kept as drafts: rows that ask for nothing until they are finalised.

A draft is an invoice in the state ``draft`` with one line. What was typed stands in the line and
in ``snapshot["extra"]``; every other column is worked out anew when it is finalised.
Source: docs/decisions/0108-drafts-of-extra-charges.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState, LineKind
from storefront.models import Customer, Invoice, InvoiceLine, Subscription
from storefront.models.base import public_ids, table_of
from storefront.operations.bulk import insert_many
from storefront.operations.invoices import (
    INVOICES,
    InvoiceDraft,
    IssuedInvoice,
    book_finalised,
    draw_numbers,
    locales_of,
    rows_of,
)
from storefront.operations.keys import AnyRow, AnySelect, AnySession, reserve
from storefront.operations.moment import Moment

#: Set when the draft is written, or not the document's to say again.
_KEPT = frozenset({"id", "public_id", "created_at"})
_LINE_KEPT = frozenset({"invoice_id", "position"})


def extras() -> AnySelect:
    """Select invoices over something extra with their subscription and its customer."""
    table, line = table_of(Invoice), table_of(InvoiceLine)
    subscription, owner = table_of(Subscription), table_of(Customer)
    return (
        sa.select(
            table.c.id,
            table.c.public_id,
            table.c.state,
            table.c.currency,
            table.c.total_minor,
            table.c.snapshot,
            table.c.content_hash,
            table.c.created_at,
            line.c.text,
            line.c.unit_minor,
            subscription.c.public_id.label("subscription"),
            owner.c.public_id.label("customer"),
            owner.c.name.label("customer_name"),
        )
        .join(line, sa.and_(line.c.invoice_id == table.c.id, line.c.kind == LineKind.EXTRA))
        .join(subscription, subscription.c.id == line.c.subscription_id)
        .join(owner, owner.c.id == subscription.c.customer_id)
    )


def lock(session: AnySession, ref: str) -> AnyRow | None:
    """Return the extra charge ``ref`` and hold its row until the transaction ends, or None."""
    table = table_of(Invoice)
    held = sa.select(table.c.id).where(table.c.public_id == ref)
    if session.get_bind().dialect.name == "postgresql":
        held = held.with_for_update()
    if session.execute(held).one_or_none() is None:
        return None
    return session.execute(extras().where(table.c.public_id == ref)).one_or_none()


def saved_before(session: AnySession, subscription_id: int, once: str) -> str | None:
    """Return the draft that the form ``once`` has saved already, or None."""
    table, line = table_of(Invoice), table_of(InvoiceLine)
    found: str | None = session.scalar(
        sa.select(table.c.public_id)
        .join(line, line.c.invoice_id == table.c.id)
        .where(
            line.c.subscription_id == subscription_id,
            table.c.state.in_([InvoiceState.DRAFT, InvoiceState.DISCARDED]),
            table.c.snapshot["extra"]["once"].as_string() == once,
        )
    )
    return found


def write(session: AnySession, draft: InvoiceDraft, moment: Moment) -> str:
    """Write ``draft`` as a draft and return its public id: no number, no journal."""
    key, public = reserve(session, Invoice, 1)[0], public_ids("inv", 1)[0]
    row, lines = _rows(session, key, public, draft, InvoiceState.DRAFT, None, moment)
    insert_many(session, Invoice, [row])
    insert_many(session, InvoiceLine, lines)
    return public


def rewrite(session: AnySession, old: AnyRow, draft: InvoiceDraft, moment: Moment) -> bool:
    """Let the draft ``old`` say what ``draft`` says. False: it is no draft any more."""
    row, lines = _rows(session, old.id, old.public_id, draft, InvoiceState.DRAFT, None, moment)
    return _replace(session, row, lines)


def finalise(
    session: AnySession, old: AnyRow, draft: InvoiceDraft, moment: Moment
) -> IssuedInvoice | None:
    """Make the draft ``old`` an open invoice: its number is drawn and it is booked.

    None, with nothing drawn, when it is no draft any more; the caller holds its row.
    """
    if old.state != InvoiceState.DRAFT:
        return None
    number = draw_numbers(session, INVOICES, 1)
    row, lines = _rows(session, old.id, old.public_id, draft, InvoiceState.OPEN, number, moment)
    if not _replace(session, row, lines):
        raise RuntimeError(f"draft {old.public_id} was taken while its row was held")
    issued = IssuedInvoice(old.id, old.public_id, row["total_minor"], row["currency"])
    book_finalised(session, [issued], [draft], moment)
    return issued


def discard(session: AnySession, invoice_id: int) -> bool:
    """Discard a draft: its row stays, frozen. False: it is no draft any more."""
    table = table_of(Invoice)
    done = session.execute(
        sa.update(table)
        .where(table.c.id == invoice_id, table.c.state == InvoiceState.DRAFT)
        .values(state=InvoiceState.DISCARDED)
        .returning(table.c.id)
    )
    return done.scalar_one_or_none() is not None


def remembering(draft: InvoiceDraft, tax_class: str, once: str) -> InvoiceDraft:
    """Return ``draft`` with what a draft keeps instead of the parties to the invoice.

    Names and addresses are read when it is finalised, so none is stored before.
    """
    kept = {"tax_class": tax_class, "once": once}
    return replace(draft, snapshot={"seller": draft.snapshot["seller"], "extra": kept})


def _rows(
    session: AnySession,
    key: int,
    public: str,
    draft: InvoiceDraft,
    state: InvoiceState,
    number: int | None,
    moment: Moment,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    locale = locales_of(session, {draft.payer_id}).get(draft.payer_id, "")
    return rows_of(key, public, draft, state, number, locale, moment)


def _replace(session: AnySession, row: dict[str, Any], lines: list[dict[str, Any]]) -> bool:
    """Write over a draft and its line, the line first: the freeze follows the invoice's state."""
    table, line = table_of(Invoice), table_of(InvoiceLine)
    for each in lines:
        session.execute(
            sa.update(line)
            .where(
                line.c.invoice_id == row["id"],
                line.c.position == each["position"],
                sa.exists().where(table.c.id == row["id"], table.c.state == InvoiceState.DRAFT),
            )
            .values({name: each[name] for name in each.keys() - _LINE_KEPT})
        )
    done = session.execute(
        sa.update(table)
        .where(table.c.id == row["id"], table.c.state == InvoiceState.DRAFT)
        .values({name: row[name] for name in row.keys() - _KEPT})
        .returning(table.c.id)
    )
    return done.scalar_one_or_none() is not None
