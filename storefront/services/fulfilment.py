"""From locked boxes to parcels: export a batch whole or not at all, and let it leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.adapters.files import Published, sha256_of
from storefront.adapters.tables import box_chunks
from storefront.batch_files import Report, parcels_of, write_batch
from storefront.database import reading, retrying
from storefront.domain.carriers.layout import Layout
from storefront.domain.carriers.presets import PRESETS
from storefront.domain.carriers.together import fitting_rows
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor
from storefront.domain.exports import plain_name
from storefront.models import Box, BoxCycle, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations import audit, deliveries, departures
from storefront.operations import fulfilment as work
from storefront.operations.audit import Who
from storefront.operations.batch_news import tell_of_batch
from storefront.operations.cycles import mark_shipped
from storefront.operations.departures import Parcel
from storefront.operations.export_formats import layout_named
from storefront.operations.exports_due import EXPORTABLE, day_began, exportable
from storefront.operations.fulfilment import BatchFacts
from storefront.operations.keys import AnyRow
from storefront.operations.late_changes import expire_gone
from storefront.operations.shared_parcels import for_all_boxes, put_together
from storefront.runtime import Runtime

#: Boxes per transaction that only marks them, and per transaction that ships them.
CLAIM_SLICE = 1000
SHIP_SLICE = 100


class CycleNotFound(DomainError):
    """There is no such cycle."""

    code = "cycle_not_found"


class CycleNotLocked(DomainError):
    """Boxes of the cycle can still change, so they cannot be exported."""

    code = "cycle_not_locked"


class BatchNotFound(DomainError):
    """There is no such batch."""

    code = "batch_not_found"


class BatchNotPublished(DomainError):
    """The batch has no file yet; exporting again finishes it."""

    code = "batch_not_published"


class FormatNotFound(DomainError):
    """There is no such format, or it has columns that somebody has to fill in first."""

    code = "format_not_found"


class UnknownBoxes(DomainError):
    """Names of ``boxes`` that are not in the batch, or have not left yet."""

    code = "unknown_boxes"


@dataclass(frozen=True, slots=True)
class ExportedBatch:
    """A published batch."""

    public_id: str
    number: int
    rows: int
    file_name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Recheck:
    """What making a batch's file again gave; ``is_same`` compares the hashes."""

    is_same: bool
    #: The file was on disk as it was exported.
    file_was_right: bool
    rows: int


def export_boxes(
    rt: Runtime,
    cycle_ref: str,
    *,
    format_code: str = "",
    who: Who | None = None,
    report: Report | None = None,
) -> ExportedBatch | None:
    """Export locked boxes of the cycle that are in no batch; None when there are none.

    All of them that fit the format (that of the cycle's group, unless another is named), up to
    as many as it takes; the others stay as they are and say why. First the boxes join the
    batch, then the file is published, then the batch is closed over its hash. After a crash
    anywhere the next call finishes the same batch with the same bytes; a box is never in two
    batches. Raises ``CycleNotFound``, ``CycleNotLocked`` and ``FormatNotFound``.
    """
    cycle = _cycle(rt, cycle_ref)
    if cycle.state not in EXPORTABLE:
        raise CycleNotLocked(cycle=cycle_ref)
    layout = named_layout(rt, format_code) if format_code else None
    _finish_marking(rt, cycle.id)
    actor = who.public_id if who else "worker"
    batch = retrying(rt.session, lambda: _open(rt, cycle.id, actor, layout))
    if batch is None:
        return None
    return _fill_and_publish(rt, batch, who, report)


def export_all(
    rt: Runtime,
    cycle_ref: str,
    *,
    format_code: str = "",
    who: Who | None = None,
    report: Report | None = None,
) -> list[ExportedBatch]:
    """Export until no box is left that fits: as many batches as the format needs.

    Raises as ``export_boxes``.
    """
    done = []
    while batch := export_boxes(rt, cycle_ref, format_code=format_code, who=who, report=report):
        done.append(batch)
    return done


def named_layout(rt: Runtime, code: str) -> Layout:
    """Return the layout of a format that can be used. Raises ``FormatNotFound``."""
    with reading():
        layout = layout_named(rt.session, code)
        rt.session.rollback()
    if layout is None:
        raise FormatNotFound(format=code)
    return layout


def exportable_cycles(rt: Runtime) -> list[str]:
    """Return the cycles the worker exports now, oldest first.

    Those with boxes in no batch that were locked before the first batch of today, or without
    one, so that boxes decided late leave together the next day; and those that a crash left
    unfinished. Boxes that did not fit their format wait for a person.
    """
    with reading():
        found = rt.session.scalars(exportable(), day_began(rt.moment())).all()
        rt.session.rollback()
    return list(found)


def recheck_batch(rt: Runtime, batch_ref: str) -> Recheck:
    """Make the file of a published batch again and compare it with the stored hash.

    A file that is gone or was changed is put back when the hash is right. Raises
    ``BatchNotFound`` and ``BatchNotPublished``.
    """
    batch = _batch(rt, batch_ref)
    if batch.sha256 == work.UNPUBLISHED:
        raise BatchNotPublished(batch=batch_ref)
    made, _together = write_batch(rt, batch, rt.files.aside(batch.file_name), None)
    target = rt.files.path_of(batch.file_name)
    was_right = target.is_file() and sha256_of(target) == batch.sha256
    is_same = made.sha256 == batch.sha256
    if is_same and not was_right:
        made.path.replace(target)
    else:
        made.path.unlink()
    return Recheck(is_same, was_right, made.rows)


