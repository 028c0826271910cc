"""Let the shop bear a part of what an invoice owes: credit granted and used up at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.domain.invoices import InvoiceState
from storefront.domain.ledger import CUSTOMER_CREDIT, RECEIVABLE, JournalKind
from storefront.domain.money import Money
from storefront.models import CreditApplication, CreditMove, CustomerCredit, Invoice
from storefront.models.base import table_of
from storefront.operations.customer_credit import grant_credit
from storefront.operations.keys import AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment


@dataclass(frozen=True, slots=True)
class Goodwill:
    """So much of one invoice; ``event_ref`` is the public id of what caused it."""

    invoice_id: int
    payer_id: int
    amount: Money
    reason: str
    event_ref: str


def bear_part(session: AnySession, goodwill: Goodwill, moment: Moment) -> None:
    """Grant the payer a credit and settle that part of the invoice with it.

    The invoice keeps its lines and its total; what it owes falls. Like any applied credit it
    is given back to the customer if the invoice becomes void. Raises ``RuntimeError`` when
    the invoice owes less than that.
    """
    minor = goodwill.amount.minor
    state = _lower(session, goodwill.invoice_id, minor)
    move = grant_credit(
        session, goodwill.payer_id, goodwill.amount, "goodwill", goodwill.reason, moment
    )
    _use_up(session, move, minor)
    session.execute(
        sa.insert(table_of(CreditApplication)).values(
            credit_move_id=move, invoice_id=goodwill.invoice_id, amount_minor=minor, at=moment.now
        )
    )
    # What an offered invoice holds is booked when it is finalised.
    if state is InvoiceState.OPEN:
        applied = Transfer(
            CUSTOMER_CREDIT,
            RECEIVABLE,
            minor,
            goodwill.amount.currency,
            goodwill.payer_id,
            goodwill.invoice_id,
        )
        journal = Journal(JournalKind.CREDIT_APPLIED, goodwill.event_ref, (applied,))
        book(session, [journal], moment.now)


def _lower(session: AnySession, invoice_id: int, minor: int) -> InvoiceState:
    """Take ``minor`` off what the invoice owes and return its state."""
    table = table_of(Invoice)
    state = session.execute(
        sa.update(table)
        .where(table.c.id == invoice_id, table.c.due_minor >= minor)
        .values(applied_minor=table.c.applied_minor + minor, due_minor=table.c.due_minor - minor)
        .returning(table.c.state)
    ).scalar_one_or_none()
    if state is None:
        raise RuntimeError(f"invoice {invoice_id} owes less than {minor}")
    return InvoiceState(state)


def _use_up(session: AnySession, move_id: int, minor: int) -> None:
    """Take the credit just granted; exactly that one, however much older there is."""
    move, credit = table_of(CreditMove), table_of(CustomerCredit)
    owner: Any = session.execute(
        sa.update(move)
        .where(move.c.id == move_id)
        .values(rest_minor=move.c.rest_minor - minor)
        .returning(move.c.customer_credit_id)
    ).scalar_one()
    session.execute(
        sa.update(credit)
        .where(credit.c.id == owner)
        .values(balance_minor=credit.c.balance_minor - minor)
    )
