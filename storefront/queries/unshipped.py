"""Batches that should have left by now, with boxes that nobody marked as shipped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.models import Box, BoxCycle, CycleGroup, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations.moment import Moment


def not_shipped(moment: Moment, since: datetime) -> sa.Select[Any]:
    """Batches whose days to leave are over and of which boxes have not left, by all that is known.

    One that was exported late, as a box that leaves at once, has the day after its export.
    """
    box, batch, cycle = table_of(Box), table_of(FulfilmentBatch), table_of(BoxCycle)
    # By cycle and state, as the index of boxes has them: never through every box that ever left.
    waits = sa.exists().where(
        box.c.cycle_id == batch.c.cycle_id,
        box.c.state == BoxState.EXPORTED,
        box.c.batch_id == batch.c.id,
    )
    return (
        sa.select(
            batch.c.id,
            sa.literal(None, sa.BigInteger).label("minor"),
            batch.c.created_at.label("at"),
        )
        .join(cycle, cycle.c.id == batch.c.cycle_id)
        .where(
            batch.c.sha256 != "",
            cycle.c.ship_to < moment.today,
            batch.c.created_at < since,
            waits,
        )
    )


def of_batches(part: sa.Subquery) -> sa.Select[Any]:
    """The rows of that list: the group, the batch's number and how many of its boxes are there."""
    box, batch, cycle = table_of(Box), table_of(FulfilmentBatch), table_of(BoxCycle)
    group = table_of(CycleGroup)
    there = (
        sa.select(sa.func.count())
        .where(
            box.c.cycle_id == batch.c.cycle_id,
            box.c.state == BoxState.EXPORTED,
            box.c.batch_id == batch.c.id,
        )
        .scalar_subquery()
    )
    return (
        sa.select(
            sa.literal("").label("customer"),
            group.c.name,
            sa.cast(batch.c.number, sa.String).label("about"),
            sa.literal("exported").label("state"),
            sa.cast(there, sa.String).label("detail"),
            part.c.minor,
            sa.literal("").label("currency"),
            part.c.at,
            cycle.c.public_id.label("cycle"),
            batch.c.public_id.label("box"),
        )
        .select_from(part)
        .join(batch, batch.c.id == part.c.id)
        .join(cycle, cycle.c.id == batch.c.cycle_id)
        .join(group, group.c.id == cycle.c.group_id)
    )