def batch_file(rt: Runtime, batch_ref: str) -> Path | None:
    """Return the file of a published batch, made again if it is gone or was changed.

    None when it can no longer be made as it was. Raises as ``recheck_batch``.
    """
    batch = _batch(rt, batch_ref)
    path = rt.files.path_of(batch.file_name)
    if batch.sha256 and path.is_file() and sha256_of(path) == batch.sha256:
        return path
    return path if recheck_batch(rt, batch_ref).is_same else None


def batch_layout(rt: Runtime, batch_ref: str) -> Layout:
    """Return the format that the file of a batch is in. Raises ``BatchNotFound``."""
    return _batch(rt, batch_ref).layout


def batch_as(rt: Runtime, batch_ref: str, format_code: str) -> tuple[str, Iterator[bytes]]:
    """Return the name and the pieces of another file of a batch's boxes, in another format.

    Boxes that do not fit it are left out; ``queries.exports`` says which. Those of a parcel that
    fit it only one by one have a row each. The batch and its own file stay as they are. Raises
    ``BatchNotFound``, ``BatchNotPublished``, ``FormatNotFound``.
    """
    batch, layout = _batch(rt, batch_ref), named_layout(rt, format_code)
    if batch.sha256 == work.UNPUBLISHED:
        raise BatchNotPublished(batch=batch_ref)
    about = {"batch": batch.public_id, "cycle": batch.cycle_key}
    fitting = (row for one in parcels_of(rt, batch, None) for row in fitting_rows(layout, one))
    stem = batch.file_name.rpartition("/")[2].rpartition(".")[0]
    known = layout.code.replace("_", "-") if layout.code in PRESETS else plain_name(layout.name)
    name = f"{stem}-{known}.{layout.kind}"
    return name, box_chunks(layout, about, fitting)


def ship_batch(
    rt: Runtime,
    batch_ref: str,
    *,
    carrier: str = "",
    tracking: Mapping[str, str] | None = None,
    who: Who | None = None,
    report: Report | None = None,
) -> int:
    """Mark the boxes of a published batch as shipped; returns how many left now.

    Each box gets its parcel, its stock leaves, its revenue is booked and its customer is
    told, 100 boxes in a transaction; calling it again ships what is left. ``tracking`` maps
    boxes to numbers. Raises ``BatchNotFound``, ``BatchNotPublished``, ``UnknownBoxes``.
    """
    batch = _batch(rt, batch_ref)
    if batch.sha256 == work.UNPUBLISHED:
        raise BatchNotPublished(batch=batch_ref)
    _check_boxes(rt, batch, tracking or {})
    _mark_all(rt, batch.id)
    actor = Actor.STAFF if who else Actor.WORKER
    with reading():
        numbers = for_all_boxes(rt.session, batch.id, tracking or {})
        rt.session.rollback()
    parcel = Parcel(carrier, numbers, actor, who.public_id if who else "")
    done = 0
    while shipped := retrying(rt.session, lambda: _ship_slice(rt, batch, parcel)):
        failpoint("ship.after_slice")
        done += shipped
        if report is not None:
            report(done, batch.row_count)
    mark_shipped(rt.session, batch.cycle_id)
    if who is not None and done:
        after = {"boxes": done, "carrier": carrier}
        audit.write(rt.session, who.id, "boxes.shipped", batch_ref, {}, after, rt.moment(), who.ip)
    rt.session.commit()
    return done


def deliver_batch(rt: Runtime, batch_ref: str, names: Sequence[str], who: Who) -> int:
    """Mark shipped boxes of a batch as delivered; returns how many arrived now.

    ``names`` are box ids or tracking numbers, either for its whole parcel; none means every box
    that left. One that arrived before changes nothing. Raises ``BatchNotFound`` and
    ``UnknownBoxes``.
    """
    batch = _batch(rt, batch_ref)
    with reading():
        known = deliveries.named_boxes(rt.session, batch.id) if names else {}
        rt.session.rollback()
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise UnknownBoxes(boxes=unknown)
    only = sorted({key for name in names for key in known[name]})

    def some() -> int:
        rows = deliveries.boxes_on_their_way(rt.session, batch.id, only, SHIP_SLICE)
        moment = rt.moment()
        said = deliveries.Said(Actor.STAFF, who.public_id)
        deliveries.deliver_boxes(rt.session, rows, batch.cycle_key, moment, said)
        if rows:
            after = {"boxes": len(rows), "first": rows[0].public_id, "last": rows[-1].public_id}
            audit.write(rt.session, who.id, "boxes.delivered", batch_ref, {}, after, moment, who.ip)
        rt.session.commit()
        return len(rows)

    done = 0
    while count := retrying(rt.session, some):
        done += count
    return done


