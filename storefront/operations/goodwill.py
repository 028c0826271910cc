"""Let the shop bear a part of what an invoice owes: credit granted and used up at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.domain.ledger import CREDITS_GRANTED, CUSTOMER_CREDIT, RECEIVABLE, JournalKind
from storefront.models import CreditApplication, CreditMove, CustomerCredit, Invoice
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class Goodwill:
    """So much of one invoice; ``event_ref`` is the public id of what caused it."""

    invoice_id: int
    payer_id: int
    amount_minor: int
    currency: str
    reason: str
    event_ref: str


def bear_part(session: AnySession, goodwill: Goodwill, moment: Moment) -> None:
    """Grant the payer a credit and settle that part of the invoice with it.

    The invoice keeps its lines and its total; what it owes falls. Like any applied credit it
    is given back to the customer if the invoice becomes void. Raises ``RuntimeError`` when
    the invoice owes less than that.
    """
    minor = goodwill.amount_minor
    invoice = table_of(Invoice)
    lowered: Any = session.execute(
        sa.update(invoice)
        .where(invoice.c.id == goodwill.invoice_id, invoice.c.due_minor >= minor)
        .values(
            applied_minor=invoice.c.applied_minor + minor, due_minor=invoice.c.due_minor - minor
        )
    )
    if lowered.rowcount != 1:
        raise RuntimeError(f"invoice {goodwill.invoice_id} owes less than {minor}")
    move = session.execute(
        sa.insert(table_of(CreditMove))
        .values(
            customer_credit_id=_account(session, goodwill),
            amount_minor=minor,
            rest_minor=0,
            origin="goodwill",
            reason=goodwill.reason,
            at=moment.now,
        )
        .returning(table_of(CreditMove).c.id)
    ).scalar_one()
    session.execute(
        sa.insert(table_of(CreditApplication)).values(
            credit_move_id=move, invoice_id=goodwill.invoice_id, amount_minor=minor, at=moment.now
        )
    )
    _book(session, goodwill, moment)


def _account(session: AnySession, goodwill: Goodwill) -> int:
    """Return the payer's credit in this currency, made if there is none; nothing is added."""
    table = table_of(CustomerCredit)
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(
        dialect.insert(table)
        .values(customer_id=goodwill.payer_id, currency=goodwill.currency, balance_minor=0)
        .on_conflict_do_nothing(index_elements=["customer_id", "currency"])
    )
    key = session.execute(
        sa.select(table.c.id).where(
            table.c.customer_id == goodwill.payer_id, table.c.currency == goodwill.currency
        )
    ).scalar_one()
    return int(key)


def _book(session: AnySession, goodwill: Goodwill, moment: Moment) -> None:
    def transfer(debit: str, credit: str, invoice_id: int | None) -> Transfer:
        return Transfer(
            debit,
            credit,
            goodwill.amount_minor,
            goodwill.currency,
            goodwill.payer_id,
            invoice_id,
        )

    granted = transfer(CREDITS_GRANTED, CUSTOMER_CREDIT, None)
    applied = transfer(CUSTOMER_CREDIT, RECEIVABLE, goodwill.invoice_id)
    journals = [
        Journal(JournalKind.CREDIT_GRANTED, goodwill.event_ref, (granted,)),
        Journal(JournalKind.CREDIT_APPLIED, goodwill.event_ref, (applied,)),
    ]
    book(session, journals, moment.now)
