"""Which lines paid for the add-ons that lie in a box. They stay with the period that sold them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.addons import Cadence, pieces_of_lines
from storefront.domain.boxes import BoxKind
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.models import (
    Addon,
    Box,
    Invoice,
    InvoiceLine,
    ScheduledChange,
    SubscriptionAddon,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession


@dataclass(frozen=True, slots=True)
class AddonLine:
    """A paid line of an add-on; ``paid_minor`` less what lowered it."""

    id: int
    #: Public id.
    invoice: str
    period_id: int
    addon_id: int | None
    text: str
    quantity: int
    paid_minor: int
    #: All of its pieces lie in the first box of the period.
    comes_once: bool = False


def addon_lines(session: AnySession, period_ids: Iterable[int]) -> list[AddonLine]:
    """Return the paid lines of add-ons of these periods, in their order."""
    wanted = sorted(set(period_ids))
    rows = session.execute(_lines_of(wanted)).all() if wanted else ()
    if not rows:
        return []
    table, addon = table_of(SubscriptionAddon), table_of(Addon)
    came: dict[int, list[AnyRow]] = defaultdict(list)
    for one in session.execute(
        sa.select(
            table.c.period_id, table.c.addon_id, table.c.quantity, table.c.unit_minor, addon.c.name
        )
        .join(addon, addon.c.id == table.c.addon_id)
        .where(table.c.period_id.in_(wanted), table.c.cadence == Cadence.ONCE.value)
        .order_by(table.c.id)
    ):
        came[one.period_id].append(one)
    once = {
        key for period, each in came.items() for key in _once([*_of_period(rows, period)], each)
    }
    return [
        AddonLine(
            row.id,
            row.invoice,
            row.period_id,
            row.addon_id,
            row.text,
            row.quantity,
            row.gross_minor + int(row.off_minor),
            row.id in once,
        )
        for row in rows
    ]


def lines_for(
    session: AnySession, row: AnyRow, variant_id: int, lying: int
) -> list[tuple[AddonLine, int]]:
    """Return the lines that brought ``lying`` pieces of a product into a box, and how many each.

    A change of plan leaves add-ons on the invoice and with the period that sold them, also when
    it takes the box into a new one. Empty where the lines do not say so.
    """
    names = _names(session, variant_id)
    found = _of_addons(addon_lines(session, [row.period_id]), names)
    is_first = row.ordinal == 1
    if not found:
        found = _of_addons(addon_lines(session, _left_periods(session, row)), names)
        is_first = is_first and not _has_first(session, {one.period_id for one in found})
    pieces = pieces_of_lines(
        [(one.quantity, one.comes_once) for one in found], lying, is_first=is_first
    )
    return [(one, number) for one, number in zip(found, pieces, strict=True) if number]


def _lines_of(period_ids: Sequence[int]) -> sa.Select[tuple[object, ...]]:
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    off = line.alias("off")
    lowered = (
        sa.select(sa.func.coalesce(sa.func.sum(off.c.gross_minor), 0))
        .where(off.c.invoice_id == line.c.invoice_id, off.c.lowers == line.c.position)
        .correlate(line)
        .scalar_subquery()
    )
    return (
        sa.select(
            line.c.id,
            invoice.c.public_id.label("invoice"),
            line.c.period_id,
            line.c.addon_id,
            line.c.text,
            line.c.quantity,
            line.c.unit_minor,
            line.c.gross_minor,
            lowered.label("off_minor"),
        )
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(
            line.c.period_id.in_(period_ids),
            line.c.kind == LineKind.ADDON,
            sa.not_(line.c.is_void),
            invoice.c.state == InvoiceState.PAID,
        )
        .order_by(line.c.invoice_id, line.c.position)
    )


def _of_period(rows: Sequence[AnyRow], period_id: int) -> list[AnyRow]:
    return [row for row in rows if row.period_id == period_id]


def _once(rows: Sequence[AnyRow], came: Sequence[AnyRow]) -> set[int]:
    """Return the lines of what ``came`` once, a line each; of two alike, that at its price."""
    found: set[int] = set()
    for one in came:
        alike = [
            row
            for row in rows
            if row.id not in found
            and row.quantity == one.quantity
            and (row.text == one.name if row.addon_id is None else row.addon_id == one.addon_id)
        ]
        alike.sort(key=lambda row: row.unit_minor != one.unit_minor)
        found |= {row.id for row in alike[:1]}
    return found


def _names(session: AnySession, variant_id: int) -> dict[int, str]:
    """Return the add-ons for a product; with the name of each where no other one has it."""
    addon, other = table_of(Addon), table_of(Addon).alias("other")
    is_shared = sa.exists().where(
        other.c.name == addon.c.name, other.c.variant_id.is_distinct_from(addon.c.variant_id)
    )
    name = sa.case((is_shared, ""), else_=addon.c.name).label("name")
    bring = sa.select(addon.c.id, name).where(addon.c.variant_id == variant_id)
    return {one.id: one.name for one in session.execute(bring)}


def _of_addons(lines: Sequence[AddonLine], names: dict[int, str]) -> list[AddonLine]:
    """Return the lines for these add-ons.

    Lines from before the add-on was kept on them are known by the name it has now.
    """
    old = set(names.values()) - {""}
    return [
        one for one in lines if (one.text in old if one.addon_id is None else one.addon_id in names)
    ]


def _left_periods(session: AnySession, row: AnyRow) -> list[int]:
    """Return the periods out of which changes of plan took the box."""
    table = table_of(ScheduledChange)
    changes = session.scalars(
        sa.select(table.c.data).where(
            table.c.subscription_id == row.subscription_id, table.c.state == "applied"
        )
    )
    return [
        int(data["period_id"])
        for data in changes
        if data.get("opens") and row.id in data.get("unsent", ())
    ]


def _has_first(session: AnySession, period_ids: Iterable[int]) -> bool:
    """Return whether the first box of one of these periods is still with it."""
    box = table_of(Box)
    found = sa.select(box.c.id).where(
        box.c.period_id.in_(period_ids), box.c.kind == BoxKind.REGULAR, box.c.ordinal == 1
    )
    return session.scalar(found.limit(1)) is not None
