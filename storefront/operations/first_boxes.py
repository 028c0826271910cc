"""When the first box of a plan leaves, with what that rule has to know.

Source: docs/decisions/0181-first-boxes.md.
"""

from __future__ import annotations

from datetime import date, timedelta

import sqlalchemy as sa

from storefront.domain.cycles import CycleSlot, DaysOff, next_working_day
from storefront.domain.first_boxes import WITH_NEXT, FirstBox
from storefront.models import BoxCycle
from storefront.models.base import table_of
from storefront.operations.cycles import read_days_off
from storefront.operations.kept_places import slot_columns
from storefront.operations.keys import AnySession
from storefront.operations.offers import OrderPlan


def rule_of(session: AnySession, plan: OrderPlan, today: date) -> FirstBox:
    """Return when the first box of an order of ``today`` leaves; no statement for most plans."""
    if plan.first_box == "now" and plan.group_id is not None:
        current = _current(session, plan.group_id, today)
        return at_once(current, today, read_days_off(session))
    return waiting(plan)


def at_once(current: CycleSlot | None, today: date, off: DaysOff) -> FirstBox:
    """Return the rule of a box that leaves now; ``current`` is the cycle locked last.

    A late box leaves with the next export of its cycle, the day after at the earliest.
    """
    leaves_on = next_working_day(today + timedelta(days=1), off)
    return FirstBox("now", None, current, leaves_on)


def waiting(plan: OrderPlan) -> FirstBox:
    """Return the rule of a plan whose first boxes leave with the next cycle, or later."""
    if plan.first_box == "later":
        return FirstBox("later", plan.first_box_on)
    return WITH_NEXT


def _current(session: AnySession, group_id: int, today: date) -> CycleSlot | None:
    """Return the cycle of the group whose lock day came last, locked by the worker or not."""
    table = table_of(BoxCycle)
    row = session.execute(
        sa.select(*slot_columns(table))
        .where(table.c.group_id == group_id, table.c.lock_on <= today)
        .order_by(table.c.lock_on.desc(), table.c.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else CycleSlot(*row)
