"""Extra charges that are kept as drafts, as staff see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.money import Money
from storefront.models import Invoice, InvoiceLine
from storefront.models.base import table_of
from storefront.operations.extra_drafts import extras
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment

#: Most drafts on the page.
MOST = 200
#: A draft that waits for longer was probably forgotten.
OLD_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Draft:
    """One draft, or what became of it (``state``). ``total`` is as priced when it was saved."""

    ref: str
    state: str
    customer: str
    customer_name: str
    subscription: str
    text: str
    amount: Money
    tax_class: str
    total: Money
    #: Changes with everything it says.
    version: str
    at: datetime


def draft(session: AnySession, ref: str) -> Draft | None:
    """Return the extra charge ``ref`` that is or was a draft, or None."""
    row = session.execute(extras().where(table_of(Invoice).c.public_id == ref)).one_or_none()
    return None if row is None else _draft(row)


def drafts(session: AnySession) -> tuple[Draft, ...]:
    """Return what waits to be finalised or discarded, the oldest first."""
    table = table_of(Invoice)
    waiting: sa.ColumnElement[bool] = table.c.state == InvoiceState.DRAFT
    rows = session.execute(extras().where(waiting).order_by(table.c.id).limit(MOST))
    return tuple(map(_draft, rows))


def old_drafts(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Drafts that nobody has charged or discarded for a week."""
    table, line = table_of(Invoice), table_of(InvoiceLine)
    nothing = sa.literal(None, sa.BigInteger).label("minor")
    is_extra = sa.and_(line.c.invoice_id == table.c.id, line.c.kind == LineKind.EXTRA)
    return (
        sa.select(table.c.id, nothing, table.c.created_at.label("at"))
        .where(table.c.state == InvoiceState.DRAFT, table.c.created_at < moment.now - OLD_AFTER)
        .where(sa.exists().where(is_extra))
    )


def _draft(row: AnyRow) -> Draft:
    return Draft(
        row.public_id,
        InvoiceState(row.state).value,
        row.customer,
        row.customer_name,
        row.subscription,
        row.text,
        Money(row.unit_minor, row.currency),
        row.snapshot.get("extra", {}).get("tax_class", ""),
        Money(row.total_minor, row.currency),
        row.content_hash,
        row.created_at,
    )
