"""When those pay again whose first box is in a cycle."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.cycles import CycleSlot, slot_for
from storefront.domain.lifecycle import UNPAID_KINDS
from storefront.models import Box, Subscription, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations.group_rhythm import first_payments, has_box_before
from storefront.operations.keys import AnyRow, AnySession


def next_payments(
    session: AnySession, group_id: int, rows: Iterable[AnyRow], wanted: Collection[int]
) -> dict[int, date]:
    """Return the first day on which somebody pays again whose first box leaves with a cycle.

    By cycle, of those ``wanted`` among ``rows``, the cycles of the group; without one that
    nobody's first box is in.
    """
    found = _paid_again(session, wanted)
    slots = [CycleSlot(r.id, r.charge_on, r.cutoff_on, r.lock_on, r.ship_from) for r in rows]
    for each in first_payments(session, group_id):
        slot = slot_for(slots, each.joins_on)
        if slot is not None and slot.id in wanted:
            found[slot.id] = min(found.get(slot.id, each.pays_again_on), each.pays_again_on)
    return found


def _paid_again(session: AnySession, wanted: Collection[int]) -> dict[int, date]:
    """Return when the first of those pays again whose first box is in a cycle.

    That is the one that leaves first: after a trial it is in no first period, and behind a skip
    or a change of plan neither the first of its period nor of the first one paid.
    """
    box, sub = table_of(Box), table_of(Subscription)
    due = sa.case((sub.c.anchor_on > sub.c.next_on, sub.c.anchor_on), else_=sub.c.next_on)
    rows = session.execute(
        sa.select(box.c.cycle_id, sa.func.min(due).label("due_on"))
        .select_from(box)
        .join(sub, sub.c.id == box.c.subscription_id)
        .where(
            box.c.cycle_id.in_(wanted),
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
            sub.c.renews_at.is_not(None),
            ~has_box_before(box),
            ~_came_from_elsewhere(sub),
        )
        .group_by(box.c.cycle_id)
    )
    return {row.cycle_id: row.due_on for row in rows if row.due_on is not None}


def _came_from_elsewhere(sub: sa.Table) -> sa.Exists:
    """Return whether a subscription was imported in the middle of what it had paid there."""
    period = table_of(SubscriptionPeriod)
    return sa.exists().where(
        period.c.subscription_id == sub.c.id,
        period.c.number == 0,
        period.c.box_count == 0,
        period.c.kind.not_in(UNPAID_KINDS),
    )
