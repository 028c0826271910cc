"""Work the hashes of stored documents out again: what was issued is what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby

import sqlalchemy as sa

from storefront.models import Invoice, InvoiceLine
from storefront.models.base import table_of
from storefront.operations.invoices import document_hash
from storefront.operations.keys import AnySession

_CHUNK = 500


def changed_invoices(session: AnySession, since: datetime, most: int) -> list[str]:
    """Return up to ``most`` invoices finalised from ``since`` on that are not as issued."""
    found = []
    for public, is_same in _checked(session, since):
        if not is_same:
            found.append(public)
            if len(found) == most:
                break
    return found


def _checked(session: AnySession, since: datetime) -> Iterator[tuple[str, bool]]:
    """Yield (public id, whether the hash fits); a page at a time, memory stays flat."""
    invoice, line = table_of(Invoice), table_of(InvoiceLine)
    after = 0
    while True:
        page = session.execute(
            sa.select(invoice)
            .where(
                invoice.c.id > after,
                invoice.c.number.is_not(None),
                invoice.c.finalised_at >= since,
                # Whom it was made out to was taken out of it: its hash cannot be worked out.
                invoice.c.blanked_at.is_(None),
            )
            .order_by(invoice.c.id)
            .limit(_CHUNK)
        ).all()
        if not page:
            return
        after = page[-1].id
        lines = session.execute(
            sa.select(line)
            .where(line.c.invoice_id.in_([row.id for row in page]))
            .order_by(line.c.invoice_id, line.c.position)
        ).all()
        own = {key: list(rows) for key, rows in groupby(lines, lambda row: row.invoice_id)}
        for row in page:
            said = [each._asdict() for each in own.get(row.id, [])]
            yield row.public_id, document_hash(row._asdict(), said) == row.content_hash
