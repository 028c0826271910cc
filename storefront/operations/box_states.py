"""Write what became of boxes at the lock, many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.packing import Problem
from storefront.models import Box
from storefront.models.base import table_of
from storefront.operations.customs import weighed
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.stock import VariantStock

#: Product that a box lacks, pieces, what does not come instead, and if that is not tolerated.
WaitsFor = list[Any]


def hold_boxes(
    session: AnySession,
    held: Sequence[tuple[AnyRow, Problem]],
    waits: Mapping[int, Sequence[WaitsFor]],
) -> None:
    """Hold boxes back with their problem, and note in their packing what they wait for."""
    table = table_of(Box)
    rows = [
        {
            "key": row.id,
            "seen": row.state,
            "new_problem": problem.value,
            "new_packing": {"waits_for": list(waits.get(row.id, ()))},
        }
        for row, problem in held
    ]
    values = {
        "state": BoxState.HELD,
        "problem": sa.bindparam("new_problem"),
        "packing": sa.bindparam("new_packing", type_=table.c.packing.type),
    }
    update_boxes(session, values, rows)


def waits_for(row: AnyRow) -> list[WaitsFor]:
    """Return what a box that the lock held back waits for, as it was noted then."""
    if row.state != BoxState.HELD:
        return []
    return list((row.packing or {}).get("waits_for", ()))


def update_boxes(
    session: AnySession, values: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Write ``values`` into the boxes ``rows`` (key, and the state it was ``seen`` in).

    Raises ``RuntimeError`` where one changed meanwhile.
    """
    if not rows:
        return
    table = table_of(Box)
    done = session.connection().execute(
        sa.update(table)
        .where(
            table.c.id == sa.bindparam("key"),
            table.c.state == sa.bindparam("seen", type_=table.c.state.type),
        )
        .values(**values),
        list(rows),
    )
    if done.rowcount != len(rows):
        raise RuntimeError(f"{len(rows) - done.rowcount} of {len(rows)} boxes changed meanwhile")


def packing_of(
    row: AnyRow, contents: Sequence[tuple[int, int]], stock: Mapping[int, VariantStock]
) -> dict[str, Any]:
    """Return what a packer and an export are told of a box, beside its words."""
    return {
        "plan": row.plan,
        "email": row.email or "",
        "contents": [[stock[variant].sku, pieces] for variant, pieces in contents],
        **weighed(contents, stock),
        "price": [row.net_minor, row.tax_minor, row.currency],
    }
