"""Tell customers that the card which pays for their boxes ends soon: a month and a week before.

Once for each card and notice. A card that its bank renewed has another end by then; one that was
replaced pays for nothing. Source: docs/decisions/0127-payment-methods.md.
"""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.expiry import months_near, stage_of
from storefront.domain.lifecycle import RUNNING
from storefront.models import OutboxMessage, PaymentMethod, Subscription
from storefront.models.base import table_of
from storefront.operations.methods import paying_method
from storefront.operations.outbox import Message, enqueue
from storefront.runtime import Runtime

#: Customers told in one transaction.
BATCH = 200
TOPIC = "card_ends"


def tell_card_ends(rt: Runtime) -> dict[str, int]:
    """Write the mails that are due; again is nothing new."""
    told, today = 0, rt.today()
    for year, month in months_near(today):
        stage = stage_of(year, month, today)
        while stage and (count := retrying(rt.session, partial(_batch, rt, year, month, stage))):
            told += count
    return {"card_notices": told}


def _batch(rt: Runtime, year: int, month: int, stage: int) -> int:
    method, subscription = table_of(PaymentMethod), table_of(Subscription)
    message = table_of(OutboxMessage)
    start = f"mail:{TOPIC}:{year}-{month:02d}:{stage}:"
    pays = sa.exists().where(
        sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id)
        == method.c.customer_id,
        subscription.c.state.in_(RUNNING),
        subscription.c.cancel_on.is_(None),
        paying_method(usable=True),
    )
    told = sa.exists().where(message.c.key == sa.literal(start).concat(method.c.public_id))
    rows = rt.session.execute(
        sa.select(method.c.public_id, method.c.customer_id)
        .where(method.c.exp_year == year, method.c.exp_month == month, pays, sa.not_(told))
        .order_by(method.c.id)
        .limit(BATCH)
    ).all()
    until = f"{year}-{month:02d}"
    mails = [
        Message(
            "mail",
            TOPIC,
            start + row.public_id,
            {"method": row.public_id, "until": until},
            row.customer_id,
        )
        for row in rows
    ]
    enqueue(rt.session, mails, rt.now())
    rt.session.commit()
    return len(rows)
