"""Which stored method pays from now on, and what follows: subscriptions repoint, chases go on."""

from __future__ import annotations

from collections.abc import Sequence

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


def _lock_owed(session: AnySession, payer: int) -> None:
    """Wait for answers that are being written down about what somebody owes, and hold others up.

    Whoever writes an answer locks its invoice first, so either they see this choice, or the
    choice sees a case that waits (``operations.overtaken``). SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        table = table_of(Invoice)
        owed = sa.and_(table.c.payer_id == payer, table.c.state == InvoiceState.OPEN)
        session.execute(
            # Not for key: a worker may plan an attempt meanwhile.
            sa.select(table.c.id).where(owed).order_by(table.c.id).with_for_update(key_share=True)
        )


def make_default(session: AnySession, customer_id: int, method_id: int) -> None:
    """Let one of the customer's methods pay from now on, and no other.

    What the former default paid for follows: nobody chose that one for itself.
    """
    _lock_owed(session, customer_id)
    table, subscription = table_of(PaymentMethod), table_of(Subscription)
    mine = table.c.customer_id == customer_id
    former = sa.select(table.c.id).where(mine, table.c.is_default, table.c.id != method_id)
    session.execute(
        sa.update(subscription)
        .where(subscription.c.payment_method_id.in_(former), subscription.c.state.in_(RUNNING))
        .values(payment_method_id=None, version=subscription.c.version + 1)
    )
    session.execute(sa.update(table).where(mine, table.c.is_default).values(is_default=False))
    # The backup that is paid with is the backup no more: it would be tried after itself.
    session.execute(
        sa.update(table).where(table.c.id == method_id).values(is_default=True, is_backup=False)
    )


def repoint(session: AnySession, customer_id: int, last4: str, moment: Moment) -> list[int]:
    """Let running subscriptions follow the default method; returns the keys of those that do.

    One for which another method was chosen stays with it, unless that cannot be charged any
    more, or has left something unpaid. What is owed is tried at the worker's next chase.
    """
    table = table_of(Subscription)
    payer = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    ids = (
        session.execute(
            sa.update(table)
            .where(payer == customer_id, table.c.state.in_(RUNNING), _follows(table))
            .values(payment_method_id=None, version=table.c.version + 1)
            .returning(table.c.id)
        )
        .scalars()
        .all()
    )
    _note(session, ids, last4, moment)
    chase_now(session, ids, moment)
    return list(ids)


def _follows(subscription: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition that a subscription pays with its payer's default from now on."""
    method, line, invoice = table_of(PaymentMethod), table_of(InvoiceLine), table_of(Invoice)
    keeps = sa.exists().where(
        method.c.id == subscription.c.payment_method_id,
        sa.not_(method.c.is_default),
        method.c.detached_at.is_(None),
        method.c.refused_at.is_(None),
    )
    owes = sa.exists().where(
        line.c.subscription_id == subscription.c.id,
        sa.not_(line.c.is_void),
        invoice.c.id == line.c.invoice_id,
        invoice.c.state == InvoiceState.OPEN,
    )
    return sa.or_(sa.not_(keeps), owes)


def use_for(
    session: AnySession,
    subscription_ids: Sequence[int],
    method_id: int | None,
    last4: str,
    moment: Moment,
) -> None:
    """Let a method pay for these subscriptions; None: they follow the default.

    What they owe is tried at the worker's next chase.
    """
    table = table_of(Subscription)
    payer = sa.func.coalesce(table.c.payer_id, table.c.customer_id)
    for key in session.scalars(
        sa.select(payer).where(table.c.id.in_(subscription_ids)).distinct().order_by(payer)
    ).all():
        _lock_owed(session, key)
    session.execute(
        sa.update(table)
        .where(table.c.id.in_(subscription_ids))
        .values(payment_method_id=method_id, version=table.c.version + 1)
    )
    _note(session, subscription_ids, last4, moment)
    chase_now(session, subscription_ids, moment)


def _note(session: AnySession, ids: Sequence[int], last4: str, moment: Moment) -> None:
    table = table_of(Subscription)
    rows = session.execute(
        sa.select(table.c.id, table.c.public_id).where(table.c.id.in_(ids)).order_by(table.c.id)
    )
    data = {"last4": last4} if last4 else {}
    kind = EventKind.METHOD_CHANGED
    entries = [Entry(row.id, row.public_id, kind, Actor.CUSTOMER, data=data) for row in rows]
    record(session, entries, moment)


def chase_now(session: AnySession, subscription_ids: Sequence[int], moment: Moment) -> None:
    """Have the open cases of subscriptions tried at once, beside their schedule.

    A charge on its way is waited for: what it leaves open is tried when its answer is written
    down (``operations.overtaken``).
    """
    case, invoice, attempt = table_of(DunningCase), table_of(Invoice), table_of(ChargeAttempt)
    line = table_of(InvoiceLine)
    owed = sa.exists().where(
        invoice.c.id == case.c.invoice_id,
        invoice.c.state == InvoiceState.OPEN,
        line.c.invoice_id == invoice.c.id,
        line.c.subscription_id.in_(subscription_ids),
        sa.not_(line.c.is_void),
    )
    on_its_way = sa.exists().where(
        attempt.c.invoice_id == case.c.invoice_id, attempt.c.state.in_(OPEN_ATTEMPTS)
    )
    mine = sa.select(case.c.id).where(case.c.state == "open", owed).order_by(case.c.id)
    if session.get_bind().dialect.name == "postgresql":
        # Behind a worker that steps one of them: only a later statement sees what it planned.
        mine = mine.with_for_update()
    session.execute(
        sa.update(case)
        .where(case.c.id.in_(session.execute(mine).scalars().all()), ~on_its_way)
        .values(resume_at=sa.func.coalesce(case.c.resume_at, case.c.next_at), next_at=moment.now)
    )


def keep_as_default(
    session: AnySession, customer_id: int, card: Card, moment: Moment
) -> tuple[int, list[int]]:
    """Store a card, or know it again, and let it pay from now on.

    Returns its key, and the subscriptions that follow it.
    """
    key = find_method(session, card, customer_id)
    if key is None:
        key = insert_method(session, customer_id, card, is_default=False, moment=moment)
    else:
        keep_again(session, key, card)
    make_default(session, customer_id, key)
    return key, repoint(session, customer_id, card.method.last4, moment)
