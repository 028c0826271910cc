"""New cards that a ceiling of the card schemes keeps from being asked: who is told, and when they
will be.

Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.models import ChargeAttempt, DunningCase, Invoice, OutboxMessage
from storefront.models.base import table_of
from storefront.operations.ceilings import below_ceilings, free_at
from storefront.operations.dunning import asked_lately
from storefront.operations.guard import allowed, times, waiting
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue

_TOPIC = "payment_waits"


def tell_held_back(session: AnySession, moment: Moment, limit: int) -> int:
    """Tell customers whose new card waits for a ceiling when it is tried; returns how many.

    Once for each try, and not within a day of another mail that asks for the payment.
    """
    rows = _held_back(session, moment, limit)
    lately = asked_lately(session, [row.invoice_id for row in rows], moment)
    mails = []
    for row in rows:
        if row.invoice_id in lately:
            continue
        until = free_at(session, (row.fingerprint, row.amount_minor), moment)
        payload = {"attempt": row.public_id, "until": until.isoformat()}
        mails.append(Message("mail", _TOPIC, _key(row.public_id), payload, row.payer_id))
    enqueue(session, mails, moment.now)
    return len(mails)


def _key(attempt: str) -> str:
    return f"mail:{_TOPIC}:{attempt}"


def _held_back(session: AnySession, moment: Moment, limit: int) -> Sequence[AnyRow]:
    """Return the first tries, in an open case, of cards that took over from another one."""
    attempt, invoice, case = table_of(ChargeAttempt), table_of(Invoice), table_of(DunningCase)
    message, other = table_of(OutboxMessage), attempt.alias()
    before = sa.and_(other.c.invoice_id == attempt.c.invoice_id, other.c.sent_at.is_not(None))
    is_same = other.c.payment_method_id == attempt.c.payment_method_id
    key = sa.literal(_key("")).concat(attempt.c.public_id)
    return session.execute(
        sa.select(
            attempt.c.public_id,
            attempt.c.invoice_id,
            attempt.c.fingerprint,
            attempt.c.amount_minor,
            invoice.c.payer_id,
        )
        .join(invoice, invoice.c.id == attempt.c.invoice_id)
        .join(case, sa.and_(case.c.invoice_id == invoice.c.id, case.c.state == "open"))
        .where(
            waiting(attempt),
            allowed(attempt),
            sa.not_(below_ceilings(attempt)),
            sa.exists().where(before, sa.not_(is_same)),
            sa.not_(sa.exists().where(before, is_same)),
            sa.not_(sa.exists().where(message.c.key == key)),
        )
        .order_by(attempt.c.id)
        .limit(limit),
        times(moment),
    ).all()