def _open(rt: Runtime, cycle_id: int, actor: str, layout: Layout | None) -> BatchFacts | None:
    try:
        batch = work.open_batch(rt.session, cycle_id, rt.moment(), actor, layout)
        rt.session.commit()
    except sa.exc.IntegrityError:
        # Another worker opened the batch of this number; it is the one to fill.
        rt.session.rollback()
        batch = work.open_batch(rt.session, cycle_id, rt.moment(), actor, layout)
        rt.session.commit()
    return batch


def _fill_and_publish(
    rt: Runtime, batch: BatchFacts, who: Who | None, report: Report | None
) -> ExportedBatch | None:
    done = None
    while done is None:
        while retrying(rt.session, lambda: _claim_slice(rt, batch)):
            failpoint("export.after_claim")
        if retrying(rt.session, lambda: _drop_if_empty(rt, batch)):
            return None
        retrying(rt.session, lambda: _put_together(rt, batch))
        done = _publish(rt, batch, who, report)
    failpoint("export.after_close")
    _mark_all(rt, batch.id)
    return ExportedBatch(batch.public_id, batch.number, done.rows, batch.file_name, done.sha256)


def _publish(
    rt: Runtime, batch: BatchFacts, who: Who | None, report: Report | None
) -> Published | None:
    """Write the file and close the batch; None when another worker added boxes meanwhile."""
    failpoint("export.before_publish")
    done, together = write_batch(rt, batch, batch.file_name, report)
    failpoint("export.after_publish")
    closed = retrying(rt.session, lambda: _close(rt, batch, done, together, who))
    return done if closed else None


def _put_together(rt: Runtime, batch: BatchFacts) -> None:
    put_together(rt.session, batch)
    rt.session.commit()


def _drop_if_empty(rt: Runtime, batch: BatchFacts) -> bool:
    gone = work.drop_if_empty(rt.session, batch)
    rt.session.commit()
    return gone


def _claim_slice(rt: Runtime, batch: BatchFacts) -> int:
    claimed = work.claim(rt.session, batch, CLAIM_SLICE)
    rt.session.commit()
    return claimed


def _close(rt: Runtime, batch: BatchFacts, done: Published, together: int, who: Who | None) -> bool:
    closed = work.publish_hash(rt.session, batch, done.rows, done.sha256, together)
    if closed:
        path, moment = str(rt.files.path_of(batch.file_name)), rt.moment()
        tell_of_batch(rt.session, batch, done.rows, done.sha256, path, moment, rt.box_takers)
    if closed and who is not None:
        after = {"rows": done.rows, "sha256": done.sha256}
        audit.write(
            rt.session, who.id, "boxes.exported", batch.public_id, {}, after, rt.moment(), who.ip
        )
    rt.session.commit()
    return closed


def _finish_marking(rt: Runtime, cycle_id: int) -> None:
    """Note "exported" on boxes of published batches where a crash kept us from it."""
    table = table_of(FulfilmentBatch)
    with reading():
        published = work.batch_facts(
            rt.session, table.c.cycle_id == cycle_id, table.c.sha256 != work.UNPUBLISHED
        )
        rt.session.rollback()
    for batch in published:
        _mark_all(rt, batch.id)


def _mark_all(rt: Runtime, batch_id: int) -> None:
    while retrying(rt.session, lambda: _mark_slice(rt, batch_id)):
        pass


def _mark_slice(rt: Runtime, batch_id: int) -> int:
    marked = work.mark_exported(rt.session, batch_id, CLAIM_SLICE)
    if marked:  # What was asked of these boxes in time and not decided cannot be done any more.
        expire_gone(rt.session, rt.moment())
    rt.session.commit()
    return marked


def _ship_slice(rt: Runtime, batch: BatchFacts, parcel: Parcel) -> int:
    rows = departures.boxes_to_ship(rt.session, batch.id, SHIP_SLICE)
    departures.ship_boxes(rt.session, rows, batch.cycle_key, parcel, rt.moment())
    rt.session.commit()
    return len(rows)


def _check_boxes(rt: Runtime, batch: BatchFacts, tracking: Mapping[str, str]) -> None:
    if not tracking:
        return
    box = table_of(Box)
    with reading():
        known = set(
            rt.session.scalars(sa.select(box.c.public_id).where(box.c.batch_id == batch.id))
        )
        rt.session.rollback()
    unknown = sorted(set(tracking) - known)
    if unknown:
        raise UnknownBoxes(boxes=unknown)


def _cycle(rt: Runtime, cycle_ref: str) -> AnyRow:
    table = table_of(BoxCycle)
    with reading():
        found = rt.session.execute(
            sa.select(table.c.id, table.c.state).where(table.c.public_id == cycle_ref)
        ).one_or_none()
        rt.session.rollback()
    if found is None:
        raise CycleNotFound(cycle=cycle_ref)
    return found


def _batch(rt: Runtime, batch_ref: str) -> BatchFacts:
    with reading():
        found = work.batch_facts(rt.session, table_of(FulfilmentBatch).c.public_id == batch_ref)
        rt.session.rollback()
    if not found:
        raise BatchNotFound(batch=batch_ref)
    return found[0]
