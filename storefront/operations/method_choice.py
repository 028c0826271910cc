"""Which stored method pays from now on, and what follows: subscriptions repoint, chases go on."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import RUNNING
from storefront.models import ChargeAttempt, DunningCase, Invoice, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.timeline import Entry, record


def make_default(session: AnySession, customer_id: int, method_id: int) -> None:
    """Let one of the customer's methods pay from now on, and no other."""
    table = table_of(PaymentMethod)
    mine = table.c.customer_id == customer_id
    session.execute(sa.update(table).where(mine, table.c.is_default).values(is_default=False))
    session.execute(sa.update(table).where(table.c.id == method_id).values(is_default=True))


def repoint(
    session: AnySession,
    customer_id: int,
    last4: str,
    moment: Moment,
    *,
    but_invoice: int | None = None,
) -> int:
    """Let every running subscription follow the default card; returns how many are told so.

    What is owed is tried with it at the worker's next chase, but not ``but_invoice``, which the
    caller has charged at once.
    """
    table = table_of(Subscription)
    payer = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    rows = session.execute(
        sa.update(table)
        .where(payer == customer_id, table.c.state.in_(RUNNING))
        .values(payment_method_id=None, version=table.c.version + 1)
        .returning(table.c.id, table.c.public_id)
    ).all()
    entries = [
        Entry(
            row.id,
            row.public_id,
            EventKind.METHOD_CHANGED,
            Actor.CUSTOMER,
            data={"last4": last4},
        )
        for row in rows
    ]
    record(session, entries, moment)
    _chase_now(session, customer_id, moment, but_invoice)
    return len(rows)


def _chase_now(
    session: AnySession, customer_id: int, moment: Moment, but_invoice: int | None
) -> None:
    """Have the payer's open cases tried at once, beside their schedule.

    A charge on its way is waited for.
    """
    case, invoice, attempt = table_of(DunningCase), table_of(Invoice), table_of(ChargeAttempt)
    owed = sa.exists().where(
        invoice.c.id == case.c.invoice_id,
        invoice.c.payer_id == customer_id,
        invoice.c.state == InvoiceState.OPEN,
        sa.true() if but_invoice is None else invoice.c.id != but_invoice,
    )
    on_its_way = sa.exists().where(
        attempt.c.invoice_id == case.c.invoice_id, attempt.c.state.in_(OPEN_ATTEMPTS)
    )
    session.execute(
        sa.update(case)
        .where(case.c.state == "open", owed, ~on_its_way)
        .values(resume_at=sa.func.coalesce(case.c.resume_at, case.c.next_at), next_at=moment.now)
    )
