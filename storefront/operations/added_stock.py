"""Whether a box is still open, and whether the pieces for it are there."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.models import BoxAddition, BoxAdditionBox
from storefront.models.base import table_of
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.places import free_stock
from storefront.operations.stock import stock_of


def is_open(box: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return the condition that something can still be put into a box."""
    return sa.and_(
        box.c.kind == BoxKind.REGULAR,
        box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
        box.c.locked_at.is_(None),
    )


def has_pieces(
    session: AnySession,
    variant_id: int | None,
    pieces: int,
    moment: Moment,
    *,
    locks: bool = True,
    counts_waiting: bool = False,
) -> bool:
    """Return whether so many pieces are free; ``counts_waiting``: less those being paid for.

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
    if counts_waiting:
        table, part = table_of(BoxAddition), table_of(BoxAdditionBox)
        waiting = (
            sa.select(sa.func.coalesce(sa.func.sum(table.c.quantity), 0))
            .join(part, part.c.addition_id == table.c.id)
            .where(table.c.variant_id == variant_id, table.c.state == "waiting")
        )
        free -= int(session.scalar(waiting) or 0)
    return free >= pieces
