"""Invoices whose customer chose another method while a charge of the old one was on its way.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.events import Actor, EventKind
from storefront.models import (
    ChargeAttempt,
    DunningCase,
    Invoice,
    InvoiceLine,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.method_choice import method_for
from storefront.operations.moment import Moment

#: A choice is written down a little before the charge that was planned beside it is known.
SLACK = timedelta(minutes=5)
#: Subscriptions whose method was changed, by the invoice that the new method has yet to be
#: asked for.
Overtaken = dict[int, list[int]]


def overtaken(session: AnySession, rows: Sequence[AnyRow]) -> Overtaken:
    """Return the invoices among ``rows`` for which the method that pays now was chosen too late.

    ``rows`` are attempts (``public_id``) whose answer is known. Chosen too late is what a
    customer let pay after the attempt was planned, and what the invoice was not tried with
    since. Statements: one for any count.
    """
    found: Overtaken = {}
    refs = [row.public_id for row in rows]
    for row in session.execute(_statement(), {"ids": refs}) if refs else ():
        is_new = row.tried_at is None or row.tried_at < row.chosen_at
        if is_new and row.chosen_at >= row.created_at - SLACK:
            found.setdefault(row.invoice_id, []).append(row.subscription_id)
    return found


@cache
def _statement() -> AnySelect:
    attempt, invoice, line = table_of(ChargeAttempt), table_of(Invoice), table_of(InvoiceLine)
    event, since = table_of(SubscriptionEvent), attempt.alias()
    now = method_for(invoice)
    chosen = sa.and_(
        event.c.subscription_id == line.c.subscription_id,
        event.c.kind == EventKind.METHOD_CHANGED.value,
        event.c.actor == Actor.CUSTOMER.value,
    )
    tried = sa.select(sa.func.max(since.c.created_at)).where(
        since.c.invoice_id == attempt.c.invoice_id, since.c.payment_method_id == now
    )
    return (
        sa.select(
            attempt.c.invoice_id,
            attempt.c.created_at,
            event.c.subscription_id,
            event.c.at.label("chosen_at"),
            tried.scalar_subquery().label("tried_at"),
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(line, line.c.invoice_id == invoice.c.id)
        .join(event, chosen)
        .where(
            any_of(attempt.c.public_id),
            sa.not_(line.c.is_void),
            attempt.c.payment_method_id != now,
        )
    )


def try_at_once(session: AnySession, invoice_ids: Collection[int], moment: Moment) -> None:
    """Have the open cases of invoices tried by the next chase, beside their schedule."""
    table = table_of(DunningCase)
    if invoice_ids:
        session.execute(
            sa.update(table)
            .where(table.c.invoice_id.in_(invoice_ids), table.c.state == "open")
            .values(
                resume_at=sa.func.coalesce(table.c.resume_at, table.c.next_at),
                next_at=moment.now,
            )
        )
