"""Book money events: journals of transfers, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from storefront.domain.ledger import JournalKind
from storefront.models import LedgerJournal, LedgerTransfer
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnySession, reserve


class Transfer(NamedTuple):
    """One amount (minor units) from account ``debit`` to account ``credit``.

    Below zero it goes the other way round: a change can owe less tax than it takes back.
    A tuple, because a run makes five for each renewal.
    """

    debit: str
    credit: str
    amount_minor: int
    currency: str
    customer_id: int | None = None
    invoice_id: int | None = None
    period_id: int | None = None
    box_id: int | None = None


class Journal(NamedTuple):
    """One money event; ``event_ref`` is the public id of what happened."""

    kind: JournalKind
    event_ref: str
    transfers: tuple[Transfer, ...]


def book(session: AnySession, journals: Sequence[Journal], at: datetime) -> None:
    """Write ``journals``; transfers of zero are left out, journals without any too.

    Raises ``IntegrityError`` when an event was booked before.
    """
    journals = [j for j in journals if any(t.amount_minor for t in j.transfers)]
    if not journals:
        return
    keys = reserve(session, LedgerJournal, len(journals))
    insert_many(
        session,
        LedgerJournal,
        [
            {"id": key, "kind": j.kind, "event_ref": j.event_ref, "at": at}
            for key, j in zip(keys, journals, strict=True)
        ],
    )
    insert_many(
        session,
        LedgerTransfer,
        [
            {
                "journal_id": key,
                "debit": t.debit,
                "credit": t.credit,
                "amount_minor": t.amount_minor,
                "currency": t.currency,
                "customer_id": t.customer_id,
                "invoice_id": t.invoice_id,
                "period_id": t.period_id,
                "box_id": t.box_id,
            }
            for key, j in zip(keys, journals, strict=True)
            for t in map(_forward, j.transfers)
            if t.amount_minor
        ],
    )


def _forward(transfer: Transfer) -> Transfer:
    if transfer.amount_minor >= 0:
        return transfer
    return transfer._replace(
        debit=transfer.credit,
        credit=transfer.debit,
        amount_minor=-transfer.amount_minor,
    )
