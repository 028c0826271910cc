"""Packing slips and labels of a batch: asked for by staff, made by the worker, handed out.

A web worker never draws a thousand pages: it writes down what is wanted, the worker makes it in
files of ``PART`` boxes, each published whole or not at all, and the page hands them out.
Source: docs/decisions/0144-papers-of-a-batch.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from storefront.adapters.failpoints import failpoint
from storefront.adapters.files import Published
from storefront.database import reading, retrying
from storefront.domain.errors import DomainError
from storefront.domain.papers import LAYOUTS, packing_order
from storefront.models import BatchPaper, Box, FulfilmentBatch
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.keys import AnyRow
from storefront.operations.papers import Paper, PaperBox, boxes_by_key, packings, papers, waiting
from storefront.operations.shared_parcels import is_first
from storefront.runtime import Runtime

#: Boxes in one file: what a printer takes at once, and what is in memory while it is drawn.
PART = 500
#: Files made in one run; the other jobs of the worker come before the next ones.
AT_ONCE = 4
#: Papers carry names and addresses: after these days they are deleted, and made anew on demand.
KEPT = timedelta(days=30)

#: Draws boxes as a paper says.
Draw = Callable[[Paper, Sequence[PaperBox]], bytes]


class NoSuchPaper(DomainError):
    """There is no such batch, or no such kind and layout of paper."""

    code = "no_such_paper"


def ask_for_paper(rt: Runtime, batch_ref: str, kind: str, layout: str, who: Who) -> str:
    """Let the worker make a paper of a published batch; returns the paper's public id.

    One that is there, or is being made, stays; one whose files are gone is made again, with
    the same bytes. Raises ``NoSuchPaper``.
    """

    def ask() -> str:
        batch = _batch(rt, batch_ref)
        if batch is None or (kind, layout) not in LAYOUTS:
            rt.session.rollback()
            raise NoSuchPaper(batch=batch_ref, kind=kind, layout=layout)
        table = table_of(BatchPaper)
        mine = (table.c.batch_id == batch.id, table.c.kind == kind, table.c.layout == layout)
        found = papers(rt.session, *mine)
        if found and not _is_gone(rt, found[0]):
            rt.session.rollback()
            return found[0].public_id
        if found:
            ref = found[0].public_id
            again: dict[str, Any] = {"parts": [], "made_at": None, "asked_at": rt.now()}
            rt.session.execute(sa.update(table).where(*mine).values(again))
        else:
            ref = _insert(rt, batch, kind, layout, who)
        after = {"kind": kind, "layout": layout, "boxes": batch.row_count}
        audit.write(
            rt.session, who.id, "paper.asked_for", batch_ref, {}, after, rt.moment(), who.ip
        )
        rt.session.commit()
        return ref

    try:
        return ask()
    except sa.exc.IntegrityError:
        # A second click was faster.
        rt.session.rollback()
        return ask()


def make_papers(rt: Runtime, draw: Draw) -> dict[str, int]:
    """Make up to ``AT_ONCE`` files of the papers that wait, and delete those that are old.

    A file is published, then noted; after a crash between the two it is published again, with
    the same bytes under the same name. One that cannot be drawn keeps no other waiting; the
    first such error is raised when the rest is done.
    """
    made, failed = 0, set[int]()
    wrong: Exception | None = None
    while made + len(failed) < AT_ONCE and (key := _next(rt, failed)) is not None:
        try:
            _make_part(rt, draw, key)
            made += 1
        except Exception as error:  # noqa: BLE001 - raised below, after the others
            rt.session.rollback()
            failed.add(key)
            wrong = wrong or error
    done = {"files": made, "deleted": _delete_old(rt)}
    if wrong is not None:
        raise wrong
    return done


def _next(rt: Runtime, failed: Collection[int]) -> int | None:
    """Return the paper asked for first of those that did not fail in this run."""
    with reading():
        key = waiting(rt.session, failed)
        rt.session.rollback()
    return key


def paper_file(rt: Runtime, paper_ref: str, number: int) -> tuple[Paper, Path] | None:
    """Return file ``number`` (1 …) of a paper; None if it is not there."""
    with reading():
        found = papers(rt.session, table_of(BatchPaper).c.public_id == paper_ref)
        rt.session.rollback()
    if not found or not 1 <= number <= len(found[0].parts):
        return None
    path = rt.files.path_of(found[0].parts[number - 1]["file"])
    return (found[0], path) if path.is_file() else None


def _make_part(rt: Runtime, draw: Draw, key: int) -> None:
    """Make the next file of a paper that waits."""
    with reading():
        found = papers(rt.session, table_of(BatchPaper).c.id == key)
        paper = found[0] if found else None
        boxes, is_last = _boxes(rt, paper) if paper else ([], True)
        rt.session.rollback()
    if paper is None:
        return
    done = None
    if boxes:
        number = len(paper.parts) + 1
        name = f"papers/{paper.batch_ref}-{paper.kind}-{paper.layout}-{number}.pdf"
        done = rt.files.publish(name, [draw(paper, boxes)])
        failpoint("papers.after_publish")
    retrying(rt.session, lambda: _note(rt, paper, done, boxes, is_last=is_last))


def _boxes(rt: Runtime, paper: Paper) -> tuple[list[PaperBox], bool]:
    """Return the parcels of the next file by their first box, and whether none come behind."""
    box = table_of(Box)
    parcels = (box.c.batch_id == paper.batch_id, is_first(box))
    order = packing_order((row.id, row.packing) for row in packings(rt.session, *parcels))
    begin = paper.parcels
    keys = order[begin : begin + PART]
    return boxes_by_key(rt.session, keys), begin + len(keys) >= len(order)


def _note(
    rt: Runtime,
    paper: Paper,
    done: Published | None,
    boxes: Sequence[PaperBox],
    *,
    is_last: bool,
) -> None:
    """Write down a file that is there, unless another worker did so before."""
    table = table_of(BatchPaper)
    now = papers(rt.session, table.c.id == paper.id)
    if now and now[0].made_at is None and len(now[0].parts) == len(paper.parts):
        parts = list(paper.parts)
        if done is not None:
            name = done.path.relative_to(rt.files.folder.resolve()).as_posix()
            part = {"file": name, "sha256": done.sha256, "boxes": len(boxes)}
            inside = len(boxes) + sum(len(one.others) for one in boxes)
            parts.append(part if inside == len(boxes) else {**part, "inside": inside})
        values: dict[str, Any] = {"parts": parts}
        if is_last:
            values["made_at"] = rt.now()
        rt.session.execute(sa.update(table).where(table.c.id == paper.id).values(values))
    rt.session.commit()


def _delete_old(rt: Runtime) -> int:
    """Delete papers that nobody prints any more: the files first, then their rows."""
    table = table_of(BatchPaper)
    is_old = table.c.asked_at < rt.now() - KEPT
    with reading():
        old = papers(rt.session, is_old)
        rt.session.rollback()
    for paper in old:
        for part in paper.parts:
            rt.files.path_of(part["file"]).unlink(missing_ok=True)

    def delete() -> None:
        # Not one that was asked for again meanwhile: it waits to be made.
        ids = [one.id for one in old]
        rt.session.execute(sa.delete(table).where(table.c.id.in_(ids), is_old))
        rt.session.commit()

    if old:
        retrying(rt.session, delete)
    return len(old)


def _batch(rt: Runtime, batch_ref: str) -> AnyRow | None:
    table = table_of(FulfilmentBatch)
    return rt.session.execute(
        sa.select(table.c.id, table.c.row_count).where(
            table.c.public_id == batch_ref, table.c.sha256 != ""
        )
    ).one_or_none()


def _is_gone(rt: Runtime, paper: Paper) -> bool:
    return paper.made_at is not None and not all(
        rt.files.path_of(part["file"]).is_file() for part in paper.parts
    )


def _insert(rt: Runtime, batch: AnyRow, kind: str, layout: str, who: Who) -> str:
    ref, shop = public_id("pap"), rt.shop
    rt.session.execute(
        sa.insert(table_of(BatchPaper)).values(
            public_id=ref,
            batch_id=batch.id,
            kind=kind,
            layout=layout,
            shop={
                "shop": shop.name,
                "name": shop.seller_name,
                "address": shop.seller_address,
                "country": shop.seller_country,
                "email": shop.support_email,
                "locale": shop.locale,
            },
            parts=[],
            asked_at=rt.now(),
            made_at=None,
            actor=who.public_id,
        )
    )
    return ref
