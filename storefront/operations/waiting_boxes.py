"""Tell subscribers that their box waits for stock, or that something in it is still made.

In the transaction of the lock, once per box, with the products it is about. Of a gift that
nobody has claimed its giver is told what it waits for, and the recipient nothing.
Source: docs/decisions/0183-when-a-product-is-short.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.packing import Problem
from storefront.models import Gift
from storefront.models.base import table_of
from storefront.operations.box_states import WaitsFor
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.stock import VariantStock

#: Name of a product and its pieces that are promised in a box and not there.
Made = list[Any]
#: What new stock puts right. Of the rest the subscriber, or only staff, can do something.
_FOR_STOCK = (Problem.SHORT_STOCK, Problem.SHORT_CHOICE)


def tell_waiting(
    session: AnySession,
    held: Iterable[tuple[AnyRow, Problem]],
    moment: Moment,
    waits: Mapping[int, Sequence[WaitsFor]],
) -> None:
    """Mail the subscribers of boxes that the lock held back for stock, and givers of theirs."""
    held = list(held)
    givers = _givers(session, [row.subscription_id for row, _p in held if not _has_reader(row)])
    mails = []
    for row, problem in held:
        if _has_reader(row):
            lacks = [name for name, *_rest in waits.get(row.id, ())]
            mails += [_mail("box_waits", row, lacks)] if problem in _FOR_STOCK else []
        elif problem in (*_FOR_STOCK, Problem.NO_ADDRESS):
            waits_for = "stock" if problem in _FOR_STOCK else "other_address"
            mails += to_giver(row.public_id, givers.get(row.subscription_id), waits_for)
    enqueue(session, mails, moment.now)


def _givers(session: AnySession, subscription_ids: Sequence[int]) -> dict[int, int]:
    """Return who gives each of these gifts."""
    table = table_of(Gift)
    if not subscription_ids:
        return {}
    rows = session.execute(
        sa.select(table.c.subscription_id, table.c.giver_id).where(
            table.c.subscription_id.in_(subscription_ids), table.c.claimed_at.is_(None)
        )
    )
    return {row.subscription_id: row.giver_id for row in rows}


def to_giver(box: str, giver_id: int | None, waits_for: str) -> list[Message]:
    """Return the mail to who gives a box that it waits, once for each thing that it waits for.

    ``waits_for`` is stock, address where none is known, or other_address where nothing is sent.
    """
    if giver_id is None:
        return []
    key, payload = f"mail:gift_waits:{box}:{waits_for}", {"box": box, "for": waits_for}
    return [Message("mail", "gift_waits", key, payload, giver_id)]


def still_made(
    locked: Iterable[tuple[AnyRow, Sequence[tuple[int, int]]]],
    stock: Mapping[int, VariantStock],
    names: Mapping[int, str],
) -> dict[int, list[Made]]:
    """Return what is promised in packed boxes and not there, by box.

    ``locked`` in the order in which they are packed, ``stock`` as it is before.
    """
    left = {one.id: one.on_hand for one in stock.values() if one.is_counted and one.may_oversell}
    found = {}
    for row, contents in locked:
        made = takes_what_is_not_there(contents, left)
        if made:
            found[row.id] = [[names[key], pieces] for key, pieces in made]
    return found


def tell_made(
    session: AnySession, rows: Iterable[AnyRow], made: Mapping[int, Sequence[Made]], moment: Moment
) -> None:
    """Mail the subscribers of packed boxes of which something is still made."""
    mails = [
        _mail("box_made", row, [name for name, _pieces in made[row.id]])
        for row in rows
        if row.id in made and _has_reader(row)
    ]
    enqueue(session, mails, moment.now)


def takes_what_is_not_there(
    contents: Iterable[tuple[int, int]], left: dict[int, int]
) -> list[tuple[int, int]]:
    """Take ``contents`` out of ``left`` and return what is not there of it, with its pieces.

    >>> left = {1: 2}
    >>> [takes_what_is_not_there([(1, 1), (9, 5)], left) for _box in range(3)], left
    ([[], [], [(1, 1)]], {1: -1})
    """
    made = []
    for variant, pieces in contents:
        if variant in left:
            left[variant] -= pieces
            made += [(variant, min(pieces, -left[variant]))] if left[variant] < 0 else []
    return made


def _has_reader(row: AnyRow) -> bool:
    return row.customer_id is not None


def _mail(topic: str, row: AnyRow, products: Sequence[str]) -> Message:
    payload = {"box": row.public_id, "plan": row.plan, "products": list(products)}
    return Message("mail", topic, f"mail:{topic}:{row.public_id}", payload, row.customer_id)
