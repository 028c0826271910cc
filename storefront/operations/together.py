"""Several small statements asked as one: one way to the database instead of one for each.

Source: docs/decisions/0261-what-there-is-to-say-asked-at-once.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from storefront.operations.keys import AnyRow, AnySession, row_type

#: A statement that is built once and takes its values as parameters.
Part = sa.Select[Any] | sa.CompoundSelect[Any]


@dataclass(frozen=True, slots=True)
class _Joint:
    """The statement of several parts, and where in its rows the columns of each stand."""

    statement: sa.CompoundSelect[Any]
    shapes: tuple[tuple[str, slice, Callable[..., AnyRow]], ...]


def ask_together(
    session: AnySession, parts: Mapping[str, Part], values: Mapping[str, Any]
) -> dict[str, list[AnyRow]]:
    """Return the rows of each part by its name, each in its own order; one statement.

    The parts are kept for good, so that their union is made once; ``values`` has the parameters
    of all of them, and one name means one thing. No part: no statement.
    """
    found: dict[str, list[AnyRow]] = {name: [] for name in parts}
    if len(parts) == 1:
        (name,) = parts
        return {name: list(session.execute(parts[name], values))}
    if parts:
        joint = _joint(tuple(parts.items()))
        for row in session.execute(joint.statement, values):
            name, columns, make = joint.shapes[row[0]]
            found[name].append(make(row[columns]))
    return found


@lru_cache(maxsize=256)
def _joint(parts: tuple[tuple[str, Part], ...]) -> _Joint:
    """Put the columns of all parts side by side; a row has those of one, and nothing in the rest.

    Their types stay as they are that way, on both databases.
    """
    whole = [part.subquery(f"of_{name}") for name, part in parts]
    selects, shapes, at = [], [], 1
    for number, (name, _part) in enumerate(parts):
        columns = [
            column if own is whole[number] else sa.cast(sa.null(), column.type)
            for own in whole
            for column in own.c
        ]
        labels = [column.label(f"column_{place}") for place, column in enumerate(columns)]
        selects.append(sa.select(sa.literal_column(str(number), sa.Integer), *labels))
        keys = whole[number].c.keys()
        shapes.append((name, slice(at, at + len(keys)), row_type(tuple(keys))))
        at += len(keys)
    return _Joint(sa.union_all(*selects), tuple(shapes))
