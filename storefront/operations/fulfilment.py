"""Batches: claim boxes for one, say what goes into its file, close it. ``departures`` ships it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.generic import FIRST
from storefront.domain.carriers.layout import Layout, layout_of
from storefront.domain.carriers.rows import findings, has_limits
from storefront.domain.exports import file_name
from storefront.domain.packing import Problem
from storefront.models import (
    Box,
    BoxCycle,
    CycleGroup,
    FulfilmentBatch,
)
from storefront.models.base import public_id, table_of
from storefront.operations.export_formats import code_of, layout_for
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment

#: A batch whose file is not published has no hash yet.
UNPUBLISHED = ""


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch as its file needs it."""

    id: int
    public_id: str
    cycle_id: int
    cycle_key: str
    #: Day of the lock, which stands in files as the day of the order.
    lock_on: date
    number: int
    row_count: int
    sha256: str
    file_name: str
    layout: Layout


def batch_facts(session: AnySession, *conditions: sa.ColumnElement[bool]) -> list[BatchFacts]:
    """Return the batches that meet ``conditions`` (on ``fulfilment_batch``), oldest first."""
    batch, cycle = table_of(FulfilmentBatch), table_of(BoxCycle)
    rows = session.execute(
        sa.select(
            batch.c.id,
            batch.c.public_id,
            batch.c.cycle_id,
            cycle.c.key.label("cycle_key"),
            cycle.c.lock_on,
            batch.c.number,
            batch.c.row_count,
            batch.c.sha256,
            batch.c.file_name,
            batch.c.layout,
        )
        .join(cycle, cycle.c.id == batch.c.cycle_id)
        .where(*conditions)
        .order_by(batch.c.id)
    )
    return [
        BatchFacts(
            **{
                **row._mapping,
                "layout": FIRST if row.layout is None else layout_of(row.layout),
            }
        )
        for row in rows
    ]


def unbatched(session: AnySession, cycle_id: int) -> int:
    """Return how many locked boxes of the cycle are in no batch."""
    return session.execute(sa.select(sa.func.count()).where(*_unbatched(cycle_id))).scalar_one()


def open_batch(
    session: AnySession, cycle_id: int, moment: Moment, actor: str, layout: Layout | None = None
) -> BatchFacts | None:
    """Return the cycle's unpublished batch, a new one if there is none, None without boxes.

    A new one is in ``layout``, or in the format of the cycle's group; boxes that did not fit
    an earlier one are tried again. An unpublished one keeps its own, so that a crash leaves
    nothing half in one format. Two workers at once: one of them gets ``IntegrityError`` for
    the number and starts again.
    """
    batch = table_of(FulfilmentBatch)
    mine = (batch.c.cycle_id == cycle_id, batch.c.sha256 == UNPUBLISHED)
    found = batch_facts(session, *mine)
    count = unbatched(session, cycle_id)
    if found or not count:
        return found[0] if found else None
    layout = layout or layout_for(session, cycle_id)
    _forget_misfits(session, cycle_id)
    cycle, group = table_of(BoxCycle), table_of(CycleGroup)
    names = session.execute(
        sa.select(cycle.c.key, group.c.code)
        .join(group, group.c.id == cycle.c.group_id)
        .where(cycle.c.id == cycle_id)
    ).one()
    last = session.scalar(
        sa.select(sa.func.max(batch.c.number)).where(batch.c.cycle_id == cycle_id)
    )
    number = (last or 0) + 1
    session.execute(
        sa.insert(batch).values(
            public_id=public_id("bat"),
            cycle_id=cycle_id,
            number=number,
            format=code_of(layout),
            layout=layout.as_data(),
            row_count=count,
            sha256=UNPUBLISHED,
            file_name=file_name(names.code, names.key, number, layout.kind),
            created_at=moment.now,
            actor=actor,
        )
    )
    return batch_facts(session, *mine)[0]


def claim(session: AnySession, batch: BatchFacts, limit: int) -> int:
    """Put up to ``limit`` locked boxes of no batch into ``batch``; returns how many were tried.

    Takes none once the batch is published or as large as its format allows. A box that does not
    fit the format is left out and marked so; one that another batch got meanwhile is left out.
    """
    if not hold_open(session, batch):
        return 0
    limit = min(limit, _room(session, batch, limit))
    wanted = _candidates(session, batch, limit) if limit > 0 else []
    if not wanted:
        return 0
    misfits = [row.id for row in wanted if _is_misfit(batch, row)]
    left_out = set(misfits)
    _join(session, batch, [row.id for row in wanted if row.id not in left_out])
    if misfits:
        box = table_of(Box)
        session.execute(
            sa.update(box).where(box.c.id.in_(misfits)).values(problem=Problem.NO_FIT.value)
        )
    return len(wanted)


def _room(session: AnySession, batch: BatchFacts, limit: int) -> int:
    """Return how many more boxes the batch takes; one box is at least one row."""
    if not batch.layout.most_rows:
        return limit
    box = table_of(Box)
    inside = session.scalar(sa.select(sa.func.count()).where(box.c.batch_id == batch.id))
    return batch.layout.most_rows - (inside or 0)


