"""Book money that nobody owes and plan its way back, in the transaction that recorded it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.domain.ledger import REFUNDS_DUE, JournalKind, clearing
from storefront.models import Refund
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.references import new_references


@dataclass(frozen=True, slots=True)
class Surplus:
    """So much of the success of one attempt goes back, in the currency that was taken."""

    attempt_id: int
    attempt_ref: str
    gateway: str
    amount_minor: int
    currency: str
    payer_id: int
    invoice_id: int


def plan_surplus_refunds(session: AnySession, surplus: Sequence[Surplus], moment: Moment) -> None:
    """Write a journal, a planned refund and a mail for each, in the caller's transaction.

    The caller writes ``refunded_minor``. Raises ``IntegrityError`` for an attempt whose
    surplus was booked before.
    """
    if not surplus:
        return
    book(session, [_journal(one) for one in surplus], moment.now)
    publics = new_references(session, "ref", len(surplus), moment.now)
    session.execute(
        sa.insert(table_of(Refund)),
        [
            {
                "public_id": public,
                "attempt_id": one.attempt_id,
                "amount_minor": one.amount_minor,
                "currency": one.currency,
                "reason": "surplus",
                "state": AttemptState.PLANNED,
                "gateway_reference": "",
                "created_at": moment.now,
            }
            for public, one in zip(publics, surplus, strict=True)
        ],
    )
    enqueue(session, [_mail(one) for one in surplus], moment.now)


def _mail(one: Surplus) -> Message:
    payload = {
        "payment": one.attempt_ref,
        "amount_minor": one.amount_minor,
        "currency": one.currency,
    }
    key = f"mail:surplus_refunded:{one.attempt_ref}"
    return Message("mail", "surplus_refunded", key, payload, one.payer_id)


def _journal(one: Surplus) -> Journal:
    transfer = Transfer(
        clearing(one.gateway),
        REFUNDS_DUE,
        one.amount_minor,
        one.currency,
        one.payer_id,
        one.invoice_id,
    )
    return Journal(JournalKind.SURPLUS, one.attempt_ref, (transfer,))
