"""Whom invoices are made out to: who pays, at an address of their own where they gave one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.models import Checkout, Customer
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.taxes import is_their_own

#: What a billing address holds, by column name of ``address``.
PARTS = ("name", "company", "street", "extra", "postcode", "city", "region", "country")


def billed_to(row: AnyRow) -> dict[str, str]:
    """Return the buyer for a document's snapshot, of a row that says who pays."""
    return {"name": row.payer_name, "email": row.payer_email, **parts_of(row.billing)}


def parts_of(billing: Mapping[str, Any] | None) -> dict[str, str]:
    """Return a billing address with all its parts; nothing where there is none."""
    if not billing or not billing.get("street"):
        return {}
    return {name: str(billing.get(name) or "") for name in PARTS}


def change_billing(session: AnySession, customer_id: int, billing: Mapping[str, Any]) -> None:
    """Make later invoices of a customer out to ``billing``; nothing: to where the boxes go."""
    table = table_of(Customer)
    session.execute(
        sa.update(table).where(table.c.id == customer_id).values(billing=parts_of(billing))
    )


def note_billing(session: AnySession, payers: Mapping[int, int]) -> None:
    """Keep the billing addresses of paid orders with their customers, for the renewals.

    ``payers`` has the customer of each checkout. As with VAT numbers an order under somebody
    else's e-mail changes nothing of its owner's. A gift asks for none and leaves it as it is.
    """
    table = table_of(Checkout)
    rows: Sequence[AnyRow] = session.execute(
        sa.select(table.c.id, table.c.billing, table.c.gift, table.c.quote)
        .where(table.c.id.in_(payers))
        .order_by(table.c.id)
    ).all()
    for row in rows:
        if not row.gift and is_their_own(row, payers[row.id]):
            change_billing(session, payers[row.id], row.billing)
