"""Who is told of their next box while it can still be changed.

Everybody whose box it is, but those who are reminded to choose for it. A plan's subscribers of one
cycle are gone through once, by their keys (``operations/plan_walks.py``).
Source: docs/decisions/0196-box-notices.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import sqlalchemy as sa

from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.packing import choose_recipe
from storefront.models import (
    Box,
    BoxChoice,
    BoxNotice,
    Gift,
    OutboxMessage,
    Plan,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.choice_reminders import key_of
from storefront.operations.choosing import OpenBox, open_boxes_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.plan_walks import begin_slice, end_slice, walks_due
from storefront.operations.recipes import recipes_of
from storefront.operations.skips import MOVABLE, read_coming

#: Whose boxes do not come as things are, or are nobody's yet.
_SILENT = (SubscriptionState.INCOMPLETE, SubscriptionState.PAUSED)


def notices_due(session: AnySession, moment: Moment) -> Sequence[AnyRow]:
    """Return the (cycle, plan) pairs whose subscribers are to be told now; see ``walks_due``."""
    return walks_due(session, table_of(BoxNotice), table_of(Plan).c.box_notice_days, moment)


def notify_slice(session: AnySession, due: AnyRow, moment: Moment, limit: int) -> tuple[int, bool]:
    """Tell the next ``limit`` of the plan; how many were told, and whether all are through."""
    table = table_of(BoxNotice)
    at = begin_slice(session, table, due)
    if at is None:
        return 0, True
    ids = session.scalars(next_told(due, at, limit)).all()
    messages = _messages(session, due, ids, moment) if ids else []
    enqueue(session, messages, moment.now)
    is_through = len(ids) < limit
    end_slice(session, table, due, ids[-1] if ids else at, moment, is_through=is_through)
    return len(messages), is_through


def next_told(due: AnyRow, at: int, limit: int) -> sa.Select[Any]:
    """Select the subscribers behind ``at``; a gift nobody has claimed has none."""
    subscription, gift, box = table_of(Subscription), table_of(Gift), table_of(Box)
    # What ended brings what is paid and still to come, and nothing else.
    to_come = sa.exists().where(
        box.c.subscription_id == subscription.c.id,
        box.c.cycle_id == due.cycle_id,
        box.c.state.in_(MOVABLE),
    )
    unclaimed = sa.exists().where(
        gift.c.subscription_id == subscription.c.id, gift.c.claimed_at.is_(None)
    )
    return (
        sa.select(subscription.c.id)
        .where(
            subscription.c.plan_id == due.plan_id,
            subscription.c.id > at,
            subscription.c.state.not_in(_SILENT),
            sa.or_(subscription.c.state.not_in(ENDED), to_come),
            subscription.c.customer_id.is_not(None),
            subscription.c.held_at.is_(None),
            ~unclaimed,
        )
        .order_by(subscription.c.id)
        .limit(limit)
    )


def _messages(
    session: AnySession, due: AnyRow, ids: Sequence[int], moment: Moment
) -> list[Message]:
    recipes = recipes_of(session, [due.plan_id], due.cycle_id).get(due.plan_id, [])
    chosen = _chosen(session, due, ids)
    several = read_coming(session, table_of(Subscription).c.id.in_(ids), moment.today)
    reminded = _reminded(session, due, [coming.row.public_id for coming in several])
    found = []
    for coming, boxes in zip(several, open_boxes_of(session, several, moment.today), strict=True):
        if not _is_of(boxes, due) or key_of(coming.row.public_id, due.cycle) in reminded:
            continue
        recipe = choose_recipe(recipes, boxes[0].facts)
        rule = recipe.rule if recipe is not None else None
        # They hear of the box by the reminder to choose, now or in some days.
        if rule is not None and rule.reminder_days and coming.row.id not in chosen:
            continue
        found.append(_message(coming.row, due))
    return found


def _is_of(boxes: Sequence[OpenBox], due: AnyRow) -> bool:
    """Return whether the first box that may still change is of this cycle and plan."""
    return bool(boxes) and (boxes[0].cycle.id, boxes[0].plan_id) == (due.cycle_id, due.plan_id)


def _chosen(session: AnySession, due: AnyRow, ids: Sequence[int]) -> AbstractSet[int]:
    choice = table_of(BoxChoice)
    rows = session.scalars(
        sa.select(choice.c.subscription_id).where(
            choice.c.cycle_id == due.cycle_id, choice.c.subscription_id.in_(ids)
        )
    )
    return frozenset(rows)


def _reminded(session: AnySession, due: AnyRow, refs: Collection[str]) -> AbstractSet[str]:
    """Return the keys of the reminders to choose that were written for these boxes."""
    table = table_of(OutboxMessage)
    keys = [key_of(ref, due.cycle) for ref in refs]
    return frozenset(session.scalars(sa.select(table.c.key).where(table.c.key.in_(keys))))


def _message(row: AnyRow, due: AnyRow) -> Message:
    payload = {"subscription": row.public_id, "cycle": due.cycle}
    return Message(
        "mail", "box_soon", f"box_soon:{row.public_id}:{due.cycle}", payload, row.customer_id
    )
