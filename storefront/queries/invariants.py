"""What must hold at any committed instant, as queries that return no row.

Run by the rigs after every disturbance, by tests after stories, and by the worker each night;
the ids are those of ``docs/invariants.md``. All are plain SQL that both databases understand.
"""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from storefront.operations.keys import AnySession
from storefront.queries.invariant import Invariant
from storefront.queries.invariants_of_money import MONEY
from storefront.queries.invariants_of_subscriptions import SUBSCRIPTIONS

#: Invariants asked in one statement.
_AT_ONCE = 25


INVARIANTS = (*MONEY, *SUBSCRIPTIONS)


def broken(session: AnySession, limit: int = 5) -> dict[str, list[str]]:
    """Return the invariants that do not hold, each with up to ``limit`` of its rows."""
    found = {}
    for invariants, is_any in _questions():
        answers = session.execute(is_any).one()
        for invariant, is_broken in zip(invariants, answers, strict=True):
            if is_broken:
                rows = session.execute(sa.text(f"{invariant.sql} LIMIT {int(limit)}")).all()
                found[invariant.id] = [str(row[0]) for row in rows]
    return found


@cache
def _questions() -> list[tuple[tuple[Invariant, ...], sa.TextClause]]:
    """Return statements that say of many invariants at once which are broken.

    As a rule none is, and sending each of a hundred alone takes longer than answering it.
    """
    parts = [INVARIANTS[at : at + _AT_ONCE] for at in range(0, len(INVARIANTS), _AT_ONCE)]
    return [
        (part, sa.text("SELECT " + ", ".join(f"EXISTS ({each.sql})" for each in part)))
        for part in parts
    ]
