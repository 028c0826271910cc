"""Extra charges that are kept as drafts, as staff see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.invoices import InvoiceState
from storefront.domain.money import Money
from storefront.models import Invoice
from storefront.models.base import table_of
from storefront.operations.extra_drafts import extras
from storefront.operations.keys import AnyRow

#: Most drafts on the page.
MOST = 200


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
