"""Give back what was paid for additions to boxes that are not sent after all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.invoices import CreditReason
from storefront.domain.money import split_minor
from storefront.domain.refunds import Way, refundables
from storefront.domain.repaying import draw, most_of
from storefront.models import (
    Box,
    BoxAddition,
    BoxAdditionBox,
    BoxItem,
    BoxShortage,
    CreditNote,
    Invoice,
)
from storefront.models.base import table_of
from storefront.operations.added_stock import is_open
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of


def added_worth(session: AnySession, box_ids: Sequence[int]) -> int:
    """Return what ``return_additions`` would give back for these boxes, in minor units."""
    return sum(
        min(_worth(session, facts, rows), _left_of(facts))
        for facts, rows in _found(session, box_ids)
        if _way_of(facts) is not None
    )


def return_additions(session: AnySession, box_ids: Sequence[int], moment: Moment) -> None:
    """Credit what was paid for additions to these boxes to who paid it, once.

    To the card where the payment can carry it, else as credit; less what went back for pieces
    that had run out, or by staff for that box. While the customer's bank has the money nothing
    is given: call ``return_undisputed`` when the shop has it again.
    """
    for facts, rows in _found(session, box_ids, for_update=True):
        _note_returned(session, [row.id for row in rows], moment)
        way = _way_of(facts)
        amount = min(_worth(session, facts, rows), _left_of(facts))
        if amount and way is not None:
            _give(session, facts, amount, way, moment)


def return_undisputed(session: AnySession, invoice_id: int, moment: Moment) -> None:
    """Give back what a dispute kept of an addition's invoice for boxes that were not sent.

    Nothing while a dispute goes on or is lost, and nothing twice.
    """
    invoice, part, table = table_of(Invoice), table_of(BoxAdditionBox), table_of(BoxAddition)
    rows = session.execute(
        sa.select(part.c.box_id, part.c.gross_minor, invoice.c.public_id.label("invoice"))
        .join(table, table.c.id == part.c.addition_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(
            table.c.invoice_id == invoice_id,
            table.c.state == "applied",
            part.c.returned_at.is_not(None),
        )
    ).all()
    if not rows:
        return
    facts = read_refund(session, rows[0].invoice, for_update=True)
    way = _way_of(facts)
    if way is None:
        return
    # What went back of it, but for single boxes which were sent or will be.
    given = int(facts.invoice.credited_minor) - _given_for(session, invoice_id)
    given += _given_for(session, invoice_id, [row.box_id for row in rows])
    amount = min(sum(row.gross_minor for row in rows) - given, _left_of(facts))
    if amount > 0:
        _give(session, facts, amount, way, moment)


def take_out(session: AnySession, invoice_id: int, moment: Moment) -> int:
    """Take what this invoice put into boxes out of those that are still open; returns the boxes.

    Its money went back, or the bank took it. What is packed goes out.
    """
    rows = _lying(session, invoice_id)
    for row in rows:
        if row.variant_id is not None:
            _lower(session, row.box_id, row.variant_id, row.quantity)
    _note_returned(session, [row.id for row in rows], moment)
    return len({row.box_id for row in rows})


def open_boxes_of(session: AnySession, invoice_id: int) -> int:
    """Return how many boxes ``take_out`` would take something out of."""
    return len({row.box_id for row in _lying(session, invoice_id)})


def _lying(session: AnySession, invoice_id: int) -> list[AnyRow]:
    """Return the shares of an addition's invoice in boxes that are open, locked for us."""
    table, part, box = table_of(BoxAddition), table_of(BoxAdditionBox), table_of(Box)
    return list(
        session.execute(
            sa.select(part.c.id, part.c.box_id, table.c.variant_id, table.c.quantity)
            .join(table, table.c.id == part.c.addition_id)
            .join(box, box.c.id == part.c.box_id)
            .where(
                table.c.invoice_id == invoice_id,
                table.c.state == "applied",
                part.c.returned_at.is_(None),
                is_open(box),
            )
            .order_by(box.c.id, part.c.id)
            .with_for_update(of=box)
        )
    )


