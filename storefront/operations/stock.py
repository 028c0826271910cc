"""Stock counters and the append-only moves behind them, many variants at once.

``on_hand`` of a variant is the sum of its moves except shipments; ``committed`` is what was
allocated and neither released nor shipped. Pieces of a variant that is not counted are never
moved. Source: docs/decisions/0031-stock-counters.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.customs import CustomsData
from storefront.domain.errors import DomainError
from storefront.models import BoxItem, ProductVariant, StockMove
from storefront.models.base import table_of
from storefront.operations.customs import customs_columns, customs_of
from storefront.operations.keys import AnySession


class StockTooLow(DomainError):
    """There are fewer pieces than are to be taken, and the variant may not be oversold."""

    code = "stock_too_low"


@dataclass(frozen=True, slots=True)
class VariantStock:
    """What a lock needs to know of one variant; read and locked in this transaction."""

    id: int
    sku: str
    weight_grams: int
    is_counted: bool
    may_oversell: bool
    on_hand: int
    customs: CustomsData


@dataclass(frozen=True, slots=True)
class Allocation:
    """Pieces of a counted variant that go into one box item."""

    box_item_id: int
    variant_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class StockChange:
    """A signed change of ``on_hand`` by a person or an import: receipt, loss or correction."""

    variant_id: int
    kind: str
    quantity: int
    reason: str = ""


def stock_of(session: AnySession, variant_ids: Iterable[int]) -> dict[int, VariantStock]:
    """Return the variants; on PostgreSQL their rows are locked, always in the order of ids."""
    table = table_of(ProductVariant)
    rows = session.execute(
        sa.select(
            table.c.id,
            table.c.sku,
            table.c.weight_grams,
            table.c.is_counted,
            table.c.may_oversell,
            table.c.on_hand,
            *customs_columns(),
        )
        .where(table.c.id.in_(set(variant_ids)))
        .order_by(table.c.id)
        .with_for_update()
    )
    return {
        row.id: VariantStock(
            row.id,
            row.sku,
            row.weight_grams,
            row.is_counted,
            row.may_oversell,
            row.on_hand,
            customs_of(row),
        )
        for row in rows
    }


def allocate(
    session: AnySession, allocations: Sequence[Allocation], at: datetime, actor: str
) -> None:
    """Take ``allocations`` from ``on_hand`` and commit them to their boxes.

    Raises ``StockTooLow`` when a variant has too few; nothing may then be committed. An item is
    allocated once: a second time raises ``IntegrityError``.
    """
    taken = _sums(allocations)
    _count(session, {key: (-pieces, pieces) for key, pieces in taken.items()})
    _write_moves(session, "allocation", allocations, at, actor, "")


def release(
    session: AnySession, box_ids: Sequence[int], at: datetime, actor: str, reason: str
) -> None:
    """Put back what boxes that will not leave have allocated; once, however often it is called."""
    held = _allocated(session, table_of(BoxItem).c.box_id.in_(box_ids))
    _put_back(session, held, at, actor, reason)


def release_items(
    session: AnySession, item_ids: Sequence[int], at: datetime, actor: str, reason: str
) -> None:
    """Put back what these items of boxes have allocated; once, as ``release``."""
    held = _allocated(session, table_of(BoxItem).c.id.in_(item_ids))
    _put_back(session, held, at, actor, reason)


def _put_back(
    session: AnySession, held: Sequence[Allocation], at: datetime, actor: str, reason: str
) -> None:
    _count(session, {key: (pieces, -pieces) for key, pieces in _sums(held).items()})
    _write_moves(session, "release", held, at, actor, reason)


def ship(session: AnySession, box_ids: Sequence[int], at: datetime, actor: str) -> None:
    """Note that what boxes have allocated has left the house; once, as ``release``."""
    held = _allocated(session, table_of(BoxItem).c.box_id.in_(box_ids))
    _count(session, {key: (0, -pieces) for key, pieces in _sums(held).items()})
    _write_moves(session, "shipment", held, at, actor, "")


def change_stock(
    session: AnySession, changes: Sequence[StockChange], at: datetime, actor: str
) -> None:
    """Write receipts, losses and corrections. Raises ``StockTooLow`` as ``allocate`` does."""
    sums: Counter[int] = Counter()
    for change in changes:
        sums[change.variant_id] += change.quantity
    _count(session, {key: (pieces, 0) for key, pieces in sums.items()})
    note_changes(session, changes, at, actor)


def note_changes(
    session: AnySession, changes: Sequence[StockChange], at: datetime, actor: str
) -> None:
    """Write the moves of changes whose counters are written already, as of new variants."""
    rows = [
        {
            "variant_id": change.variant_id,
            "kind": change.kind,
            "quantity": change.quantity,
            "box_item_id": None,
            "reason": change.reason,
            "at": at,
            "actor": actor,
        }
        for change in changes
        if change.quantity
    ]
    if rows:
        session.execute(sa.insert(table_of(StockMove)), rows)


def _sums(allocations: Sequence[Allocation]) -> dict[int, int]:
    sums: Counter[int] = Counter()
    for one in allocations:
        sums[one.variant_id] += one.quantity
    return sums


def _count(session: AnySession, changes: Mapping[int, tuple[int, int]]) -> None:
    """Move counters by (on hand, committed), in the order of ids so nobody waits in a circle."""
    table = table_of(ProductVariant)
    for key in sorted(changes):
        on_hand, committed = changes[key]
        if not on_hand and not committed:
            continue
        statement = sa.update(table).where(table.c.id == key)
        if on_hand < 0:
            statement = statement.where(
                sa.or_(table.c.on_hand >= -on_hand, table.c.may_oversell.is_(True))
            )
        done: Any = session.execute(
            statement.values(
                on_hand=table.c.on_hand + on_hand, committed=table.c.committed + committed
            )
        )
        if done.rowcount != 1:
            raise StockTooLow(variant=key, wanted=-on_hand)


def _allocated(session: AnySession, which: sa.ColumnElement[bool]) -> list[Allocation]:
    """Return what these items of boxes have allocated and neither released nor shipped."""
    item, move = table_of(BoxItem), table_of(StockMove)
    later = move.alias("later")
    rows = session.execute(
        sa.select(move.c.box_item_id, move.c.variant_id, move.c.quantity)
        .join(item, item.c.id == move.c.box_item_id)
        .where(
            which,
            move.c.kind == "allocation",
            ~sa.exists().where(
                later.c.box_item_id == move.c.box_item_id,
                later.c.kind.in_(("release", "shipment")),
            ),
        )
        .order_by(move.c.box_item_id)
    )
    return [Allocation(row.box_item_id, row.variant_id, -row.quantity) for row in rows]


def _write_moves(
    session: AnySession,
    kind: str,
    allocations: Sequence[Allocation],
    at: datetime,
    actor: str,
    reason: str,
) -> None:
    sign = 1 if kind == "release" else -1
    rows = [
        {
            "variant_id": one.variant_id,
            "kind": kind,
            "quantity": sign * one.quantity,
            "box_item_id": one.box_item_id,
            "reason": reason,
            "at": at,
            "actor": actor,
        }
        for one in allocations
    ]
    if rows:
        session.execute(sa.insert(table_of(StockMove)), rows)
