"""Which cycles have boxes that the worker exports now."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from storefront.domain.boxes import BoxState, CycleState
from storefront.domain.packing import Problem
from storefront.models import Box, BoxCycle, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations.fulfilment import UNPUBLISHED
from storefront.operations.keys import AnySelect
from storefront.operations.moment import Moment
from storefront.operations.questions import Question, Values

#: States of a cycle whose boxes can no longer change.
EXPORTABLE = (CycleState.LOCKED, CycleState.SHIPPED, CycleState.CLOSED)


@cache
def exportable() -> AnySelect:
    """Ask for the cycles with something to export, oldest first."""
    cycle, box, batch = table_of(BoxCycle), table_of(Box), table_of(FulfilmentBatch)
    began = sa.bindparam("day_began", type_=batch.c.created_at.type)
    since = sa.func.coalesce(box.c.locked_at, box.c.created_at)
    fresh = sa.exists().where(
        batch.c.cycle_id == cycle.c.id, batch.c.created_at >= began, batch.c.created_at <= since
    )
    waits = sa.exists().where(
        box.c.cycle_id == cycle.c.id,
        box.c.state == BoxState.LOCKED,
        box.c.batch_id.is_(None),
        box.c.problem != Problem.NO_FIT.value,
        ~fresh,
    )
    broken = sa.exists().where(
        batch.c.cycle_id == cycle.c.id,
        sa.or_(
            batch.c.sha256 == UNPUBLISHED,
            sa.exists().where(box.c.batch_id == batch.c.id, box.c.state == BoxState.LOCKED),
        ),
    )
    return (
        sa.select(cycle.c.public_id)
        .where(cycle.c.state.in_(EXPORTABLE), sa.or_(waits, broken))
        .order_by(cycle.c.lock_on, cycle.c.id)
    )


def day_began(moment: Moment) -> Values:
    """Return what ``exportable`` has to know."""
    return {"day_began": moment.start_of(moment.today)}


#: Whether cycles are to be exported.
EXPORTS_DUE = Question(lambda: [exportable()], day_began)