def _candidates(session: AnySession, batch: BatchFacts, limit: int) -> list[AnyRow]:
    """Return boxes that may join; what is in them only where the format has limits."""
    box = table_of(Box)
    columns = FACTS if has_limits(batch.layout) else ("id",)
    return list(
        session.execute(
            sa.select(*[box.c[name] for name in columns])
            .where(*_claimable(batch.cycle_id))
            .order_by(box.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def _is_misfit(batch: BatchFacts, row: AnyRow) -> bool:
    return has_limits(batch.layout) and bool(findings(batch.layout, box_facts(batch, row)))


def _join(session: AnySession, batch: BatchFacts, ids: Sequence[int]) -> None:
    if not ids:
        return
    box = table_of(Box)
    done: Any = session.execute(
        sa.update(box)
        .where(box.c.id.in_(ids), *_claimable(batch.cycle_id))
        .values(batch_id=batch.id)
    )
    if done.rowcount != len(ids):
        raise RuntimeError(f"claimed {done.rowcount} of {len(ids)} boxes for {batch.public_id}")


def _forget_misfits(session: AnySession, cycle_id: int) -> None:
    box = table_of(Box)
    session.execute(
        sa.update(box)
        .where(*_unbatched(cycle_id), box.c.problem == Problem.NO_FIT.value)
        .values(problem="")
    )


def drop_if_empty(session: AnySession, batch: BatchFacts) -> bool:
    """Remove an unpublished batch whose boxes another batch got; True if it is gone.

    Boxes that staff cancelled since they joined leave it.
    """
    table, box = table_of(FulfilmentBatch), table_of(Box)
    if hold_open(session, batch):
        canceled = (box.c.batch_id == batch.id, box.c.state == BoxState.CANCELED)
        session.execute(sa.update(box).where(*canceled).values(batch_id=None, parcel_id=None))
        full = sa.exists().where(box.c.batch_id == batch.id)
        session.execute(sa.delete(table).where(table.c.id == batch.id, ~full))
    return session.scalar(sa.select(table.c.id).where(table.c.id == batch.id)) is None


def publish_hash(
    session: AnySession, batch: BatchFacts, rows: int, sha256: str, together: int = 0
) -> bool:
    """Close ``batch`` over its file; False when it must be made again.

    That is when boxes joined since, or were cancelled. ``together`` of its ``rows`` boxes leave in
    a parcel with others.

    Raises ``RuntimeError`` if another worker closed it over other contents of the same boxes.
    """
    if not hold_open(session, batch):
        closed = batch_facts(session, table_of(FulfilmentBatch).c.id == batch.id)[0]
        if closed.sha256 == sha256:
            return True
        if closed.row_count == rows:
            raise RuntimeError(f"{batch.public_id} was published with other contents")
        # Ours was written before the last boxes joined, and may have replaced the whole one.
        return False
    box, table = table_of(Box), table_of(FulfilmentBatch)
    counts = sa.select(sa.func.count(), sa.func.count(box.c.parcel_id))
    there = (box.c.batch_id == batch.id, box.c.state != BoxState.CANCELED)
    inside, parcelled = session.execute(counts.where(*there)).one()
    if (inside, parcelled) != (rows, together):
        return False
    session.execute(
        sa.update(table).where(table.c.id == batch.id).values(sha256=sha256, row_count=rows)
    )
    return True


def mark_exported(session: AnySession, batch_id: int, limit: int) -> int:
    """Note on up to ``limit`` boxes of a published batch that they are exported."""
    box = table_of(Box)
    wanted = list(
        session.scalars(
            sa.select(box.c.id)
            .where(box.c.batch_id == batch_id, box.c.state == BoxState.LOCKED)
            .order_by(box.c.id)
            .limit(limit)
        )
    )
    if wanted:
        session.execute(
            sa.update(box)
            .where(box.c.id.in_(wanted), box.c.state == BoxState.LOCKED)
            .values(state=BoxState.EXPORTED)
        )
    return len(wanted)


#: Columns of a box that its export is made of.
FACTS = ("id", "public_id", "kind", "quantity", "ship_to", "packing")


def box_facts(batch: BatchFacts, row: AnyRow) -> BoxFacts:
    """Return a row of ``FACTS`` as a format reads it."""
    return BoxFacts(
        batch=batch.public_id,
        box=row.public_id,
        cycle=batch.cycle_key,
        kind=row.kind.value,
        quantity=row.quantity,
        ship_to=row.ship_to,
        packing=row.packing,
        locked_on=batch.lock_on,
    )


def _unbatched(cycle_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    box = table_of(Box)
    return (box.c.cycle_id == cycle_id, box.c.state == BoxState.LOCKED, box.c.batch_id.is_(None))


def _claimable(cycle_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Of no batch, and not tried in vain since the last batch was opened."""
    return (*_unbatched(cycle_id), table_of(Box).c.problem != Problem.NO_FIT.value)


def hold_open(session: AnySession, batch: BatchFacts) -> bool:
    """Lock the batch's row and return whether it is still unpublished."""
    table = table_of(FulfilmentBatch)
    return bool(
        session.scalar(
            sa.select(table.c.id)
            .where(table.c.id == batch.id, table.c.sha256 == UNPUBLISHED)
            .with_for_update()
        )
    )
