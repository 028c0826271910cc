"""The counts of the admin's first page and the lists behind them.

A count and its list are made from one and the same condition, so they always agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storefront.database import AnySession
from storefront.domain.boxes import BoxState
from storefront.domain.charging import AttemptState
from storefront.domain.invoices import InvoiceState
from storefront.domain.lifecycle import HoldReason, SubscriptionState
from storefront.domain.money import Money
from storefront.models import (
    Box,
    ChargeAttempt,
    DunningCase,
    GatewayState,
    Invoice,
    JobRun,
    OutboxMessage,
    ParkedWork,
    Price,
    Shipment,
    Subscription,
)
from storefront.models.base import table_of
from storefront.operations.guard import Announced, times
from storefront.operations.moment import Moment
from storefront.queries import (
    card_tries,
    declarations,
    gifts,
    inquiries,
    late_changes,
    returns,
    unserved,
    unshipped,
)
from storefront.queries.extra_drafts import old_drafts
from storefront.queries.worklist_rows import (
    of_attempts,
    of_boxes,
    of_invoices,
    of_subscriptions,
    of_waiting,
)

#: A payment whose result is not known after this long needs a person.
UNKNOWN_AFTER = timedelta(hours=1)
#: The worker is late when something has been due for this long.
LATE_AFTER = timedelta(minutes=10)
#: Rows of a list; a longer one says so.
MOST = 200


@dataclass(frozen=True, slots=True)
class Counted:
    """How many, and how much money hangs on them."""

    count: int
    sum: Money | None = None
    #: Since when the oldest of them waits.
    since: datetime | None = None


def since_yesterday(moment: Moment) -> datetime:
    """Return the first instant of the shop's yesterday."""
    return moment.start_of(moment.today - timedelta(days=1))


def counts(session: AnySession, moment: Moment, currency: str) -> dict[str, Counted]:
    """Count everything in one statement."""
    since = since_yesterday(moment)
    parts = []
    for code, make in COUNTS.items():
        part = make(moment, since).subquery()
        parts.append(
            sa.select(
                sa.func.count().label(f"{code}_count"),
                sa.func.sum(part.c.minor).label(f"{code}_sum"),
                sa.func.min(part.c.at).label(f"{code}_at"),
            )
            .select_from(part)
            .subquery()
        )
    joined_parts: sa.FromClause = parts[0]
    for part in parts[1:]:
        joined_parts = joined_parts.join(part, sa.true())
    columns = [column for part in parts for column in part.c]
    row = session.execute(sa.select(*columns).select_from(joined_parts)).one()._mapping
    return {
        code: Counted(
            row[f"{code}_count"],
            Money(int(row[f"{code}_sum"]), currency) if row[f"{code}_sum"] is not None else None,
            row[f"{code}_at"],
        )
        for code in COUNTS
    }


def _nothing() -> sa.ColumnElement[Any]:
    return sa.literal(None, sa.BigInteger).label("minor")


def priced() -> tuple[sa.Table, sa.Table, sa.ColumnElement[Any]]:
    """Return subscription, price, and what one period is worth at list price."""
    subscription, price = table_of(Subscription), table_of(Price)
    worth = (price.c.amount_minor * subscription.c.quantity).label("minor")
    return subscription, price, worth


