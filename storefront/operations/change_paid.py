"""What is paid for in a running period and not packed yet: its lines and its boxes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.changes import PaidLine, Unused
from storefront.domain.invoices import InvoiceState, LineKind
from storefront.domain.periods import BillingPeriod
from storefront.models import (
    Box,
    BoxCycle,
    BoxShortage,
    CreditNote,
    CreditNoteLine,
    Invoice,
    InvoiceLine,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.skips import MOVABLE

#: What a change takes back. Something sold beside the boxes stays, and so does a sign-up fee.
_GOODS = (LineKind.PLAN, LineKind.OPTION, LineKind.SHIPPING, LineKind.PRORATION_CHARGE)


@dataclass(frozen=True, slots=True)
class PaidPeriodFacts:
    """The lines that pay for the plan held now, and the boxes they bring that are not packed."""

    lines: tuple[PaidLine, ...]
    unused: Unused
    #: Keys of boxes that can still change, in their order.
    unsent: tuple[int, ...]


def read_paid(session: AnySession, period_id: int, moment: Moment) -> PaidPeriodFacts:
    """Return what is paid and unused of a paid period on the plan held now."""
    lines = _lines(session, period_id)
    own = {line.id for line in lines}
    boxes = [box for box in _boxes(session, period_id) if box.state != BoxState.CANCELED]
    unsent = tuple(box.id for box in boxes if _may_change(box, moment))
    paid = [box for box in boxes if box.invoice_line_id in own]
    mine = [box for box in paid if box.id in unsent]
    worth = sum(box.net_minor + box.tax_minor for box in mine)
    sent = [box.id for box in paid if box.id not in unsent]
    given = _given_for(session, sent, own)
    ahead = _given_for(session, [box.id for box in mine], own)
    unused = Unused(len(mine), len(paid), moment.today, worth, given, ahead)
    return PaidPeriodFacts(tuple(lines), unused, unsent)


def _given_for(session: AnySession, box_ids: list[int], line_ids: set[int]) -> int:
    """Return what these lines gave back for boxes, for a lack or by staff, in minor units.

    An add-on that had run out is no part of them: it went back on a line of its own.
    """
    if not box_ids:
        return 0
    lacks, note, part = table_of(BoxShortage), table_of(CreditNote), table_of(CreditNoteLine)
    short = sa.select(lacks.c.credit_note_id).where(lacks.c.box_id.in_(box_ids))
    given = sa.select(sa.func.coalesce(sa.func.sum(part.c.gross_minor), 0)).join(
        note, note.c.id == part.c.credit_note_id
    )
    line = table_of(InvoiceLine)
    ours = (
        sa.select(line.c.id)
        .join(lowered := line.alias("lowered"), lowered.c.invoice_id == line.c.invoice_id)
        .where(
            lowered.c.id.in_(line_ids),
            sa.or_(line.c.id == lowered.c.id, line.c.lowers == lowered.c.position),
        )
    )
    given = given.where(
        part.c.invoice_line_id.in_(ours), sa.or_(note.c.box_id.in_(box_ids), note.c.id.in_(short))
    )
    return int(session.scalar(given) or 0)


def _may_change(box: AnyRow, moment: Moment) -> bool:
    in_time = box.cutoff_on is None or box.cutoff_on >= moment.today
    return box.state in MOVABLE and in_time


def _boxes(session: AnySession, period_id: int) -> list[AnyRow]:
    box, cycle = table_of(Box), table_of(BoxCycle)
    return list(
        session.execute(
            sa.select(
                box.c.id,
                box.c.state,
                box.c.invoice_line_id,
                box.c.net_minor,
                box.c.tax_minor,
                cycle.c.cutoff_on,
            )
            .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
            .where(box.c.period_id == period_id, box.c.kind == BoxKind.REGULAR)
            .order_by(box.c.ordinal)
        )
    )


def _lines(session: AnySession, period_id: int) -> list[PaidLine]:
    """Return what is left of the lines that no earlier change of the period took back."""
    line, invoice = table_of(InvoiceLine), table_of(Invoice)
    rows = session.execute(
        sa.select(line)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(line.c.period_id == period_id, invoice.c.state == InvoiceState.PAID)
        .order_by(line.c.id)
    ).all()
    gone = {row.corrects_line_id for row in rows if row.corrects_line_id}
    back = _given_back(session, [row.id for row in rows])
    found = []
    for row in rows:
        if row.kind not in _GOODS or row.id in gone:
            continue
        off = [
            each
            for each in rows
            if each.kind == LineKind.DISCOUNT
            and (each.invoice_id, each.lowers) == (row.invoice_id, row.position)
        ]
        # A refund takes back a part of the discounts as well.
        gross = row.gross_minor - row.credited_minor
        gross += sum(each.gross_minor - back.get(each.id, (0, 0))[0] for each in off)
        tax = sum(each.tax_minor - back.get(each.id, (0, 0))[1] for each in (row, *off))
        found.append(
            PaidLine(
                row.id,
                LineKind(row.kind),
                row.text,
                max(gross, 0),
                max(tax, 0),
                Decimal(row.tax_rate_bp) / 100,
                BillingPeriod(row.service_from, row.service_to),
            )
        )
    return found


def _given_back(session: AnySession, line_ids: list[int]) -> dict[int, tuple[int, int]]:
    """Return (gross, tax) that credit notes took back, by line; below zero of a discount."""
    table = table_of(CreditNoteLine)
    rows = session.execute(
        sa.select(
            table.c.invoice_line_id,
            sa.func.sum(table.c.gross_minor).label("gross"),
            sa.func.sum(table.c.tax_minor).label("tax"),
        )
        .where(table.c.invoice_line_id.in_(line_ids))
        .group_by(table.c.invoice_line_id)
    )
    return {row.invoice_line_id: (int(row.gross), int(row.tax)) for row in rows}
