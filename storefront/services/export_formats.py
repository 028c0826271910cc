"""Formats of exports: which one a group uses, and those a merchant makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.boxes import BoxState
from storefront.domain.carriers.fields import FIELDS, ITEM_FIELDS
from storefront.domain.carriers.layout import Layout
from storefront.domain.errors import DomainError
from storefront.domain.packing import Problem
from storefront.models import Box, BoxCycle, CycleGroup, ExportFormat, ShopSettings
from storefront.models.base import public_id, table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.export_formats import OWN, layout_named
from storefront.runtime import Runtime

MOST_COLUMNS = 60


class BadFormat(DomainError):
    """The format cannot be used; ``problem`` says why, ``column`` where."""

    code = "bad_format"


class FormatGone(DomainError):
    """There is no such format any more."""

    code = "format_gone"


class FormatInUse(DomainError):
    """Groups of plans are exported in it; ``groups`` are their names."""

    code = "format_in_use"


def use_format(
    rt: Runtime, who: Who, group_ref: str, code: str, mail: str = "", provider: str = ""
) -> bool:
    """Export the boxes of a group in this format from now on; False when it is so already.

    The file of each batch goes to ``mail`` as well, and its boxes to the shipping ``provider``,
    if those are given. Batches that were made stay as they are. Raises ``FormatGone``, also for
    a provider that there is not.
    """
    after = {"export_format": code, "export_mail": mail, "export_provider": provider}

    def write() -> bool:
        group = table_of(CycleGroup)
        row = rt.session.execute(
            sa.select(group.c.id, *(group.c[name] for name in after)).where(
                group.c.public_id == group_ref
            )
        ).one_or_none()
        layout = layout_named(rt.session, code)
        if row is None or layout is None:
            rt.session.rollback()
            raise FormatGone(format=code)
        before = {name: row._mapping[name] for name in after}
        if provider not in ("", before["export_provider"], *rt.shipping_providers):
            rt.session.rollback()
            raise FormatGone(format=provider)
        if before == after:
            rt.session.rollback()
            return False
        rt.session.execute(sa.update(group).where(group.c.public_id == group_ref).values(**after))
        if before["export_format"] != code:
            _try_misfits_again(rt, row.id)
        _note(rt, who, "exports.format_used", group_ref, before, after)
        return True

    return retrying(rt.session, write)


def share_parcels(rt: Runtime, who: Who, *, shared: bool) -> bool:
    """Say whether boxes of one customer to one address leave in one parcel; False: as it is.

    It holds for batches that are made from now on.
    """

    def write() -> bool:
        table = table_of(ShopSettings)
        before = bool(rt.session.scalar(sa.select(table.c.shares_parcels)))
        if before == shared:
            rt.session.rollback()
            return False
        rt.session.execute(sa.update(table).values(shares_parcels=shared))
        _note(rt, who, "exports.parcels", "shop", {"shared": before}, {"shared": shared})
        return True

    return retrying(rt.session, write)


def save_format(rt: Runtime, who: Who, layout: Layout, ref: str = "") -> str:
    """Keep a format of the merchant's own, new or in place of ``ref``; returns its public id.

    Batches keep the format they were made in. Raises ``BadFormat`` and ``FormatGone``.
    """
    _check(layout)
    kept = replace(layout, code=OWN)

    def write() -> str:
        table = table_of(ExportFormat)
        values = {"name": kept.name, "layout": kept.as_data()}
        before: dict[str, Any] = {}
        if ref:
            row = rt.session.execute(
                sa.select(table.c.layout).where(
                    table.c.public_id == ref, table.c.archived_at.is_(None)
                )
            ).one_or_none()
            if row is None:
                rt.session.rollback()
                raise FormatGone(format=ref)
            before = {"layout": row.layout}
            rt.session.execute(sa.update(table).where(table.c.public_id == ref).values(**values))
            group = table_of(CycleGroup)
            users = sa.select(group.c.id).where(group.c.export_format == ref)
            for key in rt.session.scalars(users).all():
                _try_misfits_again(rt, key)
        name = ref or public_id("fmt")
        if not ref:
            rt.session.execute(
                sa.insert(table).values(public_id=name, created_at=rt.now(), **values)
            )
        _note(rt, who, "exports.format_saved", name, before, values)
        return name

    return retrying(rt.session, write)


def remove_format(rt: Runtime, who: Who, ref: str) -> None:
    """Take a format of the merchant's own off the lists. Raises as ``FormatInUse`` says."""

    def write() -> None:
        table, group = table_of(ExportFormat), table_of(CycleGroup)
        users = list(
            rt.session.scalars(sa.select(group.c.name).where(group.c.export_format == ref))
        )
        if users:
            rt.session.rollback()
            raise FormatInUse(groups=users)
        rt.session.execute(
            sa.update(table)
            .where(table.c.public_id == ref, table.c.archived_at.is_(None))
            .values(archived_at=rt.now())
        )
        _note(rt, who, "exports.format_removed", ref, {}, {})

    retrying(rt.session, write)


def _try_misfits_again(rt: Runtime, group_id: int) -> None:
    """Let the worker try boxes in the new format that did not fit the old one."""
    box, cycle = table_of(Box), table_of(BoxCycle)
    rt.session.execute(
        sa.update(box)
        .where(
            box.c.state == BoxState.LOCKED,
            box.c.batch_id.is_(None),
            box.c.problem == Problem.NO_FIT.value,
            box.c.cycle_id.in_(sa.select(cycle.c.id).where(cycle.c.group_id == group_id)),
        )
        .values(problem="")
    )


def _note(
    rt: Runtime,
    who: Who,
    action: str,
    ref: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    audit.write(rt.session, who.id, action, ref, before, after, rt.moment(), who.ip)
    rt.session.commit()


def _check(layout: Layout) -> None:
    rules: tuple[tuple[str, Callable[[], str]], ...] = (
        ("no_name", lambda: "" if layout.name else "-"),
        ("no_columns", lambda: "" if layout.columns else "-"),
        ("too_many_columns", lambda: "-" if len(layout.columns) > MOST_COLUMNS else ""),
        ("twice", lambda: _twice(layout)),
        ("unknown_field", lambda: _unknown(layout)),
        ("item_field", lambda: _needs_items(layout)),
    )
    for problem, look in rules:
        if column := look():
            raise BadFormat(problem=problem, column=column)


def _twice(layout: Layout) -> str:
    seen: set[str] = set()
    for column in layout.columns:
        if column.heading in seen:
            return column.heading
        seen.add(column.heading)
    return ""


def _unknown(layout: Layout) -> str:
    wrong = [one.heading for one in layout.columns if one.source not in ("", *FIELDS)]
    return wrong[0] if wrong else ""


def _needs_items(layout: Layout) -> str:
    """A product's field in a file with one row for each box would say nothing."""
    if layout.per_item:
        return ""
    wrong = [one.heading for one in layout.columns if one.source in ITEM_FIELDS]
    return wrong[0] if wrong else ""
