"""Give up changes of plan, and additions to boxes, that were never confirmed with the bank."""

from __future__ import annotations

from datetime import timedelta
from functools import cache, partial

import sqlalchemy as sa

from storefront import charges
from storefront.database import reading, retrying
from storefront.domain.charging import AttemptState
from storefront.domain.gateways import CancelAnswer
from storefront.models import BoxAddition, ChargeAttempt, ScheduledChange
from storefront.models.base import table_of
from storefront.operations.added import withdraw_additions
from storefront.operations.changes import withdraw_unpaid
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, Values
from storefront.runtime import Runtime

#: A customer who is asked to confirm a change with their bank has this long.
CONFIRM_WITHIN = timedelta(hours=1)
#: Changes given up in one run.
AT_ONCE = 100


def expire_changes(rt: Runtime) -> int:
    """Give up changes whose customer never confirmed with the bank; returns how many.

    Only what the gateway says can never succeed any more is dropped.
    """
    with reading():
        asked = _asked_before(rt.moment())
        rows = [
            row
            for statement in (_unconfirmed(), _unconfirmed_additions())
            for row in rt.session.execute(statement, asked).all()
        ]
        rt.session.rollback()
    stopped = [row for row in rows if charges.cancel(rt, row) is CancelAnswer.CANCELLED]
    return sum(retrying(rt.session, partial(_give_up, rt, row)) for row in stopped)


@cache
def _unconfirmed() -> AnySelect:
    attempt, change_ = table_of(ChargeAttempt), table_of(ScheduledChange)
    return (
        sa.select(
            attempt.c.id,
            attempt.c.public_id,
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.gateway_reference,
            attempt.c.invoice_id,
        )
        .join(change_, change_.c.invoice_id == attempt.c.invoice_id)
        .where(
            # Withdrawn ones too: their subscription was cancelled while they were paid.
            change_.c.state.in_(["waiting", "withdrawn"]),
            change_.c.kind == "price",
            attempt.c.state == AttemptState.ACTION_REQUIRED,
            attempt.c.created_at <= sa.bindparam("asked_before", type_=attempt.c.created_at.type),
        )
        .order_by(change_.c.subscription_id)
        .limit(AT_ONCE)
    )


@cache
def _unconfirmed_additions() -> AnySelect:
    attempt, addition = table_of(ChargeAttempt), table_of(BoxAddition)
    return (
        sa.select(
            attempt.c.id,
            attempt.c.public_id,
            attempt.c.gateway,
            attempt.c.account,
            attempt.c.gateway_reference,
            attempt.c.invoice_id,
        )
        .join(addition, addition.c.invoice_id == attempt.c.invoice_id)
        .where(
            addition.c.state.in_(["waiting", "withdrawn"]),
            attempt.c.state == AttemptState.ACTION_REQUIRED,
            attempt.c.created_at <= sa.bindparam("asked_before", type_=attempt.c.created_at.type),
        )
        .order_by(addition.c.id)
        .limit(AT_ONCE)
    )


def _asked_before(moment: Moment) -> Values:
    return {"asked_before": moment.now - CONFIRM_WITHIN}


#: Whether changes wait in vain for their customers.
CHANGES_OVER = Question(lambda: [_unconfirmed(), _unconfirmed_additions()], _asked_before)


def _give_up(rt: Runtime, row: AnyRow) -> bool:
    moment, table = rt.moment(), table_of(ChargeAttempt)
    ended = rt.session.execute(
        sa.update(table)
        .where(table.c.id == row.id, table.c.state == AttemptState.ACTION_REQUIRED)
        .values(
            state=AttemptState.ABANDONED,
            reason="not_confirmed",
            answered_at=moment.now,
            check_at=None,
        )
        .returning(table.c.id)
    ).all()
    if ended:
        withdraw_unpaid(rt.session, [row.invoice_id], moment)
        withdraw_additions(rt.session, [row.invoice_id], moment, [row.invoice_id])
    rt.session.commit()
    return bool(ended)
