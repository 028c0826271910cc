"""What must be true of boxes, stock, batches and files, whoever died while they were made."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field

import sqlalchemy as sa

from storefront.adapters.files import sha256_of
from storefront.models import (
    Box,
    BoxCycle,
    BoxItem,
    FulfilmentBatch,
    ProductVariant,
    StockMove,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.queries.invariants import broken
from storefront.runtime import Runtime
from storefront.services.fulfilment import recheck_batch
from tests.rigs._verdict import count


@dataclass
class Packed:
    """What was counted, and every fault in words; none means the engine held."""

    paid: int = 0
    exported: int = 0
    batches: int = 0
    #: Rows of all files together.
    files: int = 0
    moves: int = 0
    #: Half-written files beside them.
    partial: int = 0
    faults: list[str] = field(default_factory=list)


def left_to_lock(session: AnySession, cycle: int) -> int:
    """Return how much of locking the cycle is undone: boxes, and the cycle itself."""
    box, cycles = table_of(Box), table_of(BoxCycle)
    planned = sa.select(sa.func.count()).where(box.c.cycle_id == cycle, box.c.state == "planned")
    unlocked = sa.select(sa.func.count()).where(
        cycles.c.id == cycle, cycles.c.state.in_(("planned", "open"))
    )
    return int(session.scalar(planned) or 0) + int(session.scalar(unlocked) or 0)


def left_to_export(session: AnySession, cycle: int) -> int:
    """Return how many boxes of the cycle are locked, and batches without their file's hash."""
    box, batch = table_of(Box), table_of(FulfilmentBatch)
    locked = sa.select(sa.func.count()).where(box.c.cycle_id == cycle, box.c.state == "locked")
    open_ = sa.select(sa.func.count()).where(batch.c.cycle_id == cycle, batch.c.sha256 == "")
    return int(session.scalar(locked) or 0) + int(session.scalar(open_) or 0)


def judge_parcels(rt: Runtime, charges: int) -> Packed:
    """Compare what was paid at the bank with boxes, stock, batches and the files on disk."""
    found = Packed()
    _compare_boxes(found, rt, charges)
    _compare_stock(found, rt)
    _compare_files(found, rt)
    found.faults += [f"{name}: {rows}" for name, rows in broken(rt.session).items()]
    rt.session.rollback()
    return found


def _compare_boxes(found: Packed, rt: Runtime, charges: int) -> None:
    """Each charge is a paid period, each such period one box, and each box left with a batch."""
    box, period = table_of(Box), table_of(SubscriptionPeriod)
    found.paid = count(
        rt, period, period.c.number > 0, period.c.kind == "billed", period.c.state == "paid"
    )
    found.exported = count(rt, box, box.c.state == "exported", box.c.batch_id.is_not(None))
    boxes, periods = (
        count(rt, box),
        rt.session.scalar(sa.select(sa.func.count(box.c.period_id.distinct()))),
    )
    rt.session.rollback()
    if not charges == found.paid == boxes == periods == found.exported > 0:
        found.faults.append(
            f"{charges} charges, {found.paid} periods paid, {boxes} boxes of {periods} periods, "
            f"{found.exported} exported"
        )


def _compare_stock(found: Packed, rt: Runtime) -> None:
    """Each item of a box took its pieces once, and the counters say what the moves say."""
    move, item, variant = table_of(StockMove), table_of(BoxItem), table_of(ProductVariant)
    taken = sa.and_(move.c.box_item_id == item.c.id, move.c.kind == "allocation")
    wrong = rt.session.execute(
        sa.select(item.c.id, sa.func.count(move.c.id))
        .outerjoin(move, taken)
        .group_by(item.c.id, item.c.quantity)
        .having(sa.func.coalesce(sa.func.sum(move.c.quantity), 0) != -item.c.quantity)
    ).all()
    if wrong:
        found.faults.append(f"{len(wrong)} items took not what they hold, first {tuple(wrong[0])}")
    boxes = table_of(Box)
    per_box = rt.session.execute(
        sa.select(sa.func.count(item.c.id), sa.func.count(item.c.box_id.distinct()))
    ).one()
    if tuple(per_box) != (2 * found.exported, found.exported):
        found.faults.append(f"{tuple(per_box)} items and boxes that hold some, both teas wanted")
    rows = rt.session.execute(sa.select(variant.c.sku, variant.c.on_hand, variant.c.committed))
    counters = {row.sku: (row.on_hand, row.committed) for row in rows}
    if set(counters.values()) != {(0, found.exported)}:
        found.faults.append(f"all that came is in boxes, but the stock says {counters}")
    found.moves = count(rt, move)
    frozen = boxes.c.packing.is_not(None), boxes.c.ship_to.is_not(None)
    if count(rt, boxes, *frozen, boxes.c.locked_at.is_not(None)) != found.exported:
        found.faults.append("boxes without address, contents or the moment of their lock")
    rt.session.rollback()


def _compare_files(found: Packed, rt: Runtime) -> None:
    """Every box stands in the one file of its batch, which is made again byte for byte."""
    batch, box = table_of(FulfilmentBatch), table_of(Box)
    batches = list(rt.session.execute(sa.select(batch).order_by(batch.c.id)))
    inside = rt.session.execute(
        sa.select(batch.c.public_id, box.c.public_id.label("box")).join(
            batch, batch.c.id == box.c.batch_id
        )
    )
    wanted: Counter[tuple[str, str]] = Counter((row.public_id, row.box) for row in inside)
    rt.session.rollback()
    found.batches = len(batches)
    written: Counter[tuple[str, str]] = Counter()
    for row in batches:
        written.update(_rows_of(found, rt, row))
    found.files = written.total()
    for folder in {rt.files.path_of(row.file_name).parent for row in batches}:
        found.partial += sum(1 for path in folder.iterdir() if path.name.startswith("."))
    if written != wanted:
        found.faults.append(
            f"files and batches differ: {len(written - wanted)} rows too many, "
            f"{len(wanted - written)} missing"
        )
    twice = [name for name, many in Counter(name for _, name in written).items() if many > 1]
    if twice:
        found.faults.append(f"{len(twice)} boxes stand in two files, first {twice[0]}")


def _rows_of(found: Packed, rt: Runtime, row: AnyRow) -> list[tuple[str, str]]:
    path = rt.files.path_of(row.file_name)
    if not path.is_file() or sha256_of(path) != row.sha256:
        found.faults.append(f"the file of batch {row.number} is not the one that was exported")
        return []
    again = recheck_batch(rt, row.public_id)
    if not (again.is_same and again.file_was_right and again.rows == row.row_count):
        found.faults.append(f"batch {row.number} made again: {again}")
    text = path.read_text(encoding="utf-8-sig")
    return [(each["batch"], each["box"]) for each in csv.DictReader(io.StringIO(text, newline=""))]
