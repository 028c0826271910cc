"""Give back what was paid for additions to boxes that are not sent after all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.invoices import CreditReason
from storefront.domain.money import split_minor
from storefront.domain.refunds import Way, refundables
from storefront.domain.repaying import draw, most_of
from storefront.models import BoxAddition, BoxAdditionBox, Invoice
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.refund_facts import RefundFacts, read_refund
from storefront.operations.refunding import give_parts_back, sources_of


def added_worth(session: AnySession, box_ids: Sequence[int]) -> int:
    """Return what ``return_additions`` would give back for these boxes, in minor units."""
    return sum(
        min(sum(row.gross_minor for row in rows), _left_of(facts))
        for facts, rows in _found(session, box_ids)
        if _way_of(facts) is not None
    )


def return_additions(session: AnySession, box_ids: Sequence[int], moment: Moment) -> None:
    """Credit what was paid for additions to these boxes to who paid it, once.

    To the card where the payment can carry it, else as credit. What the customer's bank took
    back already stays as it is.
    """
    part = table_of(BoxAdditionBox)
    for facts, rows in _found(session, box_ids, for_update=True):
        way = _way_of(facts)
        if way is None:
            continue
        session.execute(
            sa.update(part)
            .where(part.c.id.in_([row.id for row in rows]))
            .values(returned_at=moment.now)
        )
        amount = min(sum(row.gross_minor for row in rows), _left_of(facts))
        if amount:
            _give(session, facts, amount, way, moment)


def _found(
    session: AnySession, box_ids: Sequence[int], *, for_update: bool = False
) -> list[tuple[RefundFacts, list[AnyRow]]]:
    """Return the paid invoices of additions to the boxes, with the shares of these boxes."""
    table, part, invoice = table_of(BoxAddition), table_of(BoxAdditionBox), table_of(Invoice)
    rows = session.execute(
        sa.select(part.c.id, part.c.gross_minor, invoice.c.public_id.label("invoice"))
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
