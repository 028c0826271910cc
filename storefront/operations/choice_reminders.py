"""Who has not chosen what is in their next box, while there still is time.

A plan's subscribers of one cycle are gone through once, by their keys
(``operations/plan_walks.py``).
Source: docs/decisions/0186-reminders-to-choose.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.lifecycle import ENDED, SubscriptionState
from storefront.domain.packing import choose_recipe
from storefront.models import (
    BoxChoice,
    BoxCycle,
    ChoiceReminder,
    ChoiceRule,
    Plan,
    Recipe,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.choosing import open_boxes_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.plan_walks import begin_slice, end_slice, walks_due
from storefront.operations.recipes import recipes_of
from storefront.operations.skips import read_coming


def reminders_due(session: AnySession, moment: Moment) -> Sequence[AnyRow]:
    """Return the (cycle, plan) pairs whose subscribers are to be reminded now; see ``walks_due``.

    Where recipes of one plan say different days, the longest counts.
    """
    cycle, plan = table_of(BoxCycle), table_of(Plan)
    recipe, rule = table_of(Recipe), table_of(ChoiceRule)
    days = (
        sa.select(sa.func.max(rule.c.reminder_days))
        .join(recipe, recipe.c.id == rule.c.recipe_id)
        .where(
            recipe.c.plan_id == plan.c.id,
            sa.or_(recipe.c.cycle_id.is_(None), recipe.c.cycle_id == cycle.c.id),
        )
        .correlate(cycle, plan)
        .scalar_subquery()
    )
    return walks_due(session, table_of(ChoiceReminder), days, moment, cycle.c.ship_from)


def remind_slice(session: AnySession, due: AnyRow, moment: Moment, limit: int) -> tuple[int, bool]:
    """Remind the next ``limit`` of the plan; how many were told, and whether all are through.

    Who has chosen, skips, pauses, is held or leaves before it is not reminded, nor is whose box
    is another.
    """
    table = table_of(ChoiceReminder)
    at = begin_slice(session, table, due)
    if at is None:
        return 0, True
    subscription, choice = table_of(Subscription), table_of(BoxChoice)
    chosen = sa.exists().where(
        choice.c.subscription_id == subscription.c.id, choice.c.cycle_id == due.cycle_id
    )
    ids = session.scalars(
        sa.select(subscription.c.id)
        .where(
            subscription.c.plan_id == due.plan_id,
            subscription.c.id > at,
            subscription.c.state.not_in([*ENDED, SubscriptionState.INCOMPLETE]),
            subscription.c.customer_id.is_not(None),
            subscription.c.held_at.is_(None),
            ~chosen,
        )
        .order_by(subscription.c.id)
        .limit(limit)
    ).all()
    messages = _messages(session, due, ids, moment) if ids else []
    enqueue(session, messages, moment.now)
    is_through = len(ids) < limit
    end_slice(session, table, due, ids[-1] if ids else at, moment, is_through=is_through)
    return len(messages), is_through


def _messages(
    session: AnySession, due: AnyRow, ids: Sequence[int], moment: Moment
) -> list[Message]:
    recipes = recipes_of(session, [due.plan_id], due.cycle_id).get(due.plan_id, [])
    several = read_coming(session, table_of(Subscription).c.id.in_(ids), moment.today)
    found = []
    for coming, boxes in zip(several, open_boxes_of(session, several, moment.today), strict=True):
        if not boxes or (boxes[0].cycle.id, boxes[0].plan_id) != (due.cycle_id, due.plan_id):
            continue
        recipe = choose_recipe(recipes, boxes[0].facts)
        if recipe is not None and recipe.rule is not None and recipe.rule.reminder_days:
            found.append(_message(coming.row, due, recipe.rule.pieces))
    return found


def _message(row: AnyRow, due: AnyRow, pieces: int) -> Message:
    payload = {
        "subscription": row.public_id,
        "cycle": due.cycle,
        "plan": row.plan_name,
        "ship_on": due.ship_from.isoformat(),
        "until_on": due.cutoff_on.isoformat(),
        "pieces": pieces,
    }
    key = key_of(row.public_id, due.cycle)
    return Message("mail", "choose_soon", key, payload, row.customer_id)


def key_of(subscription: str, cycle: str) -> str:
    """Return the key of the reminder for a box; both are public ids."""
    return f"choose_soon:{subscription}:{cycle}"
