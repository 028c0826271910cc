"""Give boxes that are paid for behind their cut-off the answers of that cut-off.

Source: docs/decisions/0187-answers.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from storefront.models import BoxCycle, OptionAnswer
from storefront.models.base import table_of
from storefront.operations.keys import AnySession


class LateBox(NamedTuple):
    """The columns of a box that is made, and the day from which its cycle leaves."""

    row: dict[str, Any]
    ship_from: date


class Version(NamedTuple):
    """An answer to a question; ``since`` None: it held for whatever came."""

    question: str
    answer: str
    since: date | None


def keep_answers(session: AnySession, boxes: Sequence[LateBox]) -> None:
    """Put the answers into ``boxes`` that held when their cut-off was over.

    One statement, which finds nothing for who never answered anew.
    """
    if not boxes:
        return
    table, cycle = table_of(OptionAnswer), table_of(BoxCycle)
    rows = session.execute(
        sa.select(table.c.subscription_id, table.c.question, table.c.answer, cycle.c.ship_from)
        .outerjoin(cycle, cycle.c.id == table.c.cycle_id)
        .where(table.c.subscription_id.in_({one.row["subscription_id"] for one in boxes}))
        .order_by(table.c.subscription_id, table.c.question, table.c.number)
    )
    versions: dict[int, list[Version]] = defaultdict(list)
    for row in rows:
        said = Version(row.question, row.answer, row.ship_from)
        versions[row.subscription_id].append(said)
    for one in boxes:
        found = versions.get(one.row["subscription_id"])
        if found:
            one.row["options"] = answers_at(one.row["options"], found, one.ship_from)


def answers_at(
    options: Mapping[str, Any], versions: Sequence[Version], ship_from: date
) -> dict[str, Any]:
    """Return ``options`` as they were for the cycle that leaves from ``ship_from``.

    ``versions`` are in the order in which they were given. A question whose first answer came
    later had none.

    >>> said = [Version("taste", "mild", None), Version("taste", "strong", date(2027, 5, 18))]
    >>> answers_at({"taste": "strong", "size": "s"}, said, date(2027, 4, 18))
    {'taste': 'mild', 'size': 's'}
    """
    held = {one.question: "" for one in versions}
    for one in versions:
        if one.since is None or one.since <= ship_from:
            held[one.question] = one.answer
    return {code: said for code, said in {**options, **held}.items() if said}
