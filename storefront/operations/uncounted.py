"""Periods that were billed and given up: nobody paid them, so neither phases nor terms count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.lifecycle import ENDED, PeriodKind, PeriodState
from storefront.models import Box, Subscription, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def uncount_periods(session: AnySession, period_ids: Sequence[int]) -> None:
    """Take void billed periods of which no box was sent off what their subscriptions count.

    Those of other states, and of ended subscriptions, are passed over; doing it again does
    nothing. The versions stay: the caller changes the subscriptions in the same transaction.
    """
    if not period_ids:
        return
    period, box, table = table_of(SubscriptionPeriod), table_of(Box), table_of(Subscription)
    is_sent = sa.exists().where(
        box.c.period_id == period.c.id,
        box.c.kind == BoxKind.REGULAR,
        box.c.state != BoxState.CANCELED,
    )
    running = sa.select(table.c.id).where(
        table.c.id == period.c.subscription_id, table.c.state.not_in(ENDED)
    )
    rows = session.execute(
        sa.update(period)
        .where(
            period.c.id.in_(period_ids),
            period.c.state == PeriodState.VOID,
            period.c.kind == PeriodKind.BILLED,
            period.c.billed_number > 0,
            sa.not_(is_sent),
            running.exists(),
        )
        .values(billed_number=0)
        .returning(period.c.subscription_id, period.c.box_count)
    ).all()
    periods, boxes = Counter[int](), Counter[int]()
    for row in rows:
        periods[row.subscription_id] += 1
        boxes[row.subscription_id] += max(row.box_count, 1)
    for key, count in sorted(periods.items()):
        session.execute(
            sa.update(table)
            .where(table.c.id == key)
            .values(
                billed_count=_less(table.c.billed_count, count),
                boxes_billed=_less(table.c.boxes_billed, boxes[key]),
            )
        )


def _less(column: sa.Column[int], count: int) -> sa.ColumnElement[int]:
    """A change of plan may have counted fewer boxes already; never below none."""
    return sa.case((column > count, column - count), else_=0)
