"""What a box that is not sent gives back of what was paid with its period.

What came once lies in the first box of its period, so that box alone gives it back.
Source: docs/decisions/0209-the-money-of-one-box.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind
from storefront.domain.invoices import DEFERRED_KINDS
from storefront.domain.money import split_minor
from storefront.domain.refunds import Refundable, spread
from storefront.models import Box, BoxAddition, BoxShortage, CreditNote, Invoice, InvoiceLine
from storefront.models.base import table_of
from storefront.operations.addon_lines import addon_lines
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.refund_facts import RefundFacts


@dataclass(frozen=True, slots=True)
class BoxWorth:
    """What a box cost, ``given_minor`` of which went back before.

    ``alone`` are lines of its period that pay for this box alone, ``others`` for another one.
    """

    minor: int
    given_minor: int = 0
    alone: frozenset[int] = frozenset()
    others: frozenset[int] = frozenset()

    @property
    def left_minor(self) -> int:
        """What goes back when the box is not sent."""
        return max(self.minor - self.given_minor, 0)


def paying_for(facts: RefundFacts, lines: Sequence[Refundable], line_id: int) -> list[Refundable]:
    """Return which of the invoice's ``lines`` paid for the boxes of a line's period, that first.

    As ``settling.paid_period`` shares it out over them.
    """
    period = next(one.period_id for one in facts.lines if one.id == line_id)
    mine, beside = [], []
    for one in lines:
        if line_id in {each.id for each in one.members}:
            mine.append(one)
        elif period is not None and one.head.period_id == period:
            beside += [one] if one.head.kind in DEFERRED_KINDS else []
    return mine + beside


def in_order(amount: int, groups: Sequence[Refundable]) -> dict[int, int] | None:
    """Take it from these lines, the first as far as it goes; None: too little is left."""
    lefts = [one.left for one in groups]
    if amount > sum(lefts):
        return None
    parts = zip(groups, spread(amount, lefts), strict=True)
    return {one.head.id: part for one, part in parts if part}


def shared_out(amount: int, groups: Sequence[Refundable], worth: BoxWorth) -> dict[int, int] | None:
    """Split what a box gives back over the lines that paid for it; None: too little is left.

    First what was paid for it alone, the rest on all others as they are left.
    """
    alone = [one for one in groups if one.head.id in worth.alone]
    beside = [one for one in groups if one.head.id not in worth.alone | worth.others]
    first = min(amount, sum(one.left for one in alone))
    lefts = [one.left for one in beside]
    if amount - first > sum(lefts):
        return None
    shares = zip(beside, split_minor(amount - first, lefts), strict=True)
    return (in_order(first, alone) or {}) | {one.head.id: part for one, part in shares if part}


def worth_of(session: AnySession, boxes: Sequence[AnyRow]) -> dict[int, BoxWorth]:
    """Return what each of ``boxes`` (rows of ``box``) cost; statements: some for any number."""
    once: dict[int, dict[int, int]] = defaultdict(dict)
    for line in addon_lines(session, {box.period_id for box in boxes}):
        if line.comes_once:
            once[line.period_id][line.id] = line.paid_minor
    shares = _shares(session, {period: sum(own.values()) for period, own in once.items()})
    given = credited_before(session, [box.id for box in boxes])
    found = {}
    for box in boxes:
        own = once.get(box.period_id, {})
        minor = box.net_minor + box.tax_minor
        is_first = box.ordinal == 1
        if minor:
            minor += sum(own.values()) * is_first - shares.get(box.id, 0)
        lines = frozenset(own), frozenset[int]()
        alone, others = lines if is_first else reversed(lines)
        found[box.id] = BoxWorth(max(minor, 0), given[box.id], alone, others)
    return found


def credited_before(session: AnySession, box_ids: Sequence[int]) -> Counter[int]:
    """Return what of the price of each box went back for it before, in minor units.

    For what it lacks, and what staff gave back for this box since what pays for it was paid:
    what went back before a change of plan, that left off. Not what went back on the invoices
    of additions: those are no part of that price, and give back the rest of theirs alone.
    """
    lacks, note, apart = table_of(BoxShortage), table_of(CreditNote), table_of(BoxAddition)
    box, line, invoice = table_of(Box), table_of(InvoiceLine), table_of(Invoice)
    of_the_price = ~sa.exists().where(apart.c.invoice_id == note.c.invoice_id)
    short = (
        sa.select(lacks.c.box_id, lacks.c.credit_minor.label("minor"))
        .join(note, note.c.id == lacks.c.credit_note_id)
        .where(lacks.c.box_id.in_(box_ids), of_the_price)
    )
    named = (
        sa.select(note.c.box_id, note.c.total_minor)
        .join(box, box.c.id == note.c.box_id)
        .join(line, line.c.id == box.c.invoice_line_id)
        .join(invoice, invoice.c.id == line.c.invoice_id)
        .where(
            note.c.box_id.in_(box_ids),
            note.c.created_at >= invoice.c.paid_at,
            ~sa.exists().where(lacks.c.credit_note_id == note.c.id),
            of_the_price,
        )
    )
    found: Counter[int] = Counter()
    for key, minor in session.execute(short.union_all(named)):
        found[key] += minor
    return found


def _shares(session: AnySession, sums: dict[int, int]) -> dict[int, int]:
    """Return, by box, its part of what came once with its period, as its price has it inside."""
    if not sums:
        return {}
    box = table_of(Box)
    boxes: dict[int, list[int]] = defaultdict(list)
    for row in session.execute(
        sa.select(box.c.id, box.c.period_id)
        .where(
            box.c.period_id.in_(list(sums)),
            box.c.kind == BoxKind.REGULAR,
            box.c.net_minor + box.c.tax_minor > 0,
        )
        .order_by(box.c.period_id, box.c.ordinal)
    ):
        boxes[row.period_id].append(row.id)
    found: dict[int, int] = {}
    for period, keys in boxes.items():
        found |= dict(zip(keys, split_minor(sums[period], [1] * len(keys)), strict=True))
    return found
