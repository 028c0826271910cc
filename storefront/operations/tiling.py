"""Let the next period of a subscription start on another day, so that periods still tile time.

Only days nobody pays for are added or given back: a paused stretch is written or cut, and a
period whose days are given up ends earlier. Nothing is ever billed here.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.charging import OPEN_ATTEMPTS, AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import PeriodKind, PeriodState
from storefront.models import (
    ChargeAttempt,
    Invoice,
    InvoiceLine,
    NumberSeries,
    ScheduledChange,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment


def last_period(session: AnySession, row: AnyRow) -> AnyRow:
    """Return the newest period of the subscription ``row``; its end is ``row.next_on``."""
    table = table_of(SubscriptionPeriod)
    return session.execute(
        sa.select(table).where(
            table.c.subscription_id == row.id, table.c.number == row.next_number - 1
        )
    ).one()


def may_start_on(last: AnyRow, row: AnyRow, day: date) -> bool:
    """Return whether ``start_next_on`` can have the next period start on ``day``."""
    if day >= row.next_on or day > last.start_on:
        return True
    return bool(day == last.start_on and last.kind == PeriodKind.PAUSED)


def start_next_on(
    session: AnySession, row: AnyRow, last: AnyRow, day: date, moment: Moment
) -> dict[str, Any]:
    """Make the periods reach up to ``day`` exactly; returns the values that follow from it.

    Longer: the paused stretch grows, or one is added. Shorter: the last period is cut; a
    paused one that would be left without a day goes, it never had an invoice or a box.
    The caller has asked ``may_start_on`` and writes the values to the subscription.
    """
    table = table_of(SubscriptionPeriod)
    paused = last.kind == PeriodKind.PAUSED
    number = row.next_number
    if day == row.next_on:
        pass
    elif paused and day == last.start_on:
        session.execute(sa.delete(table).where(table.c.id == last.id))
        number -= 1
    elif paused or day < row.next_on:
        session.execute(sa.update(table).where(table.c.id == last.id).values(end_on=day))
    else:
        session.execute(
            sa.insert(table).values(
                subscription_id=row.id,
                number=number,
                kind=PeriodKind.PAUSED,
                state=PeriodState.PAID,
                start_on=row.next_on,
                end_on=day,
                plan_id=row.now_plan_id,
                price_id=row.now_price_id,
                reason="pause",
                opened_at=moment.now,
            )
        )
        number += 1
    return {"next_on": day, "next_number": number}


def bring_term_end(session: AnySession, subscription_id: int, before: date, day: date) -> None:
    """Have the change that waits for a term's end apply on ``day``, where the term ends now.

    Other changes keep their day: theirs was promised to the customer.
    """
    table = table_of(ScheduledChange)
    rows = session.execute(
        sa.select(table.c.id, table.c.data).where(
            table.c.subscription_id == subscription_id,
            table.c.state == "waiting",
            table.c.invoice_id.is_(None),
            table.c.effective_on > day,
            table.c.effective_on <= before,
        )
    )
    ids = [one.id for one in rows if one.data.get("after") == "term"]
    if ids:
        session.execute(sa.update(table).where(table.c.id.in_(ids)).values(effective_on=day))


def put_term_end(session: AnySession, subscription_id: int, day: date) -> None:
    """Have the change that waits for the first term's end apply on ``day``, earlier or later."""
    table = table_of(ScheduledChange)
    rows = session.execute(
        sa.select(table.c.id, table.c.data).where(
            table.c.subscription_id == subscription_id,
            table.c.state == "waiting",
            table.c.invoice_id.is_(None),
        )
    )
    ids = [one.id for one in rows if one.data.get("after") == "term"]
    if ids:
        session.execute(sa.update(table).where(table.c.id.in_(ids)).values(effective_on=day))


def open_invoices(session: AnySession, subscription_id: int) -> list[AnyRow]:
    """Return open invoices of a subscription, and whether a charge for each is on its way.

    ``due_minor`` is what is owed for this subscription, where there are others on the invoice;
    ``share_minor`` is what is credited if it leaves, more where credit pays for a part;
    ``is_shared`` says whether there are others.
    Not of something extra, charged beside its periods: that stays owed.
    """
    invoice, line, attempt = table_of(Invoice), table_of(InvoiceLine), table_of(ChargeAttempt)
    series = table_of(NumberSeries)
    on_its_way = sa.exists().where(
        attempt.c.invoice_id == invoice.c.id,
        attempt.c.state.in_(OPEN_ATTEMPTS - {AttemptState.PLANNED}),
    )
    mine = sa.exists().where(
        line.c.invoice_id == invoice.c.id,
        line.c.subscription_id == subscription_id,
        line.c.period_id.is_not(None),
        sa.not_(line.c.is_void),
    )
    others = line.alias()
    share = (
        sa.select(sa.cast(sa.func.sum(others.c.gross_minor), sa.BigInteger))
        .where(
            others.c.invoice_id == invoice.c.id,
            others.c.subscription_id == subscription_id,
            sa.not_(others.c.is_void),
        )
        .scalar_subquery()
    )
    is_shared = sa.exists().where(
        others.c.invoice_id == invoice.c.id,
        others.c.subscription_id != subscription_id,
        sa.not_(others.c.is_void),
    )
    due = sa.case(
        (sa.and_(is_shared, share < invoice.c.due_minor), share), else_=invoice.c.due_minor
    )
    return list(
        session.execute(
            sa.select(
                invoice.c.id,
                due.label("due_minor"),
                sa.case((is_shared, share), else_=invoice.c.due_minor).label("share_minor"),
                invoice.c.currency,
                invoice.c.public_id,
                invoice.c.number,
                series.c.prefix,
                invoice.c.pay_by,
                is_shared.label("is_shared"),
                invoice.c.applied_minor,
                on_its_way.label("in_flight"),
            )
            .outerjoin(series, series.c.code == invoice.c.series)
            .where(invoice.c.state == InvoiceState.OPEN, mine)
            .order_by(invoice.c.id)
        )
    )
