"""What the books say of one customer, and whether they are short enough for a page to sum."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.ledger import (
    CARRIED_BALANCE,
    CUSTOMER_CREDIT,
    RECEIVABLE,
    REFUNDS_DUE,
)
from storefront.domain.money import Money
from storefront.models import Invoice, LedgerTransfer
from storefront.models.base import table_of

#: Transfers that are summed within a page view; more are summed when somebody asks for it.
QUICKLY_SUMMED = 300_000


@dataclass(frozen=True, slots=True)
class CustomerBalance:
    """How a customer stands in one currency: what they owe us, and what we owe them."""

    owed: Money
    credit: Money
    #: Below the gateway's minimum: asked for with a later invoice.
    carried: Money
    #: On its way back to the customer.
    refunds_due: Money

    @property
    def balance(self) -> Money:
        """What they owe less what we owe them; below zero we owe more."""
        return self.owed + self.carried - self.credit - self.refunds_due


def is_quickly_summed(session: AnySession) -> bool:
    """Return whether ``account_sums`` reads few enough rows to be asked by every page view."""
    newest = session.scalar(sa.select(sa.func.max(table_of(LedgerTransfer).c.id)))
    return (newest or 0) <= QUICKLY_SUMMED


def customer_balances(session: AnySession, customer_id: int) -> list[CustomerBalance]:
    """Return how a customer stands, per currency that has ever moved."""
    table, invoice = table_of(LedgerTransfer), table_of(Invoice)
    own = sa.select(invoice.c.id).where(invoice.c.payer_id == customer_id)
    columns = (table.c.debit, table.c.credit, table.c.currency, table.c.amount_minor)
    # Two parts, because each has its index and their union would have none.
    moved = sa.union_all(
        sa.select(*columns).where(table.c.invoice_id.in_(own), table.c.customer_id == customer_id),
        sa.select(*columns).where(
            table.c.customer_id == customer_id, sa.text("invoice_id IS NULL AND box_id IS NULL")
        ),
    ).subquery()

    def standing(account: str) -> sa.ColumnElement[int]:
        signed = sa.case(
            (moved.c.debit == account, moved.c.amount_minor),
            (moved.c.credit == account, -moved.c.amount_minor),
            else_=0,
        )
        return sa.func.sum(signed)

    rows = session.execute(
        sa.select(
            moved.c.currency,
            standing(RECEIVABLE).label("owed"),
            standing(CUSTOMER_CREDIT).label("credit"),
            standing(CARRIED_BALANCE).label("carried"),
            standing(REFUNDS_DUE).label("refunds"),
        )
        .group_by(moved.c.currency)
        .order_by(moved.c.currency)
    )
    return [
        CustomerBalance(
            Money(int(row.owed), row.currency),
            Money(-int(row.credit), row.currency),
            Money(int(row.carried), row.currency),
            Money(-int(row.refunds), row.currency),
        )
        for row in rows
    ]
