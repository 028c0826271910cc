"""Whether a box is still open, and whether the pieces for it are there."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.models import Box
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.places import free_stock
from storefront.operations.set_aside import being_added
from storefront.operations.stock import stock_of


def is_open(box: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that something can still be put into a box."""
    return sa.and_(
        box.c.kind == BoxKind.REGULAR,
        box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
        box.c.locked_at.is_(None),
    )


def are_open(session: AnySession, box_ids: Sequence[int]) -> bool:
    """Lock the boxes, in the order of their keys, and say whether all of them are open."""
    box = table_of(Box)
    statement = sa.select(box.c.id).where(box.c.id.in_(box_ids), is_open(box)).order_by(box.c.id)
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update()
    return len(session.execute(statement).all()) == len(set(box_ids))


def has_pieces(
    session: AnySession,
    variant_id: int | None,
    pieces: int,
    moment: Moment,
    *,
    locks: bool = True,
    counts_waiting: bool = False,
) -> bool:
    """Return whether so many pieces are free; ``counts_waiting``: beside those being paid for.

    ``locks``: one at a time on PostgreSQL, so that the last piece is sold once; not for reading.
    """
    if variant_id is None:
        return True
    if locks:
        stock_of(session, [variant_id])
    stands = free_stock(session, [variant_id], moment)[variant_id]
    if not stands.is_limited:
        return True
    free = stands.free
    if not counts_waiting:
        # Its own payment arrives: who pays later than that comes after it.
        free += sum(row.pieces for row in being_added(session, [variant_id]))
    return free >= pieces
