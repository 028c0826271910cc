"""The boxes of a period that a paid change restarts: re-priced, and more where it got longer."""

from __future__ import annotations

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState, assign_cycles
from storefront.domain.invoices import DEFERRED_KINDS, LineKind
from storefront.domain.money import split_minor
from storefront.domain.periods import Interval
from storefront.models import Box, InvoiceLine
from storefront.models.base import public_ids, table_of
from storefront.operations.boxes import cycle_use, slots_of
from storefront.operations.bulk import insert_many
from storefront.operations.keys import AnyRow, AnySession, reserve
from storefront.operations.moment import Moment


def reshape_boxes(session: AnySession, change: AnyRow, moment: Moment) -> None:
    """Re-price the period's boxes and add those the longer period brings."""
    period_id, wanted = change.data["period_id"], change.data["boxes"]
    if not wanted:
        return
    box, line = table_of(Box), table_of(InvoiceLine)
    boxes = session.execute(
        sa.select(box.c.id, box.c.ordinal)
        .where(
            box.c.period_id == period_id,
            box.c.kind == BoxKind.REGULAR,
            box.c.state != BoxState.CANCELED,
        )
        .order_by(box.c.ordinal)
    ).all()
    sums = session.execute(
        sa.select(
            sa.func.sum(line.c.gross_minor - line.c.tax_minor).label("net"),
            sa.func.sum(line.c.tax_minor).label("tax"),
        ).where(line.c.period_id == period_id, line.c.kind.in_(DEFERRED_KINDS), ~line.c.is_void)
    ).one()
    paying = session.execute(
        sa.select(line.c.id)
        .where(line.c.invoice_id == change.invoice_id, line.c.kind == LineKind.PRORATION_CHARGE)
        .order_by(line.c.position)
        .limit(1)
    ).scalar_one()
    nets, taxes = split_minor(int(sums.net), [1] * wanted), split_minor(int(sums.tax), [1] * wanted)
    for row in boxes:
        session.execute(
            sa.update(box)
            .where(box.c.id == row.id)
            .values(
                plan_id=change.plan_id,
                invoice_line_id=paying,
                net_minor=nets[row.ordinal - 1],
                tax_minor=taxes[row.ordinal - 1],
            )
        )
    _add_boxes(session, change, len(boxes), paying, (nets, taxes), moment)


def _add_boxes(
    session: AnySession,
    change: AnyRow,
    there: int,
    paying: int,
    shares: tuple[list[int], list[int]],
    moment: Moment,
) -> None:
    extra = change.data["boxes"] - there
    if extra <= 0:
        return
    slots = slots_of(session, [change.cycle_group_id], moment.today)[change.cycle_group_id]
    use = cycle_use(session, [change.subscription_id])
    joined = assign_cycles(
        [slot for slot in slots if slot.cutoff_on >= moment.today],
        use.taken[change.subscription_id],
        use.skipped[change.subscription_id],
        extra,
        moment.today,
        start=moment.today,
        shipping=Interval(change.shipping_unit, change.shipping_count),
    )
    keys, publics = reserve(session, Box, extra), public_ids("box", extra)
    insert_many(
        session,
        Box,
        [
            {
                "id": key,
                "public_id": public,
                "subscription_id": change.subscription_id,
                "period_id": change.data["period_id"],
                "plan_id": change.plan_id,
                "options": dict(change.options),
                "quantity": change.quantity,
                "kind": BoxKind.REGULAR,
                "ordinal": ordinal,
                "cycle_id": slot.id if slot else None,
                "invoice_line_id": paying,
                "net_minor": shares[0][ordinal - 1],
                "tax_minor": shares[1][ordinal - 1],
                "currency": change.currency,
                "state": BoxState.PLANNED,
                "problem": "",
                "created_at": moment.now,
            }
            for key, public, ordinal, slot in zip(
                keys, publics, range(there + 1, there + extra + 1), joined, strict=True
            )
        ],
    )
