"""Boxes that go out before they are paid, where a plan wants that of its late payers.

Made when a payment fails or will take days, not before: until then the boxes wait for the
answer, as everybody's do. Paid later, the period has its boxes already; never paid, those not yet
packed are taken back with the credit note.
Source: docs/decisions/0091-least-number-of-boxes.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.events import EventKind
from storefront.domain.lifecycle import PeriodKind, PeriodState
from storefront.models import Box, Invoice, InvoiceLine, Plan, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations.boxes import make_boxes
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.settling import lines_of, paid_period, periods_of
from storefront.operations.timeline import Entry, record


def make_unpaid_boxes(session: AnySession, invoice_ids: Sequence[int], moment: Moment) -> int:
    """Make the boxes of unpaid periods whose plans ship all the same; returns how many.

    On an invoice for several subscriptions no plan may hold its boxes.

    ``ship`` always, ``ship_once`` unless an earlier box of the subscription went unpaid.
    Doing it again makes none. Statements: a constant number for any count.
    """
    if not invoice_ids:
        return 0
    lines = lines_of(session, invoice_ids)
    rows = [row for row in periods_of(session, lines) if row.kind == PeriodKind.BILLED]
    wanted = _wanted(session, rows)
    holding = _on_hold(session, invoice_ids)
    chosen = [row for row in rows if row.id in wanted - holding]
    if not chosen:
        return 0
    own: dict[int, list[AnyRow]] = defaultdict(list)
    for line in lines:
        if line.period_id:
            own[line.period_id].append(line)
    table = table_of(Invoice)
    currencies = dict(
        session.execute(
            sa.select(table.c.id, table.c.currency).where(table.c.id.in_(invoice_ids))
        ).all()
    )
    owed = [paid_period(row, own[row.id], currencies[own[row.id][0].invoice_id]) for row in chosen]
    made = make_boxes(session, owed, moment)
    entries = [
        Entry(
            row.subscription_id,
            row.public_id,
            EventKind.BOXES_MADE_UNPAID,
            data={"period": row.number},
            ref=str(row.id),
        )
        for row in chosen
    ]
    record(session, entries, moment)
    return made


def _on_hold(session: AnySession, invoice_ids: Sequence[int]) -> set[int]:
    """Return the periods on invoices where a plan holds the boxes of late payers."""
    line, plan, period = table_of(InvoiceLine), table_of(Plan), table_of(SubscriptionPeriod)
    holding = (
        sa.select(line.c.invoice_id)
        .join(period, period.c.id == line.c.period_id)
        .join(plan, plan.c.id == period.c.plan_id)
        .where(
            line.c.invoice_id.in_(invoice_ids),
            sa.not_(line.c.is_void),
            plan.c.past_due_shipping == "hold",
        )
    )
    found = session.scalars(sa.select(line.c.period_id).where(line.c.invoice_id.in_(holding)))
    return {key for key in found if key is not None}


def _wanted(session: AnySession, rows: Sequence[AnyRow]) -> set[int]:
    """Return the periods of ``rows`` whose boxes are to be made now."""
    if not rows:
        return set()
    period, plan, box = table_of(SubscriptionPeriod), table_of(Plan), table_of(Box)
    other, earlier = period.alias(), box.alias()
    has_boxes = sa.exists().where(box.c.period_id == period.c.id, box.c.kind == BoxKind.REGULAR)
    went_unpaid = sa.exists().where(
        earlier.c.subscription_id == period.c.subscription_id,
        earlier.c.kind == BoxKind.REGULAR,
        earlier.c.state != BoxState.CANCELED,
        earlier.c.period_id == other.c.id,
        other.c.state != PeriodState.PAID,
    )
    found = session.execute(
        sa.select(period.c.id)
        .join(plan, plan.c.id == period.c.plan_id)
        .where(
            period.c.id.in_([row.id for row in rows]),
            period.c.state == PeriodState.INVOICED,
            period.c.box_count > 0,
            sa.not_(has_boxes),
            sa.or_(
                plan.c.past_due_shipping == "ship",
                sa.and_(plan.c.past_due_shipping == "ship_once", sa.not_(went_unpaid)),
            ),
        )
    )
    return set(found.scalars())
