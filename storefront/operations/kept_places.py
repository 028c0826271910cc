"""Where orders were promised that their first boxes go: written when ordered, read when paid.

Source: docs/decisions/0181-first-boxes.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.checkout import OrderQuote
from storefront.domain.cycles import CycleSlot
from storefront.models import Box, BoxCycle, FirstBoxPlace
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


@dataclass(frozen=True, slots=True)
class KeptPlace:
    """Where the first box of a period goes; one that ``is_now`` goes there after the lock too."""

    cycle: CycleSlot
    is_now: bool
    ships_on: date
    places_from: date


#: The columns of ``box_cycle`` that a ``CycleSlot`` has, in its order.
_SLOT = ("id", "charge_on", "cutoff_on", "lock_on", "ship_from", "sells_from", "sells_until")


def slot_columns(table: sa.FromClause) -> Sequence[sa.ColumnElement[Any]]:
    """The columns of ``box_cycle`` that a ``CycleSlot`` has, in its order."""
    return [table.c[name] for name in _SLOT]


def is_promised(first: sa.FromClause, box: sa.FromClause) -> sa.ColumnElement[bool]:
    """Join a box with the place that was promised for it, as long as it stands there."""
    return sa.and_(
        first.c.period_id == box.c.period_id,
        first.c.cycle_id == box.c.cycle_id,
        box.c.ordinal == 1,
    )


def leaves_now(first: sa.FromClause, box: sa.FromClause) -> sa.ColumnElement[bool]:
    """Join a box that leaves now with the day it was promised for; any other goes with its cycle,
    whose ship day may still move."""
    return sa.and_(is_promised(first, box), first.c.rule == "now")


def keep_place(session: AnySession, period_id: int, quote: OrderQuote) -> None:
    """Write down where the first box of the order's first period goes, if not as usual.

    What an earlier try of the order has written is replaced.
    """
    table, place = table_of(FirstBoxPlace), quote.opening.place
    session.execute(sa.delete(table).where(table.c.period_id == period_id))
    if place is None or not place.is_kept:
        return
    session.execute(
        sa.insert(table).values(
            period_id=period_id,
            rule="later" if place.waits else "now",
            cycle_id=place.cycle.id,
            ships_on=place.ships_on,
            places_from=place.places_from,
        )
    )


def hold_days(session: AnySession, quotes: Iterable[OrderQuote]) -> bool:
    """Keep the days of the cycles that were quoted until the commit; False: they are others now.

    Whoever moves a cycle locks it, then looks which orders were promised it: so either this order
    is seen there, or the new days are seen here.
    """
    # A place names the cycle itself; the quote's has the day on which that box leaves.
    found = [one.opening.place.cycle if one.opening.place else one.cycle for one in quotes]
    shown = {one.id: one for one in found if one is not None}
    if not shown:
        return True
    cycle = table_of(BoxCycle)
    rows = session.execute(
        sa.select(*slot_columns(cycle))
        .where(cycle.c.id.in_(shown))
        .order_by(cycle.c.id)
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: CycleSlot(*row) for row in rows} == shown


def forget_moved(session: AnySession, period_id: int) -> None:
    """Drop what was promised for a period whose boxes were arranged anew for another plan."""
    table, box = table_of(FirstBoxPlace), table_of(Box)
    stands = sa.exists().where(is_promised(table, box))
    session.execute(sa.delete(table).where(table.c.period_id == period_id, ~stands))


def kept_places(session: AnySession, period_ids: Iterable[int]) -> Mapping[int, KeptPlace]:
    """Return the places written down, by period."""
    wanted = sorted(set(period_ids))
    if not wanted:
        return {}
    table, cycle = table_of(FirstBoxPlace), table_of(BoxCycle)
    rows = session.execute(
        sa.select(
            *slot_columns(cycle),
            table.c.period_id,
            table.c.rule,
            table.c.ships_on,
            table.c.places_from,
        )
        .join(cycle, cycle.c.id == table.c.cycle_id)
        .where(table.c.period_id.in_(wanted))
    )
    return {
        row.period_id: KeptPlace(
            CycleSlot(*row[: len(_SLOT)]),
            row.rule == "now",
            row.ships_on,
            row.places_from,
        )
        for row in rows
    }
