"""Formats of exports: what there is, who uses it, and which boxes do not fit before they leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.carriers.fields import BoxFacts
from storefront.domain.carriers.layout import Layout, layout_of
from storefront.domain.carriers.presets import PRESETS
from storefront.domain.carriers.rows import Finding, cells, findings
from storefront.domain.customs import missing_in
from storefront.models import Box, BoxCycle, CycleGroup, ExportFormat, FulfilmentBatch
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow

#: How many boxes that do not fit a page lists; the count says how many there are.
LISTED = 100
#: Boxes read at a time.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Misfit:
    """A box that does not fit a format, and why."""

    box: str
    name: str
    findings: tuple[Finding, ...]
    #: In no batch yet, so its address can still be put right.
    is_open: bool


@dataclass(frozen=True, slots=True)
class Check:
    """How many boxes a file would hold, and those it would not."""

    cycle_ref: str
    boxes: int
    fitting: int
    misfits: tuple[Misfit, ...]
    #: Boxes that cross a border with a product whose tariff number or origin is not known.
    undeclared: int = 0

    @property
    def left_out(self) -> int:
        """Boxes that do not fit."""
        return self.boxes - self.fitting


@dataclass(frozen=True, slots=True)
class OwnFormat:
    """A format the merchant made, and the groups that use it."""

    public_id: str
    layout: Layout
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupExport:
    """What a group of plans is exported in."""

    public_id: str
    name: str
    code: str
    mail: str
    provider: str


def check_cycle(session: AnySession, cycle_ref: str, layout: Layout) -> Check:
    """Hold the locked boxes of a cycle that are in no batch against ``layout``."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    wanted = (cycle.c.public_id == cycle_ref, box.c.state == "locked", box.c.batch_id.is_(None))
    return _check(session, cycle_ref, wanted, layout)


def check_batch(session: AnySession, batch_ref: str, layout: Layout) -> Check:
    """Hold the boxes of a batch against ``layout``."""
    batch, cycle = table_of(FulfilmentBatch), table_of(BoxCycle)
    cycle_ref = session.execute(
        sa.select(cycle.c.public_id)
        .join(batch, batch.c.cycle_id == cycle.c.id)
        .where(batch.c.public_id == batch_ref)
    ).scalar_one()
    return _check(session, cycle_ref, (batch.c.public_id == batch_ref,), layout)


def preview(session: AnySession, layout: Layout, boxes: int = 3) -> list[list[str]]:
    """Return the rows of the last locked boxes in ``layout``, so that a format can be judged."""
    box = table_of(Box)
    rows = session.execute(
        _facts().where(box.c.locked_at.is_not(None)).order_by(box.c.id.desc()).limit(boxes)
    )
    return [row for one in rows if one.packing for row in cells(layout, _box(one))]


def own_formats(session: AnySession) -> list[OwnFormat]:
    """Return the merchant's formats by name, without those that were removed."""
    own, group = table_of(ExportFormat), table_of(CycleGroup)
    users: dict[str, list[str]] = {}
    for row in session.execute(sa.select(group.c.name, group.c.export_format)):
        users.setdefault(row.export_format, []).append(row.name)
    rows = session.execute(
        sa.select(own.c.public_id, own.c.layout)
        .where(own.c.archived_at.is_(None))
        .order_by(own.c.name, own.c.id)
    )
    return [
        OwnFormat(row.public_id, layout_of(row.layout), tuple(users.get(row.public_id, ())))
        for row in rows
    ]


def format_choices(session: AnySession) -> list[tuple[str, str]]:
    """Return (code, name) of every format that can be used: the merchant's first."""
    own = [(each.public_id, each.layout.name) for each in own_formats(session)]
    ready = [(code, each.layout.name) for code, each in PRESETS.items() if each.is_ready]
    return own + ready


def group_exports(session: AnySession) -> list[GroupExport]:
    """Return what each group of plans is exported in, by name."""
    group = table_of(CycleGroup)
    rows = session.execute(
        sa.select(
            group.c.public_id,
            group.c.name,
            group.c.export_format.label("code"),
            group.c.export_mail.label("mail"),
            group.c.export_provider.label("provider"),
        ).order_by(group.c.name, group.c.id)
    )
    return [GroupExport(**row._mapping) for row in rows]


def group_format(session: AnySession, cycle_ref: str) -> str:
    """Return the code of the format that the worker exports a cycle in."""
    group, cycle = table_of(CycleGroup), table_of(BoxCycle)
    return session.execute(
        sa.select(group.c.export_format)
        .join(cycle, cycle.c.group_id == group.c.id)
        .where(cycle.c.public_id == cycle_ref)
    ).scalar_one()


def open_box(session: AnySession, box_ref: str) -> AnyRow | None:
    """Return a locked box of no batch with its frozen address and cycle, else None."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    return session.execute(
        sa.select(box.c.public_id, box.c.ship_to, cycle.c.public_id.label("cycle_ref"))
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .where(box.c.public_id == box_ref, box.c.state == "locked", box.c.batch_id.is_(None))
    ).one_or_none()


def _check(
    session: AnySession,
    cycle_ref: str,
    wanted: Sequence[sa.ColumnElement[bool]],
    layout: Layout,
) -> Check:
    boxes, left_out, undeclared = 0, 0, 0
    listed: list[Misfit] = []
    for row in _rows(session, wanted):
        boxes += 1
        missing = missing_in(row.packing.get("customs", ())).values()
        undeclared += any({"hs_code", "origin"} & set(parts) for parts in missing)
        found = findings(layout, _box(row))
        if not found:
            continue
        left_out += 1
        if len(listed) < LISTED:
            name = str(row.ship_to.get("name") or "")
            listed.append(Misfit(row.public_id, name, tuple(found), row.batch is None))
    return Check(cycle_ref, boxes, boxes - left_out, tuple(listed), undeclared)


def _rows(session: AnySession, wanted: Sequence[sa.ColumnElement[bool]]) -> Iterator[AnyRow]:
    box, after = table_of(Box), 0
    while rows := session.execute(
        _facts().where(*wanted, box.c.id > after).order_by(box.c.id).limit(_PAGE)
    ).all():
        yield from rows
        after = rows[-1].id


def _facts() -> sa.Select[Any]:
    box, cycle, batch = table_of(Box), table_of(BoxCycle), table_of(FulfilmentBatch)
    return (
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.kind,
            box.c.quantity,
            box.c.ship_to,
            box.c.packing,
            cycle.c.key,
            cycle.c.lock_on,
            batch.c.public_id.label("batch"),
        )
        .join(cycle, cycle.c.id == box.c.cycle_id)
        .outerjoin(batch, batch.c.id == box.c.batch_id)
    )


def _box(row: AnyRow) -> BoxFacts:
    return BoxFacts(
        batch=row.batch or "",
        box=row.public_id,
        cycle=row.key,
        kind=row.kind.value,
        quantity=row.quantity,
        ship_to=row.ship_to,
        packing=row.packing,
        locked_on=row.lock_on,
    )
