"""Which schedule of tries a declined charge gets: that of a group of subscribers, or its plan's.

Source: docs/decisions/0191-retry-schedules-of-groups.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import sqlalchemy as sa

from storefront.domain.dunning import RetryPolicy, Segment, policy_together
from storefront.models import RetrySchedule
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment

#: Groups with their schedules, the first of them first.
Schedules = Sequence[tuple[Segment, RetryPolicy]]


def read_schedules(session: AnySession) -> Schedules:
    """Return the schedules of groups in the order in which they are looked through."""
    return [
        (
            Segment(row.plan_id, frozenset(row.countries), row.began, row.began_days),
            RetryPolicy(tuple(row.retry_days), row.last_action, row.retry_minute),
        )
        for row in session.execute(_statement())
    ]


@cache
def _statement() -> AnySelect:
    table = table_of(RetrySchedule)
    return sa.select(table).order_by(table.c.position, table.c.id)


def policy_of(facts: Sequence[AnyRow], schedules: Schedules, moment: Moment) -> RetryPolicy:
    """Return the policy of an invoice: that of its subscription, or of all of them together.

    ``facts`` are its subscriptions with their plan (``plan_id``, its schedule), ``country`` and
    ``created_at``.
    """
    return policy_together([_own(one, schedules, moment) for one in facts])


def _own(fact: AnyRow, schedules: Schedules, moment: Moment) -> RetryPolicy:
    days = (moment.today - moment.day_of(fact.created_at)).days
    for segment, policy in schedules:
        if segment.holds(fact.plan_id, fact.country or "", days):
            return policy
    return RetryPolicy(tuple(fact.retry_days), fact.last_action, fact.retry_minute)
