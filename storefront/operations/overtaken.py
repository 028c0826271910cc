"""Invoices whose customer chose another method while a charge of the old one was on its way.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache

import sqlalchemy as sa

from storefront.domain.events import Actor, EventKind
from storefront.models import (
    ChargeAttempt,
    DunningCase,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    SubscriptionEvent,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.method_choice import method_for
from storefront.operations.moment import Moment

#: Subscriptions whose method was changed, by the invoice that the new method has yet to be
#: asked for.
Overtaken = dict[int, list[int]]


def overtaken(session: AnySession, rows: Sequence[AnyRow]) -> Overtaken:
    """Return the invoices among ``rows`` that the method a customer chose was not asked for yet.

    ``rows`` are attempts (``public_id``) whose answer is known. What a customer let pay last is
    what pays now, another one was asked, and the invoice was not tried with it since: it was
    chosen while that charge was on its way. No clock is compared with the gateway's or with
    another worker's. Statements: one for any count.
    """
    found: Overtaken = {}
    refs = [row.public_id for row in rows]
    last = {
        (row.invoice_id, row.subscription_id): row
        for row in (session.execute(_statement(), {"ids": refs}) if refs else ())
    }
    for (invoice_id, subscription_id), row in last.items():
        is_untried = row.tried_at is None or row.tried_at < row.chosen_at
        if is_untried and row.data.get("last4", "") == row.last4:
            found.setdefault(invoice_id, []).append(subscription_id)
    return found


@cache
def _statement() -> AnySelect:
    """One row for each choice of a method, the last one last."""
    attempt, invoice, line = table_of(ChargeAttempt), table_of(Invoice), table_of(InvoiceLine)
    event, since, method = table_of(SubscriptionEvent), attempt.alias(), table_of(PaymentMethod)
    chosen = sa.and_(
        event.c.subscription_id == line.c.subscription_id,
        event.c.kind == EventKind.METHOD_CHANGED.value,
        event.c.actor == Actor.CUSTOMER.value,
    )
    tried = sa.select(sa.func.max(since.c.created_at)).where(
        since.c.invoice_id == attempt.c.invoice_id, since.c.payment_method_id == method.c.id
    )
    return (
        sa.select(
            attempt.c.invoice_id,
            event.c.subscription_id,
            event.c.data,
            event.c.at.label("chosen_at"),
            method.c.last4,
            tried.scalar_subquery().label("tried_at"),
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(method, method.c.id == method_for(invoice))
        .join(line, line.c.invoice_id == invoice.c.id)
        .join(event, chosen)
        .where(
            any_of(attempt.c.public_id),
            sa.not_(line.c.is_void),
            attempt.c.payment_method_id != method.c.id,
        )
        .order_by(event.c.id)
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
