"""Pieces in boxes still to be decided that no recipe names: add-ons, and what was chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.models import Box, BoxChoice, BoxChoiceItem, BoxItem
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


def addons_in(session: AnySession, cycle_id: int) -> dict[int, int]:
    """Return the pieces of add-ons, by variant, in the boxes of a cycle still to be decided."""
    item, box = table_of(BoxItem), table_of(Box)
    rows = session.execute(
        sa.select(item.c.variant_id, sa.func.sum(item.c.quantity).label("pieces"))
        .join(box, box.c.id == item.c.box_id)
        .where(box.c.cycle_id == cycle_id, box.c.state.in_([BoxState.PLANNED, BoxState.HELD]))
        .group_by(item.c.variant_id)
    )
    return {row.variant_id: int(row.pieces) for row in rows}


def chosen_in(session: AnySession, cycle_id: int) -> dict[int, int]:
    """Return the pieces chosen, by variant, for the boxes of a cycle still to be decided."""
    choice, item, box = table_of(BoxChoice), table_of(BoxChoiceItem), table_of(Box)
    mine = sa.and_(
        box.c.subscription_id == choice.c.subscription_id, box.c.cycle_id == choice.c.cycle_id
    )
    rows = session.execute(
        sa.select(item.c.variant_id, sa.func.sum(item.c.quantity * box.c.quantity).label("pieces"))
        .join(choice, choice.c.id == item.c.choice_id)
        .join(box, mine)
        .where(
            choice.c.cycle_id == cycle_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
        )
        .group_by(item.c.variant_id)
    )
    return {row.variant_id: int(row.pieces) for row in rows}


def lying_before_lock(
    session: AnySession, box_ids: Sequence[int]
) -> dict[int, dict[int, tuple[int, int]]]:
    """Return (key of the item, pieces), by box and variant, of what lies in boxes before the lock.

    That is add-ons, and all that a replacement holds.
    """
    item, box = table_of(BoxItem), table_of(Box)
    found: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for row in session.execute(
        sa.select(item.c.id, item.c.box_id, item.c.variant_id, item.c.quantity)
        .join(box, box.c.id == item.c.box_id)
        .where(
            item.c.box_id.in_(box_ids),
            sa.or_(item.c.origin == "addon", box.c.kind == BoxKind.REPLACEMENT),
        )
        .order_by(item.c.id)
    ):
        found[row.box_id][row.variant_id] = (row.id, row.quantity)
    return found
