"""Which stored method pays from now on, and what follows: subscriptions repoint, chases go on."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import RUNNING
from storefront.models import (
    ChargeAttempt,
    DunningCase,
    Invoice,
    InvoiceLine,
    PaymentMethod,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.kept_methods import Card, find_method, insert_method, keep_again
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.timeline import Entry, record


def method_for(invoice: sa.Table) -> sa.ColumnElement[int]:
    """Return the key of the method that pays ``invoice`` while its payer waits; NULL: none could.

    The one that the first of its subscriptions names, as long as it can be used; otherwise the
    payer's default.
    """
    line, subscription = table_of(InvoiceLine).alias(), table_of(Subscription).alias()
    named, usual = table_of(PaymentMethod).alias(), table_of(PaymentMethod).alias()

    def usable(method: sa.FromClause) -> sa.ColumnElement[bool]:
        mine = method.c.customer_id == invoice.c.payer_id
        return sa.and_(mine, method.c.detached_at.is_(None), method.c.refused_at.is_(None))

    own = (
        sa.select(named.c.id)
        .join(subscription, subscription.c.payment_method_id == named.c.id)
        .join(line, line.c.subscription_id == subscription.c.id)
        .where(line.c.invoice_id == invoice.c.id, sa.not_(line.c.is_void), usable(named))
        .order_by(line.c.position)
        .limit(1)
        .correlate(invoice)
        .scalar_subquery()
    )
    default = (
        sa.select(usual.c.id)
        .where(usual.c.is_default, usable(usual))
        .limit(1)
        .correlate(invoice)
        .scalar_subquery()
    )
    return sa.func.coalesce(own, default)


def make_default(session: AnySession, customer_id: int, method_id: int) -> None:
    """Let one of the customer's methods pay from now on, and no other."""
    table = table_of(PaymentMethod)
    mine = table.c.customer_id == customer_id
    session.execute(sa.update(table).where(mine, table.c.is_default).values(is_default=False))
    # The backup that is paid with is the backup no more: it would be tried after itself.
    session.execute(
        sa.update(table).where(table.c.id == method_id).values(is_default=True, is_backup=False)
    )


def repoint(session: AnySession, customer_id: int, last4: str, moment: Moment) -> int:
    """Let every running subscription follow the default card; returns how many are told so.

    What is owed is tried with it at the worker's next chase.
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
    _chase_now(session, customer_id, moment)
    return len(rows)


def _chase_now(session: AnySession, customer_id: int, moment: Moment) -> None:
    """Have the payer's open cases tried at once, beside their schedule.

    A charge on its way is waited for.
    """
    case, invoice, attempt = table_of(DunningCase), table_of(Invoice), table_of(ChargeAttempt)
    owed = sa.exists().where(
        invoice.c.id == case.c.invoice_id,
        invoice.c.payer_id == customer_id,
        invoice.c.state == InvoiceState.OPEN,
    )
    on_its_way = sa.exists().where(
        attempt.c.invoice_id == case.c.invoice_id, attempt.c.state.in_(OPEN_ATTEMPTS)
    )
    session.execute(
        sa.update(case)
        .where(case.c.state == "open", owed, ~on_its_way)
        .values(resume_at=sa.func.coalesce(case.c.resume_at, case.c.next_at), next_at=moment.now)
    )


def keep_as_default(session: AnySession, customer_id: int, card: Card, moment: Moment) -> int:
    """Store a card, or know it again, and let it pay from now on; returns its key."""
    key = find_method(session, card, customer_id)
    if key is None:
        key = insert_method(session, customer_id, card, is_default=False, moment=moment)
    else:
        keep_again(session, key, card)
    make_default(session, customer_id, key)
    repoint(session, customer_id, card.method.last4, moment)
    return key