def _lower(session: AnySession, box_id: int, variant_id: int, pieces: int) -> None:
    item = table_of(BoxItem)
    mine = sa.and_(item.c.box_id == box_id, item.c.variant_id == variant_id)
    session.execute(sa.delete(item).where(mine, item.c.quantity <= pieces))
    session.execute(
        sa.update(item)
        .where(mine, item.c.quantity > pieces)
        .values(quantity=item.c.quantity - pieces)
    )


def _note_returned(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    part = table_of(BoxAdditionBox)
    session.execute(sa.update(part).where(part.c.id.in_(ids)).values(returned_at=moment.now))


def _worth(session: AnySession, facts: RefundFacts, rows: Sequence[AnyRow]) -> int:
    """Return what the shares ``rows`` cost, less what went back for these boxes before."""
    before = _given_for(session, facts.invoice.id, [row.box_id for row in rows])
    return max(sum(int(row.gross_minor) for row in rows) - before, 0)


def _given_for(session: AnySession, invoice_id: int, box_ids: Sequence[int] | None = None) -> int:
    """Return what went back on the invoice for boxes that are sent, of all of them or these.

    For pieces that had run out, and what staff gave back for one box.
    """
    lacks, note = table_of(BoxShortage), table_of(CreditNote)
    short = (
        sa.select(lacks.c.box_id, lacks.c.credit_minor.label("minor"))
        .join(note, note.c.id == lacks.c.credit_note_id)
        .where(note.c.invoice_id == invoice_id)
    )
    named = sa.select(note.c.box_id, note.c.total_minor).where(
        note.c.invoice_id == invoice_id,
        note.c.box_id.is_not(None),
        ~sa.exists().where(lacks.c.credit_note_id == note.c.id),
    )
    both = short.union_all(named).subquery()
    statement = sa.select(sa.func.coalesce(sa.func.sum(both.c.minor), 0))
    if box_ids is not None:
        statement = statement.where(both.c.box_id.in_(box_ids))
    return int(session.scalar(statement) or 0)


def _found(
    session: AnySession, box_ids: Sequence[int], *, for_update: bool = False
) -> list[tuple[RefundFacts, list[AnyRow]]]:
    """Return the paid invoices of additions to the boxes, with the shares of these boxes."""
    table, part, invoice = table_of(BoxAddition), table_of(BoxAdditionBox), table_of(Invoice)
    rows = session.execute(
        sa.select(
            part.c.id, part.c.box_id, part.c.gross_minor, invoice.c.public_id.label("invoice")
        )
        .join(table, table.c.id == part.c.addition_id)
        .join(invoice, invoice.c.id == table.c.invoice_id)
        .where(part.c.box_id.in_(box_ids), part.c.returned_at.is_(None), table.c.state == "applied")
        .order_by(invoice.c.id, part.c.id)
    )
    own: dict[str, list[AnyRow]] = defaultdict(list)
    for row in rows:
        own[row.invoice].append(row)
    return [(read_refund(session, ref, for_update=for_update), parts) for ref, parts in own.items()]


def _left_of(facts: RefundFacts) -> int:
    return min(
        sum(one.left for one in refundables(facts.lines)),
        max((most_of(sources_of(facts, way)) for way in (Way.CARD, Way.CREDIT)), default=0),
    )


def _way_of(facts: RefundFacts) -> Way | None:
    """Return how all that is left can go back; None while the customer's bank has the money."""
    if facts.is_disputed:
        return None
    whole = sum(one.left for one in refundables(facts.lines))
    return Way.CARD if most_of(sources_of(facts, Way.CARD)) >= whole else Way.CREDIT


def _give(session: AnySession, facts: RefundFacts, amount: int, way: Way, moment: Moment) -> None:
    groups = [one for one in refundables(facts.lines) if one.left]
    shares = split_minor(amount, [one.left for one in groups])
    wanted = {one.head.id: minor for one, minor in zip(groups, shares, strict=True) if minor}
    parts = draw(sources_of(facts, way), wanted)
    reason = CreditReason.REFUND
    notes = give_parts_back(session, facts, parts, way, reason, moment)
    payload = {
        "invoice": facts.invoice.public_id,
        "credit_note": notes[0],
        "way": way.value,
        "amount_minor": amount,
        "currency": facts.invoice.currency,
    }
    key = f"mail:refunded:{notes[0]}"
    told = Message("mail", "refunded", key, payload, facts.invoice.payer_id)
    enqueue(session, [told], moment.now)
