"""Boxes of a batch that leave in one parcel: put together once, read together ever after.

``box.parcel_id`` is the first box of the parcel, on that box too; NULL: it leaves alone.
Source: docs/decisions/0189-one-parcel.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.rows import findings, has_limits
from storefront.domain.carriers.together import Candidate, as_one, shared
from storefront.models import Box, ShopSettings, Subscription
from storefront.models.base import table_of
from storefront.operations.fulfilment import FACTS, BatchFacts, box_facts, hold_open
from storefront.operations.keys import AnyRow, AnySession

#: Parcels looked at with one statement.
_AT_ONCE = 100


def shares_parcels(session: AnySession) -> bool:
    """Return whether the shop sends boxes of one customer to one address together."""
    return bool(session.scalar(sa.select(table_of(ShopSettings).c.shares_parcels)))


def put_together(session: AnySession, batch: BatchFacts) -> int:
    """Say which boxes of an unpublished batch leave together; returns how many boxes do.

    Boxes that would not fit the format together leave alone. Running it again changes nothing,
    and a published batch stays as it is.
    """
    if not hold_open(session, batch):
        return 0
    box = table_of(Box)
    inside = (box.c.batch_id == batch.id,)
    session.execute(
        sa.update(box).where(*inside, box.c.parcel_id.is_not(None)).values(parcel_id=None)
    )
    if not shares_parcels(session):
        return 0
    parcels: Sequence[Sequence[int]] = shared(_candidates(session, batch))
    if has_limits(batch.layout) and not batch.layout.per_box:
        parcels = _fitting(session, batch, parcels)
    rows = [{"key": key, "first": keys[0]} for keys in parcels for key in keys]
    if rows:
        session.connection().execute(
            sa.update(box)
            .where(box.c.id == sa.bindparam("key"))
            .values(parcel_id=sa.bindparam("first")),
            rows,
        )
    return len(rows)


def _candidates(session: AnySession, batch: BatchFacts) -> list[Candidate]:
    """Return the regular boxes of customers who have several in the batch; none of a gift."""
    box, subscription = table_of(Box), table_of(Subscription)
    inside = (
        box.c.batch_id == batch.id,
        box.c.kind == BoxKind.REGULAR,
        # The words of who gives it are packed with the first box alone.
        subscription.c.is_gift.is_(False),
    )
    source = box.join(subscription, subscription.c.id == box.c.subscription_id)
    several = (
        sa.select(subscription.c.customer_id)
        .select_from(source)
        .where(*inside, subscription.c.customer_id.is_not(None))
        .group_by(subscription.c.customer_id)
        .having(sa.func.count() > 1)
    )
    rows = session.execute(
        sa.select(box.c.id, subscription.c.customer_id, box.c.ship_to, box.c.packing)
        .select_from(source)
        .where(*inside, subscription.c.customer_id.in_(several))
        .order_by(box.c.id)
    )
    return [(row.id, row.customer_id, row.ship_to, row.packing) for row in rows]


def _fitting(
    session: AnySession, batch: BatchFacts, parcels: Sequence[Sequence[int]]
) -> list[Sequence[int]]:
    """Return those parcels whose row fits the format of the batch."""
    box = table_of(Box)
    found: list[Sequence[int]] = []
    for start in range(0, len(parcels), _AT_ONCE):
        part = parcels[start : start + _AT_ONCE]
        rows = session.execute(
            sa.select(*[box.c[name] for name in FACTS]).where(
                box.c.id.in_([key for keys in part for key in keys])
            )
        )
        facts = {row.id: box_facts(batch, row) for row in rows}
        found += [
            keys
            for keys in part
            if not findings(batch.layout, as_one(_named([facts[key] for key in keys])))
        ]
    return found


def export_parcels(
    session: AnySession, batch: BatchFacts, after_id: int, limit: int
) -> tuple[list[list[BoxFacts]], int, int]:
    """Return the boxes of a batch parcel by parcel, behind the box ``after_id``.

    Up to ``limit`` boxes are looked at; returns the parcels whose first box is among them, the
    last of these boxes, and how many they were.
    """
    box = table_of(Box)
    columns = [box.c[name] for name in FACTS]
    found = session.execute(
        sa.select(*columns, box.c.parcel_id)
        .where(box.c.batch_id == batch.id, box.c.id > after_id)
        .order_by(box.c.id)
        .limit(limit)
    ).all()
    firsts = [row.id for row in found if row.parcel_id == row.id]
    others: dict[int, list[BoxFacts]] = defaultdict(list)
    if firsts:
        for row in session.execute(
            sa.select(*columns, box.c.parcel_id)
            .where(box.c.parcel_id.in_(firsts), box.c.id != box.c.parcel_id)
            .order_by(box.c.id)
        ):
            others[row.parcel_id].append(box_facts(batch, row))
    parcels = [
        _named([box_facts(batch, row), *others[row.id]])
        for row in found
        if row.parcel_id in (None, row.id)
    ]
    return parcels, found[-1].id if found else after_id, len(found)


def _named(parcel: list[BoxFacts]) -> list[BoxFacts]:
    """Return the boxes of a parcel, each with the parcel's name where there are several."""
    if len(parcel) == 1:
        return parcel
    name, count = parcel[0].box, len(parcel)
    return [replace(one, parcel=name, in_parcel=count) for one in parcel]


def beside(session: AnySession, box_ids: Iterable[int]) -> Mapping[int, Sequence[AnyRow]]:
    """Return the other boxes that leave in the parcels of ``box_ids``, by each of these.

    Without those that were cancelled or left by themselves.
    """
    mine, other = table_of(Box), table_of(Box).alias("other")
    together_still = sa.or_(
        other.c.shipment_id.is_(None), other.c.shipment_id == mine.c.shipment_id
    )
    found: dict[int, list[AnyRow]] = defaultdict(list)
    rows = session.execute(
        sa.select(mine.c.id.label("of"), other.c.id, other.c.public_id, other.c.packing)
        .join(other, other.c.parcel_id == mine.c.parcel_id)
        .where(
            mine.c.id.in_(list(box_ids)),
            other.c.id != mine.c.id,
            other.c.state != BoxState.CANCELED,
            together_still,
        )
        .order_by(other.c.id)
    )
    for row in rows:
        found[row.of].append(row)
    return found


def is_first(box: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether a box stands for its parcel: it is alone, or the first of it."""
    return sa.or_(box.c.parcel_id.is_(None), box.c.parcel_id == box.c.id)


def for_all_boxes(session: AnySession, batch_id: int, numbers: Mapping[str, str]) -> dict[str, str]:
    """Return tracking numbers by box with those of a parcel for each of its boxes.

    A number that names a box itself goes before that of another in its parcel.
    """
    box, other = table_of(Box), table_of(Box).alias("other")
    rows: Sequence[Any] = session.execute(
        sa.select(box.c.public_id, other.c.public_id.label("other"))
        .join(other, other.c.parcel_id == box.c.parcel_id)
        .where(box.c.batch_id == batch_id, other.c.id != box.c.id)
        .order_by(box.c.id, other.c.id)
    ).all()
    found = dict(numbers)
    for row in rows:
        if row.public_id in numbers:
            found.setdefault(row.other, numbers[row.public_id])
    return found
