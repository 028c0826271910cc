"""Boxes that an invoice pays for, with what of each line is theirs: to refund one of several.

Source: docs/decisions/0209-the-money-of-one-box.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.invoices import CreditReason
from storefront.domain.money import split_minor
from storefront.domain.refunds import Refundable
from storefront.models import (
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxCycle,
    BoxShortage,
    CreditNote,
    Invoice,
    InvoiceLine,
    LateChange,
)
from storefront.models.base import table_of
from storefront.operations.box_worth import BoxWorth, paying_for, shared_out, worth_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.refund_facts import RefundFacts


@dataclass(frozen=True, slots=True)
class RefundBox:
    """A box that can be named with a refund; ``parts`` is what is left of it, by line."""

    id: int
    public_id: str
    ordinal: int
    ship_from: date | None
    parts: Mapping[int, int]

    @property
    def left_minor(self) -> int:
        return sum(self.parts.values())


def boxes_of_refund(
    session: AnySession, facts: RefundFacts, lines: Sequence[Refundable]
) -> tuple[RefundBox, ...]:
    """Return the boxes that the invoice paid for, or put something into, in their order."""
    box, cycle, line = table_of(Box), table_of(BoxCycle), table_of(InvoiceLine)
    part, addition = table_of(BoxAdditionBox), table_of(BoxAddition)
    mine = sa.select(line.c.id).where(line.c.invoice_id == facts.invoice.id)
    added = (
        sa.select(part.c.box_id)
        .join(addition, addition.c.id == part.c.addition_id)
        .where(addition.c.invoice_id == facts.invoice.id, addition.c.state == "applied")
    )
    rows = session.execute(
        sa.select(box, cycle.c.ship_from)
        .outerjoin(cycle, cycle.c.id == box.c.cycle_id)
        .where(
            sa.or_(box.c.invoice_line_id.in_(mine), box.c.id.in_(added)),
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .order_by(box.c.subscription_id, box.c.period_id, box.c.ordinal)
    ).all()
    own = {one.id for one in facts.lines}
    paid = [row for row in rows if row.invoice_line_id in own]
    worth = worth_of(session, paid)
    shares = {row.id: _of_box(facts, lines, row, worth[row.id]) for row in paid}
    others = [row.id for row in rows if row.id not in shares]
    shares |= _of_addition(session, facts, lines, others)
    return tuple(
        RefundBox(row.id, row.public_id, row.ordinal, row.ship_from, shares[row.id]) for row in rows
    )


def unnamed_before(session: AnySession, box_ids: Sequence[int]) -> dict[int, int]:
    """Return what went back of the invoices of these boxes while nobody named a box.

    In minor units, by box; not what went back for a lack, with a change of plan, or for a box
    that was kept back before its credit note said so.
    """
    box, line, invoice = table_of(Box), table_of(InvoiceLine), table_of(Invoice)
    note, lacks = table_of(CreditNote), table_of(BoxShortage)
    invoices = {
        row.id: row.invoice_id
        for row in session.execute(
            sa.select(box.c.id, line.c.invoice_id)
            .join(line, line.c.id == box.c.invoice_line_id)
            .where(box.c.id.in_(box_ids))
        )
    }
    rows = session.execute(
        sa.select(note.c.invoice_id, sa.func.sum(note.c.total_minor).label("minor"))
        .join(invoice, invoice.c.id == note.c.invoice_id)
        .where(
            note.c.invoice_id.in_(set(invoices.values())),
            note.c.box_id.is_(None),
            note.c.reason != CreditReason.CHANGE,
            ~sa.exists().where(lacks.c.credit_note_id == note.c.id),
        )
        .group_by(note.c.invoice_id)
    )
    unnamed = {row.invoice_id: int(row.minor) for row in rows}
    kept = _kept_before(session, set(unnamed))
    return {
        key: max(unnamed[invoice_id] - kept.get(invoice_id, 0), 0)
        for key, invoice_id in invoices.items()
        if invoice_id in unnamed
    }


def _kept_before(session: AnySession, invoice_ids: set[int]) -> dict[int, int]:
    """Return what boxes that were kept back gave, by invoice, where their note names none."""
    wish, box, line = table_of(LateChange), table_of(Box), table_of(InvoiceLine)
    note = table_of(CreditNote)
    rows = session.execute(
        sa.select(line.c.invoice_id, sa.func.sum(wish.c.credit_minor).label("minor"))
        .join(box, box.c.id == wish.c.box_id)
        .join(line, line.c.id == box.c.invoice_line_id)
        .where(
            line.c.invoice_id.in_(invoice_ids),
            wish.c.state == "accepted",
            wish.c.kind == "keep_back",
            ~sa.exists().where(note.c.box_id == box.c.id),
        )
        .group_by(line.c.invoice_id)
    )
    return {row.invoice_id: int(row.minor) for row in rows}


def _of_box(
    facts: RefundFacts, lines: Sequence[Refundable], row: AnyRow, worth: BoxWorth
) -> dict[int, int]:
    groups = paying_for(facts, lines, row.invoice_line_id)
    left = sum(one.left for one in groups if one.head.id not in worth.others)
    return shared_out(min(worth.left_minor, left), groups, worth) or {}


def _of_addition(
    session: AnySession, facts: RefundFacts, lines: Sequence[Refundable], box_ids: list[int]
) -> dict[int, dict[int, int]]:
    """Return what is left of an addition to these boxes, by box and line."""
    if not box_ids:
        return {}
    part, addition = table_of(BoxAdditionBox), table_of(BoxAddition)
    note, lacks = table_of(CreditNote), table_of(BoxShortage)
    rest: dict[int, int] = defaultdict(int)
    for row in session.execute(
        sa.select(part.c.box_id, part.c.gross_minor)
        .join(addition, addition.c.id == part.c.addition_id)
        .where(addition.c.invoice_id == facts.invoice.id, part.c.returned_at.is_(None))
    ):
        rest[row.box_id] += row.gross_minor
    for key, minor in session.execute(
        sa.select(lacks.c.box_id, lacks.c.credit_minor)
        .join(note, note.c.id == lacks.c.credit_note_id)
        .where(note.c.invoice_id == facts.invoice.id)
        .union_all(
            sa.select(note.c.box_id, note.c.total_minor).where(
                note.c.invoice_id == facts.invoice.id,
                note.c.box_id.is_not(None),
                ~sa.exists().where(lacks.c.credit_note_id == note.c.id),
            )
        )
    ):
        rest[key] -= minor
    open_ = [one for one in lines if one.left]
    lefts = [one.left for one in open_]
    found = {}
    for key in box_ids:
        minor = min(max(rest[key], 0), sum(lefts))
        shares = split_minor(minor, lefts)
        found[key] = {one.head.id: n for one, n in zip(open_, shares, strict=True) if n}
    return found