def outage(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Subscriptions that wait because the worker was down."""
    subscription, price, worth = priced()
    return (
        sa.select(subscription.c.id, worth, subscription.c.renews_at.label("at"))
        .join(price, price.c.id == subscription.c.price_id)
        .where(subscription.c.held_at.is_not(None), subscription.c.hold_reason == HoldReason.OUTAGE)
    )


def late(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Renewals that should have run by now."""
    subscription, price, worth = priced()
    return (
        sa.select(subscription.c.id, worth, subscription.c.renews_at.label("at"))
        .join(price, price.c.id == subscription.c.price_id)
        .where(
            subscription.c.renews_at < moment.now - LATE_AFTER,
            subscription.c.held_at.is_(None),
            subscription.c.parked_at.is_(None),
        )
    )


def unknown(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Payments whose result nobody knows after an hour."""
    attempt = table_of(ChargeAttempt)
    return sa.select(
        attempt.c.id, attempt.c.amount_minor.label("minor"), attempt.c.sent_at.label("at")
    ).where(
        attempt.c.state.in_([AttemptState.UNKNOWN, AttemptState.SENT]),
        attempt.c.sent_at < moment.now - UNKNOWN_AFTER,
    )


def waiting_charges(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Planned charges that the guard has not let go for an hour."""
    attempt = table_of(ChargeAttempt)
    return sa.select(
        attempt.c.id, attempt.c.amount_minor.label("minor"), attempt.c.created_at.label("at")
    ).where(
        attempt.c.state == AttemptState.PLANNED,
        attempt.c.created_at < moment.now - UNKNOWN_AFTER,
    )


def stopped(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Gateways to which nothing is sent before a person looked."""
    state = table_of(GatewayState)
    return sa.select(state.c.id, _nothing(), state.c.stopped_at.label("at")).where(
        state.c.stopped_at.is_not(None)
    )


def parked(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Rows that failed and wait for a person."""
    work = table_of(ParkedWork)
    return sa.select(work.c.id, _nothing(), work.c.parked_at.label("at")).where(
        work.c.resolved_at.is_(None)
    )


def box_problems(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Paid boxes that cannot be packed, or not be exported, as they are."""
    box = table_of(Box)
    return sa.select(
        box.c.id, (box.c.net_minor + box.c.tax_minor).label("minor"), box.c.created_at.label("at")
    ).where(
        box.c.problem != "",
        box.c.state.in_([BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED]),
    )


def dead(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Messages that were given up."""
    message = table_of(OutboxMessage)
    return sa.select(message.c.id, _nothing(), message.c.created_at.label("at")).where(
        message.c.state == "dead"
    )


def failed_jobs(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Jobs whose last run ended with an error."""
    run = table_of(JobRun)
    return sa.select(run.c.job.label("id"), _nothing(), run.c.started_at.label("at")).where(
        run.c.error != ""
    )


def joined(_moment: Moment, since: datetime) -> sa.Select[Any]:
    """Subscriptions that began."""
    subscription = table_of(Subscription)
    return sa.select(
        subscription.c.id,
        subscription.c.mrr_minor.label("minor"),
        subscription.c.created_at.label("at"),
    ).where(
        subscription.c.created_at >= since,
        subscription.c.state.not_in([SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED]),
    )


def left(_moment: Moment, since: datetime) -> sa.Select[Any]:
    """Subscriptions that were cancelled, whether they have ended yet or not."""
    subscription = table_of(Subscription)
    return sa.select(
        subscription.c.id,
        subscription.c.mrr_minor.label("minor"),
        subscription.c.canceled_at.label("at"),
    ).where(subscription.c.canceled_at >= since)


def _answered(state: AttemptState, since: datetime) -> sa.Select[Any]:
    attempt = table_of(ChargeAttempt)
    return sa.select(
        attempt.c.id, attempt.c.amount_minor.label("minor"), attempt.c.answered_at.label("at")
    ).where(attempt.c.state == state, attempt.c.answered_at >= since)


def paid(_moment: Moment, since: datetime) -> sa.Select[Any]:
    """Charges that succeeded."""
    return _answered(AttemptState.SUCCEEDED, since)


def declined(_moment: Moment, since: datetime) -> sa.Select[Any]:
    """Charges that the bank declined."""
    return _answered(AttemptState.DECLINED, since)


def shipped(_moment: Moment, since: datetime) -> sa.Select[Any]:
    """Boxes that left the house."""
    box, shipment = table_of(Box), table_of(Shipment)
    return (
        sa.select(box.c.id, _nothing(), shipment.c.shipped_at.label("at"))
        .join(shipment, shipment.c.id == box.c.shipment_id)
        .where(shipment.c.shipped_at >= since)
    )


def overdue(moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Invoices whose transfer should have come by now."""
    invoice = table_of(Invoice)
    return sa.select(
        invoice.c.id, invoice.c.due_minor.label("minor"), invoice.c.finalised_at.label("at")
    ).where(
        invoice.c.state == InvoiceState.OPEN,
        invoice.c.pay_by == "bank",
        invoice.c.due_on < moment.today,
    )


def past_due(_moment: Moment, _since: datetime) -> sa.Select[Any]:
    """Invoices whose charge did not go through and that are tried again."""
    invoice, case = table_of(Invoice), table_of(DunningCase)
    return (
        sa.select(invoice.c.id, invoice.c.due_minor.label("minor"), case.c.opened_at.label("at"))
        .join(case, case.c.invoice_id == invoice.c.id)
        .where(case.c.state == "open")
    )


#: Code -> what is counted: (id, minor, at) of each row.
COUNTS: dict[str, Callable[[Moment, datetime], sa.Select[Any]]] = {
    "outage": outage,
    "late": late,
    "stopped": stopped,
    "unknown": unknown,
    "waiting": waiting_charges,
    "parked": parked,
    "overdue": overdue,
    "past_due": past_due,
    "boxes": box_problems,
    "returned": returns.came_back,
    "unshipped": unshipped.not_shipped,
    "unserved": unserved.waiting,
    "gifts": gifts.unclaimed,
    "asked": late_changes.waiting,
    "declared": declarations.waiting,
    "inquiries": inquiries.waiting,
    "dead": dead,
    "drafts": old_drafts,
    "failed": failed_jobs,
    "declines": card_tries.declined,
    "new": joined,
    "left": left,
    "paid": paid,
    "declined": declined,
    "shipped": shipped,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list behind a count."""

    #: Whom it is about; empty when nobody is left.
    customer: str
    name: str
    #: What it is about: a plan, or an invoice's number.
    about: str
    state: str
    detail: str
    amount: Money | None
    at: datetime | None
    #: Public ids of the cycle of a box (or batch) and of itself, empty otherwise.
    cycle: str = ""
    box: str = ""


def listed(
    session: AnySession, code: str, moment: Moment, announced: Announced = ()
) -> list[Listed]:
    """Return the first ``MOST`` rows behind the count ``code``, the oldest first.

    ``announced`` are the gateways that require a notice before a debit.

    Raises ``KeyError`` for a count that has a page of its own.
    """
    since = since_yesterday(moment)
    part = COUNTS[code](moment, since).subquery()
    chosen = of_waiting(part, announced) if code == "waiting" else _LISTS[code](part)
    rows = session.execute(chosen.order_by(part.c.at, part.c.id).limit(MOST), times(moment))
    return [
        Listed(
            row.customer or "",
            row.name or "",
            row.about or "",
            str(getattr(row.state, "value", row.state) or ""),
            row.detail or "",
            Money(int(row.minor), row.currency) if row.minor is not None else None,
            row.at,
            row.cycle or "",
            row._mapping.get("box", ""),
        )
        for row in rows
    ]


_LISTS: dict[str, Callable[[sa.Subquery], sa.Select[Any]]] = {
    "outage": of_subscriptions,
    "late": of_subscriptions,
    "unknown": of_attempts,
    "waiting": of_attempts,
    "overdue": of_invoices,
    "past_due": of_invoices,
    "boxes": of_boxes,
    "returned": of_boxes,
    "unshipped": unshipped.of_batches,
    "unserved": of_subscriptions,
    "gifts": gifts.of_unclaimed,
    "new": of_subscriptions,
    "left": of_subscriptions,
    "paid": of_attempts,
    "declined": of_attempts,
    "shipped": of_boxes,
}
#: Counts with a list of their own here; the others lead to other pages.
LISTS = frozenset(_LISTS)
