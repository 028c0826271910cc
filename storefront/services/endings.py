"""End cancelled subscriptions whose day has come where the renewal run does not look."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from storefront import charges
from storefront.database import retrying
from storefront.domain.lifecycle import RUNNING, EndReason, SubscriptionState
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations.endings import Ending, end_subscriptions
from storefront.operations.keys import AnyRow, AnySelect
from storefront.operations.questions import Question, on_today
from storefront.operations.subscriptions import StaleSubscription
from storefront.runtime import Runtime

#: Rows per transaction.
BATCH = 200
_NOT_RUNNING = tuple(state for state in SubscriptionState if state not in RUNNING)
#: How often a batch is read again because one of its rows changed meanwhile.
_TRIES = 4


def end_passed_over(rt: Runtime) -> int:
    """End what was cancelled for today or before and is held or set aside; returns how many.

    The renewal run ends every other one at its boundary, but passes these over, and while
    the merchant holds all charging it looks at none, so then all are ended here. A hold
    keeps money and boxes back, not somebody who leaves: it stays on the ended subscription,
    so its paid boxes wait until it is released. Nothing is done in a copied installation.
    """
    if not charges.is_unlocked(rt):
        return 0
    done = 0
    while count := _some(rt):
        done += count
    return done


def _some(rt: Runtime) -> int:
    for left in range(_TRIES, 0, -1):
        try:
            return retrying(rt.session, lambda: _batch(rt))
        except StaleSubscription:
            if left == 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _batch(rt: Runtime) -> int:
    moment = rt.moment()
    endings = [
        Ending(row.id, row.version, EndReason.VOLUNTARY, row.cancel_on) for row in _waiting(rt)
    ]
    ended = end_subscriptions(rt.session, endings, moment) if endings else []
    rt.session.commit()
    return len(ended)


def _waiting(rt: Runtime) -> list[AnyRow]:
    table, statement = table_of(Subscription), _day_has_come()
    if rt.shop.charging_held_at is None:
        passed = sa.or_(table.c.held_at.is_not(None), table.c.parked_at.is_not(None))
        statement = statement.where(passed)
    if rt.session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(skip_locked=True)
    return list(rt.session.execute(statement, on_today(rt.moment())))


@cache
def _day_has_come() -> AnySelect:
    table = table_of(Subscription)
    return (
        sa.select(table.c.id, table.c.version, table.c.cancel_on)
        .where(
            table.c.cancel_on <= sa.bindparam("today", type_=table.c.cancel_on.type),
            table.c.ended_on.is_(None),
            # Not "one of the running": SQLite would walk through all of those by the index on
            # state.
            table.c.state.not_in(_NOT_RUNNING),
        )
        .order_by(table.c.cancel_on, table.c.id)
        .limit(BATCH)
    )


#: Whether the day of cancelled subscriptions has come, also where the renewal run ends them.
ENDINGS_DUE = Question(lambda: [_day_has_come()], on_today)
