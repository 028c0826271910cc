"""What boxes of a cycle wait for, and what of packed ones is still made, product by product."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.models import Box
from storefront.models.base import table_of


@dataclass(frozen=True, slots=True)
class Lacking:
    """How many boxes lack a product, and the pieces of all of them."""

    name: str
    boxes: int
    pieces: int


def waiting_for(session: AnySession, cycle_id: int) -> tuple[Lacking, ...]:
    """Return what the boxes of a cycle lack that the lock held back."""
    return _lacking(session, cycle_id, "waits_for", (BoxState.HELD,))


def still_made(session: AnySession, cycle_id: int) -> tuple[Lacking, ...]:
    """Return what is promised in the packed boxes of a cycle and was not there at the lock."""
    return _lacking(session, cycle_id, "made", (BoxState.LOCKED, BoxState.EXPORTED))


def _lacking(
    session: AnySession, cycle_id: int, noted: str, states: tuple[BoxState, ...]
) -> tuple[Lacking, ...]:
    box = table_of(Box)
    part = box.c.packing[noted]
    found: dict[str, Lacking] = {}
    for lacks in session.scalars(
        sa.select(part).where(
            box.c.cycle_id == cycle_id,
            box.c.state.in_(states),
            part.as_string().is_not(None),
        )
    ):
        for name, pieces, *_rest in lacks or ():
            old = found.get(name, Lacking(name, 0, 0))
            found[name] = Lacking(name, old.boxes + 1, old.pieces + pieces)
    return tuple(sorted(found.values(), key=lambda one: (-one.boxes, one.name)))
