"""Read what papers of a batch are made of: boxes as frozen at the lock, in packing order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from storefront.models import BatchPaper, Box, BoxCycle, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySelect, AnySession
from storefront.operations.questions import Question

#: Boxes read with one statement.
PAGE = 1000


@dataclass(frozen=True, slots=True)
class PaperBox:
    """A box as its slip and its label need it; nothing of it changes after the lock."""

    public_id: str
    kind: str
    quantity: int
    ship_to: dict[str, Any]
    packing: dict[str, Any]
    #: Those that leave in the same parcel.
    others: tuple[PaperBox, ...] = ()


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper somebody asked for, with the batch it is of."""

    id: int
    public_id: str
    batch_id: int
    batch_ref: str
    batch_number: int
    cycle_key: str
    kind: str
    layout: str
    shop: dict[str, Any]
    parts: list[dict[str, Any]]
    #: When the batch was made: the day the paper says it was made on.
    batch_made_at: datetime
    asked_at: datetime
    made_at: datetime | None

    @property
    def parcels(self) -> int:
        """Slips or labels that are on paper already."""
        return sum(part["boxes"] for part in self.parts)

    @property
    def boxes(self) -> int:
        """Boxes that are on paper already; several may leave in one parcel."""
        return sum(part.get("inside", part["boxes"]) for part in self.parts)


def papers(session: AnySession, *conditions: sa.ColumnElement[bool]) -> list[Paper]:
    """Return the papers that meet ``conditions`` (on ``batch_paper``), as they were asked for."""
    paper, batch, cycle = table_of(BatchPaper), table_of(FulfilmentBatch), table_of(BoxCycle)
    rows = session.execute(
        sa.select(
            paper.c.id,
            paper.c.public_id,
            paper.c.batch_id,
            batch.c.public_id.label("batch_ref"),
            batch.c.number.label("batch_number"),
            cycle.c.key.label("cycle_key"),
            paper.c.kind,
            paper.c.layout,
            paper.c.shop,
            paper.c.parts,
            batch.c.created_at.label("batch_made_at"),
            paper.c.asked_at,
            paper.c.made_at,
        )
        .join(batch, batch.c.id == paper.c.batch_id)
        .join(cycle, cycle.c.id == batch.c.cycle_id)
        .where(*conditions)
        .order_by(paper.c.id)
    )
    return [Paper(**row._mapping) for row in rows]


def packings(session: AnySession, *conditions: sa.ColumnElement[bool]) -> Iterator[AnyRow]:
    """Yield (id, packing) of the locked boxes that meet ``conditions``, a page in memory."""
    box, after = table_of(Box), 0
    while True:
        rows = session.execute(
            sa.select(box.c.id, box.c.packing)
            .where(box.c.id > after, box.c.packing.is_not(None), *conditions)
            .order_by(box.c.id)
            .limit(PAGE)
        ).all()
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1].id


def boxes_by_key(session: AnySession, keys: Sequence[int]) -> list[PaperBox]:
    """Return these boxes, in the order of ``keys``, each with those in its parcel."""
    box, found, others = table_of(Box), {}, defaultdict[int, list[PaperBox]](list)
    names = ("id", "parcel_id", "public_id", "kind", "quantity", "ship_to", "packing")
    rows = session.execute(
        sa.select(*[box.c[name] for name in names])
        .where(sa.or_(box.c.id.in_(keys), box.c.parcel_id.in_(keys)))
        .order_by(box.c.id)
    )
    for row in rows:
        one = PaperBox(row.public_id, row.kind.value, row.quantity, row.ship_to, row.packing)
        if row.parcel_id in (None, row.id):
            found[row.id] = one
        else:
            others[row.parcel_id].append(one)
    return [replace(found[key], others=tuple(others[key])) for key in keys]


@cache
def _waiting() -> AnySelect:
    paper = table_of(BatchPaper)
    return sa.select(paper.c.id).where(paper.c.made_at.is_(None)).order_by(paper.c.id)


def waiting(session: AnySession, without: Collection[int] = ()) -> int | None:
    """Return the paper that was asked for first and is not made, or None.

    ``without`` are those passed over.
    """
    later = table_of(BatchPaper).c.id.not_in(without)
    key: int | None = session.scalar(_waiting().where(later).limit(1))
    return key


#: Whether papers wait to be made.
PAPERS_DUE = Question(lambda: [_waiting()], lambda _moment: {})
