"""The file of a batch: read parcel by parcel, written whole or not at all.

What stands in it was frozen at the lock and when the batch was made, so it can be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from storefront.adapters.files import Published
from storefront.adapters.tables import box_chunks
from storefront.database import reading
from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.together import rows_of
from storefront.operations.fulfilment import BatchFacts
from storefront.operations.shared_parcels import export_parcels
from storefront.runtime import Runtime

#: Boxes read at a time while the file is written.
_PAGE = 500

Report = Callable[[int, int], None]


def write_batch(
    rt: Runtime, batch: BatchFacts, name: str, report: Report | None
) -> tuple[Published, int]:
    """Publish the file of the batch as ``name``; its rows are counted in boxes.

    Also returns how many of the boxes leave in a parcel with others.
    """
    parcels = _Counted(parcels_of(rt, batch, report))
    about = {"batch": batch.public_id, "cycle": batch.cycle_key}
    rows = (row for one in parcels for row in rows_of(batch.layout, one))
    done = rt.files.publish(name, box_chunks(batch.layout, about, rows))
    return replace(done, rows=parcels.boxes), parcels.together


class _Counted:
    """Counts the boxes of the parcels that pass, and those that leave with others."""

    def __init__(self, parcels: Iterable[Sequence[BoxFacts]]) -> None:
        self._parcels, self.boxes, self.together = parcels, 0, 0

    def __iter__(self) -> Iterator[Sequence[BoxFacts]]:
        for parcel in self._parcels:
            self.boxes += len(parcel)
            self.together += len(parcel) if len(parcel) > 1 else 0
            yield parcel


def parcels_of(rt: Runtime, batch: BatchFacts, report: Report | None) -> Iterator[list[BoxFacts]]:
    """Yield the parcels of the batch, a page of boxes at a time, each in its own transaction."""
    after, done = 0, 0
    while True:
        with reading():
            parcels, after, seen = export_parcels(rt.session, batch, after, _PAGE)
            rt.session.rollback()
        yield from parcels
        done += seen
        if report is not None:
            report(done, max(done, batch.row_count))
        if seen < _PAGE:
            return
