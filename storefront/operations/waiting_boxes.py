"""Tell subscribers that their box waits for stock, or that something in it is still made.

In the transaction of the lock, once per box, never with a word about the contents. Of a gift that
nobody has claimed its giver is told what it waits for, and the recipient nothing.
Source: docs/decisions/0183-when-a-product-is-short.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import sqlalchemy as sa

from storefront.domain.packing import Problem
from storefront.models import Gift
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.stock import VariantStock

#: What new stock puts right. Of the rest the subscriber, or only staff, can do something.
_FOR_STOCK = (Problem.SHORT_STOCK, Problem.SHORT_CHOICE)


def tell_waiting(
    session: AnySession, held: Iterable[tuple[AnyRow, Problem]], moment: Moment
) -> None:
    """Mail the subscribers of boxes that the lock held back for stock, and givers of theirs."""
    held = list(held)
    givers = _givers(session, [row.subscription_id for row, _p in held if not _has_reader(row)])
    mails = []
    for row, problem in held:
        if _has_reader(row):
            mails += [_mail("box_waits", row)] if problem in _FOR_STOCK else []
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


def tell_made(
    session: AnySession,
    locked: Iterable[tuple[AnyRow, Sequence[tuple[int, int]]]],
    stock: Mapping[int, VariantStock],
    moment: Moment,
) -> None:
    """Mail the subscribers of packed boxes in which something is promised that is not there.

    ``locked`` in the order in which they were packed, ``stock`` as it was before.
    """
    left = {one.id: one.on_hand for one in stock.values() if one.is_counted and one.may_oversell}
    mails = []
    for row, contents in locked:
        if takes_what_is_not_there(contents, left) and _has_reader(row):
            mails.append(_mail("box_made", row))
    enqueue(session, mails, moment.now)


def takes_what_is_not_there(contents: Iterable[tuple[int, int]], left: dict[int, int]) -> bool:
    """Take ``contents`` out of ``left`` and return whether any of it falls below zero.

    >>> left = {1: 2}
    >>> [takes_what_is_not_there([(1, 1), (9, 5)], left) for _box in range(3)], left
    ([False, False, True], {1: -1})
    """
    is_made = False
    for variant, pieces in contents:
        if variant in left:
            left[variant] -= pieces
            is_made = is_made or left[variant] < 0
    return is_made


def _has_reader(row: AnyRow) -> bool:
    return row.customer_id is not None


def _mail(topic: str, row: AnyRow) -> Message:
    payload = {"box": row.public_id, "plan": row.plan}
    return Message("mail", topic, f"mail:{topic}:{row.public_id}", payload, row.customer_id)
