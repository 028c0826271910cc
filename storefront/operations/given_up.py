"""What goes with invoice lines that are given up unpaid: periods, boxes, chases, uses of codes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.invoices import LineKind
from storefront.domain.lifecycle import PeriodState
from storefront.models import (
    Box,
    Coupon,
    DunningCase,
    InvoiceLine,
    PromotionCode,
    Redemption,
    SubscriptionDiscount,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.addons import give_back_addons
from storefront.operations.keys import AnySession
from storefront.operations.moment import Moment
from storefront.operations.uncounted import uncount_periods


def give_up_lines(session: AnySession, lines: Sequence[Any]) -> None:
    """Void the lines that were credited, with their periods and the boxes not packed yet."""
    line = table_of(InvoiceLine)
    # A discount line has nothing to credit: it lowers what the other lines give back.
    session.execute(
        sa.update(line)
        .where(line.c.id.in_([one.id for one in lines]))
        .values(
            is_void=True,
            credited_minor=sa.case(
                (line.c.gross_minor > 0, line.c.gross_minor), else_=line.c.credited_minor
            ),
        )
    )
    periods = {one.period_id for one in lines if one.period_id}
    if periods:
        period = table_of(SubscriptionPeriod)
        session.execute(
            sa.update(period)
            .where(period.c.id.in_(periods), period.c.state == PeriodState.INVOICED)
            .values(state=PeriodState.VOID)
        )
        box = table_of(Box)
        session.execute(
            sa.update(box)
            .where(
                box.c.period_id.in_(periods),
                box.c.kind == BoxKind.REGULAR,
                box.c.state.in_([BoxState.PLANNED, BoxState.HELD]),
                box.c.period_id.in_(
                    sa.select(period.c.id).where(period.c.state == PeriodState.VOID)
                ),
            )
            .values(state=BoxState.CANCELED)
        )
        uncount_periods(session, sorted(periods))
    addons = [one for one in lines if one.kind == LineKind.ADDON]
    if addons:
        give_back_addons(session, sorted({one.period_id for one in addons if one.period_id}))


def close_chases(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """End the chase of what is not owed any more."""
    table = table_of(DunningCase)
    session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(ids), table.c.state == "open")
        .values(state="closed", closed_at=moment.now, next_at=None)
    )


def give_uses_back(
    session: AnySession, ids: Sequence[int], moment: Moment, of: int | None = None
) -> None:
    """Give coupon uses of invoices voided before payment back, once.

    ``of`` names the subscription that leaves invoices which stay open for others.
    """
    table, discount = table_of(Redemption), table_of(SubscriptionDiscount)
    own = sa.select(discount.c.id).where(discount.c.subscription_id == of)
    mine = sa.true() if of is None else table.c.subscription_discount_id.in_(own)
    rows = session.execute(
        sa.update(table)
        .where(table.c.invoice_id.in_(ids), table.c.given_back_at.is_(None), mine)
        .values(given_back_at=moment.now)
        .returning(
            table.c.subscription_discount_id,
            table.c.coupon_id,
            table.c.promotion_code_id,
            table.c.counts,
        )
    ).all()
    if not rows:
        return
    cycles: dict[int, int] = defaultdict(int)
    uses: dict[int, int] = defaultdict(int)
    codes: dict[int, int] = defaultdict(int)
    for row in rows:
        cycles[row.subscription_discount_id] += 1
        if row.counts:
            uses[row.coupon_id] -= 1
        if row.counts and row.promotion_code_id is not None:
            codes[row.promotion_code_id] -= 1
    # NULL means for ever and stays NULL when one is added.
    _add(session, table_of(SubscriptionDiscount).c.cycles_left, cycles)
    if uses:
        _add(session, table_of(Coupon).c.used, uses)
    if codes:
        _add(session, table_of(PromotionCode).c.used, codes)


def _add(session: AnySession, column: sa.Column[Any], amounts: dict[int, int]) -> None:
    """Add each amount to ``column`` of the row with that key."""
    table = column.table
    assert isinstance(table, sa.Table)
    values: dict[Any, Any] = {column: column + sa.bindparam("amount")}
    session.connection().execute(
        sa.update(table).where(table.c.id == sa.bindparam("key")).values(values),
        [{"key": key, "amount": amount} for key, amount in amounts.items()],
    )
