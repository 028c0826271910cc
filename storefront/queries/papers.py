"""The papers of a batch and its pick list, as the pages show them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.papers import PickList, pick_list
from storefront.models import BatchPaper, Box, BoxCycle, CycleGroup, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations.papers import Paper, packings, papers

#: Boxes that are still to be packed, or were packed and have not left.
_TO_PACK = (BoxState.LOCKED, BoxState.EXPORTED)


@dataclass(frozen=True, slots=True)
class Picked:
    """A pick list and what it is of; ``number`` is 0 for all boxes of a cycle."""

    cycle_ref: str
    cycle_key: str
    group: str
    number: int
    found: PickList


def of_batch(session: AnySession, batch_ref: str) -> list[Paper]:
    """Return the papers asked for of a batch."""
    batch = table_of(FulfilmentBatch)
    key = sa.select(batch.c.id).where(batch.c.public_id == batch_ref).scalar_subquery()
    return papers(session, table_of(BatchPaper).c.batch_id == key)


def last_layouts(session: AnySession) -> dict[str, str]:
    """Return the layout of each kind of paper that was asked for last in this shop."""
    paper = table_of(BatchPaper)
    rows = session.execute(
        sa.select(paper.c.kind, paper.c.layout).order_by(paper.c.id.desc()).limit(20)
    ).all()
    return {row.kind: row.layout for row in reversed(rows)}


def batch_pick_list(session: AnySession, batch_ref: str) -> Picked | None:
    """Return what to take from the shelf for a published batch, or None."""
    batch, cycle, group = table_of(FulfilmentBatch), table_of(BoxCycle), table_of(CycleGroup)
    row = session.execute(
        sa.select(batch.c.id, batch.c.number, cycle.c.public_id, cycle.c.key, group.c.name)
        .join(cycle, cycle.c.id == batch.c.cycle_id)
        .join(group, group.c.id == cycle.c.group_id)
        .where(batch.c.public_id == batch_ref, batch.c.sha256 != "")
    ).one_or_none()
    if row is None:
        return None
    boxes = packings(session, table_of(Box).c.batch_id == row.id)
    return Picked(
        row.public_id, row.key, row.name, row.number, pick_list(one.packing for one in boxes)
    )


def cycle_pick_list(session: AnySession, cycle_ref: str) -> Picked | None:
    """Return what to take for all boxes of a cycle that were locked and have not left."""
    cycle, group, box = table_of(BoxCycle), table_of(CycleGroup), table_of(Box)
    row = session.execute(
        sa.select(cycle.c.id, cycle.c.public_id, cycle.c.key, group.c.name)
        .join(group, group.c.id == cycle.c.group_id)
        .where(cycle.c.public_id == cycle_ref)
    ).one_or_none()
    if row is None:
        return None
    boxes = packings(session, box.c.cycle_id == row.id, box.c.state.in_(_TO_PACK))
    return Picked(row.public_id, row.key, row.name, 0, pick_list(one.packing for one in boxes))
