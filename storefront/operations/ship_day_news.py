"""Who is told that their next box leaves on another day, because days off were changed.

Everybody whose next box it is, once for each change, an hour after it was saved: a change that is
taken back meanwhile is told to nobody, and several are told as one.
Source: docs/decisions/0135-news-of-another-ship-day.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storefront.database import is_postgresql
from storefront.models import BoxCycle, Plan, ShipDayNotice, Subscription
from storefront.models.base import table_of
from storefront.operations.box_notices import next_told
from storefront.operations.choosing import open_boxes_of
from storefront.operations.cycles import UNLOCKED
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.plan_walks import end_slice
from storefront.operations.questions import Question, at_now
from storefront.operations.skips import read_coming

#: How long a change can be taken back before anybody hears of it.
WAIT = timedelta(hours=1)
#: Who has the next box later is told its day by the mail before its cut-off.
AHEAD = timedelta(days=100)


def note_moved(
    session: AnySession, group_id: int, moved: Mapping[int, date], moment: Moment
) -> None:
    """Note that cycles of a group left on the days ``moved`` names before they were moved."""
    table, plan = table_of(ShipDayNotice), table_of(Plan)
    plans = session.scalars(sa.select(plan.c.id).where(plan.c.cycle_group_id == group_id)).all()
    soon = {cycle: day for cycle, day in moved.items() if day <= moment.today + AHEAD}
    rows = [
        {
            "cycle_id": cycle,
            "plan_id": one,
            "told_from": day,
            "due_at": moment.now + WAIT,
            "through_id": 0,
            "done_at": None,
        }
        for cycle, day in sorted(soon.items())
        for one in plans
    ]
    if not rows:
        return
    dialect: Any = postgresql if is_postgresql(session) else sqlite
    new = dialect.insert(table)
    # Nobody was told of the move before this one: they still think of the day before that.
    untold = sa.and_(table.c.done_at.is_(None), table.c.through_id == 0)
    session.execute(
        new.on_conflict_do_update(
            index_elements=["cycle_id", "plan_id"],
            set_={
                "told_from": sa.case((untold, table.c.told_from), else_=new.excluded.told_from),
                "due_at": new.excluded.due_at,
                "through_id": 0,
                "done_at": None,
            },
        ),
        rows,
    )


def news_due(session: AnySession, moment: Moment) -> Sequence[AnyRow]:
    """Return what is to be told now, a row for each cycle and plan."""
    return session.execute(_due(), {"now": moment.now}).all()


def _due() -> AnySelect:
    table, cycle = table_of(ShipDayNotice), table_of(BoxCycle)
    return (
        sa.select(
            table.c.cycle_id,
            table.c.plan_id,
            table.c.told_from,
            table.c.due_at,
            cycle.c.public_id.label("cycle"),
            cycle.c.ship_from,
            cycle.c.ship_to,
            cycle.c.state,
        )
        .join(cycle, cycle.c.id == table.c.cycle_id)
        .where(
            table.c.done_at.is_(None),
            table.c.due_at <= sa.bindparam("now", type_=table.c.due_at.type),
        )
        .order_by(table.c.cycle_id, table.c.plan_id)
    )


#: Whether somebody is to be told of another ship day.
NEWS_DUE = Question(lambda: [_due()], at_now)


def tell_slice(session: AnySession, due: AnyRow, moment: Moment, limit: int) -> tuple[int, bool]:
    """Tell the next ``limit`` of the plan; how many were told, and whether all are through."""
    now = session.execute(_same(due)).one_or_none()
    if now is None:
        # Through, or moved once more in this moment, which is told later.
        return 0, True
    at = int(now.through_id)
    # Once the boxes are packed they leave as they are; and who is told of no change needs no mail.
    is_news = now.state in UNLOCKED and now.ship_from != due.told_from
    ids = session.scalars(next_told(due, at, limit)).all() if is_news else []
    messages = _messages(session, due, now, ids, moment) if ids else []
    enqueue(session, messages, moment.now)
    is_through = len(ids) < limit
    table = table_of(ShipDayNotice)
    end_slice(session, table, due, ids[-1] if ids else at, moment, is_through=is_through)
    return len(messages), is_through


def _same(due: AnyRow) -> AnySelect:
    """Select how far ``due`` is told, if it is to be told still; nobody else tells it meanwhile."""
    table, cycle = table_of(ShipDayNotice), table_of(BoxCycle)
    return (
        sa.select(table.c.through_id, cycle.c.ship_from, cycle.c.ship_to, cycle.c.state)
        .join(table, table.c.cycle_id == cycle.c.id)
        .where(
            table.c.cycle_id == due.cycle_id,
            table.c.plan_id == due.plan_id,
            table.c.due_at == due.due_at,
            table.c.done_at.is_(None),
        )
        .with_for_update(of=table)
    )


def _messages(
    session: AnySession, due: AnyRow, now: AnyRow, ids: Sequence[int], moment: Moment
) -> list[Message]:
    several = read_coming(session, table_of(Subscription).c.id.in_(ids), moment.today)
    boxes = open_boxes_of(session, several, moment.today, by_staff=True)
    return [
        Message(
            "mail",
            "ship_day_moved",
            f"ship_day_moved:{coming.row.public_id}:{due.cycle}:{due.due_at.timestamp():.0f}",
            {
                "subscription": coming.row.public_id,
                "plan": coming.row.plan_name,
                "was_on": due.told_from.isoformat(),
                "ship_from": now.ship_from.isoformat(),
                "ship_to": now.ship_to.isoformat(),
            },
            coming.row.customer_id,
        )
        for coming, own in zip(several, boxes, strict=True)
        if own and (own[0].cycle.id, own[0].plan_id) == (due.cycle_id, due.plan_id)
    ]
