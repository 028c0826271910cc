"""Notices before a debit, where a gateway's scheme asks for them.

A planned charge waits for its notice: the mail is written once, the clock runs from when it was
handed over, and a debit that would then fall into the last hours of its period waits for the
next one. Source: docs/decisions/0126-when-sending-stops-and-waits.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa

from storefront.domain.charging import AttemptState
from storefront.models import (
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    OutboxMessage,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.guard import QUIET_BEFORE_END, Announced, needs_notice, times
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue

#: Topic of the outbox.
DEBIT_NOTICE = "debit_notice"
#: A debit waits so much longer than its scheme asks for: clocks differ, and mails take a while.
MARGIN = timedelta(hours=1)


def announce(session: AnySession, announced: Announced, moment: Moment, limit: int = 500) -> int:
    """Write the notices of planned charges that need one; returns how many."""
    attempt, invoice, message = (table_of(each) for each in (ChargeAttempt, Invoice, OutboxMessage))
    line, subscription = table_of(InvoiceLine).alias(), table_of(Subscription).alias()
    key = sa.literal(f"mail:{DEBIT_NOTICE}:").concat(attempt.c.public_id)
    about = (
        sa.select(subscription.c.public_id)
        .join(line, line.c.subscription_id == subscription.c.id)
        .where(line.c.invoice_id == attempt.c.invoice_id, sa.not_(line.c.is_void))
        .order_by(line.c.position)
        .limit(1)
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(attempt.c.public_id, invoice.c.payer_id, about.label("subscription"), key)
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .where(
            needs_notice(attempt, announced),
            sa.not_(sa.exists().where(message.c.key == key)),
        )
        .order_by(attempt.c.id)
        .limit(limit),
        times(moment),
    ).all()
    told = [
        Message(
            "mail",
            DEBIT_NOTICE,
            f"mail:{DEBIT_NOTICE}:{row.public_id}",
            {"attempt": row.public_id, "subscription": row.subscription},
            row.payer_id,
        )
        for row in rows
    ]
    enqueue(session, told, moment.now)
    return len(told)


def note_told(
    session: AnySession, attempt_ref: str, notices: Mapping[str, timedelta], moment: Moment
) -> None:
    """Write down that the notice of a planned charge was handed over just now."""
    attempt, line = table_of(ChargeAttempt), table_of(InvoiceLine)
    period = table_of(SubscriptionPeriod)
    ends_on = (
        sa.select(sa.func.min(period.c.end_on))
        .join(line, line.c.period_id == period.c.id)
        .where(
            line.c.invoice_id == attempt.c.invoice_id,
            sa.not_(line.c.is_void),
            period.c.end_on > moment.today,
        )
        .scalar_subquery()
    )
    row = session.execute(
        sa.select(attempt.c.id, attempt.c.gateway, ends_on.label("ends_on")).where(
            attempt.c.public_id == attempt_ref,
            attempt.c.state == AttemptState.PLANNED,
            attempt.c.notified_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return
    not_before = moment.now + notices.get(row.gateway, timedelta()) + MARGIN
    if row.ends_on is not None:
        end = moment.start_of(row.ends_on)
        if end - QUIET_BEFORE_END <= not_before < end:
            not_before = end
    session.execute(
        sa.update(attempt)
        .where(attempt.c.id == row.id, attempt.c.state == AttemptState.PLANNED)
        .values(notified_at=moment.now, not_before=not_before)
    )
