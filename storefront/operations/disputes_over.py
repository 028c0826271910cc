"""Go on after a dispute, or end: boxes come back, what fell due meanwhile is left out.

Source: docs/decisions/0125-disputes.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import BoxState, next_boundary
from storefront.domain.disputes import MISSED, NothingToEnd, NothingToResume
from storefront.domain.events import Actor, EventKind
from storefront.domain.gateways import DisputeState
from storefront.domain.lifecycle import (
    BILLABLE,
    ENDED,
    HoldReason,
    PeriodKind,
    PeriodState,
    SubscriptionState,
)
from storefront.domain.packing import Problem
from storefront.domain.periods import Interval
from storefront.models import (
    Box,
    BoxCycle,
    ChargeAttempt,
    Dispute,
    InvoiceLine,
    Subscription,
    SubscriptionPeriod,
)
from storefront.models.base import table_of
from storefront.operations.added_back import take_out
from storefront.operations.audit import Who
from storefront.operations.carrying import Minimums
from storefront.operations.cycles import UNLOCKED, mark_shipped
from storefront.operations.disputes import subscriptions_of, subscriptions_where
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import may_stop
from storefront.operations.stopping import cancel_boxes, stop_now
from storefront.operations.subscriptions import SubscriptionChange, change_subscriptions
from storefront.operations.timeline import Entry, record


def read_dispute(session: AnySession, public: str) -> AnyRow:
    """Return a dispute with its invoice, locked for us. Raises ``LookupError``."""
    table, attempt = table_of(Dispute), table_of(ChargeAttempt)
    statement = (
        sa.select(table, attempt.c.invoice_id)
        .join(attempt, attempt.c.id == table.c.attempt_id)
        .where(table.c.public_id == public)
    )
    if session.get_bind().dialect.name == "postgresql":
        statement = statement.with_for_update(of=table)
    row = session.execute(statement).one_or_none()
    if row is None:
        raise LookupError(public)
    return row


def resume(
    session: AnySession, dispute: AnyRow, actor: Actor, actor_ref: str, moment: Moment
) -> list[str]:
    """Let everything go that the dispute holds; returns the subscriptions that go on.

    No period that fell due meanwhile is charged: it becomes a skipped one. What another open
    dispute holds as well stays held. Raises ``NothingToResume``.
    """
    held = [
        row
        for row in subscriptions_of(session, dispute.invoice_id)
        if row.hold_reason == HoldReason.DISPUTE
    ]
    elsewhere = _held_by_others(session, dispute.id, [row.id for row in held])
    rows = [row for row in held if row.id not in elsewhere]
    if not held or (dispute.state == DisputeState.WON and dispute.resumed_at and not rows):
        raise NothingToResume(dispute=dispute.public_id)
    table = table_of(Dispute)
    session.execute(sa.update(table).where(table.c.id == dispute.id).values(resumed_at=moment.now))
    let_go(session, rows, actor, actor_ref, moment)
    return [row.public_id for row in rows]


def let_go(
    session: AnySession, rows: Sequence[AnyRow], actor: Actor, actor_ref: str, moment: Moment
) -> None:
    """Release the subscriptions ``rows`` of ``subscriptions_of``, each at its own next period."""
    entries = []
    for row in rows:
        values = {"held_at": None, "hold_reason": None, **_pass_over(session, row, moment)}
        change_subscriptions(session, [SubscriptionChange(row.id, row.version, values)])
        data = {"reason": HoldReason.DISPUTE.value}
        kind = EventKind.SUBSCRIPTION_RELEASED
        entries.append(Entry(row.id, row.public_id, kind, actor, actor_ref, data))
        if values.get("next_on", row.next_on) != row.next_on:
            skipped = {"from": row.next_on.isoformat(), "reason": MISSED}
            kind = EventKind.SUBSCRIPTION_SKIPPED
            entries.append(Entry(row.id, row.public_id, kind, actor, actor_ref, skipped))
    _give_boxes_back(session, [row.id for row in rows], moment)
    record(session, entries, moment)


def end(
    session: AnySession, dispute: AnyRow, who: Who, minimums: Minimums, moment: Moment
) -> list[str]:
    """End every subscription on the disputed invoice now; its own unsent boxes are canceled.

    Boxes that other payments brought go out, without what the disputed one put into those that
    are not packed yet. Raises ``NothingToEnd``.
    """
    rows = subscriptions_of(session, dispute.invoice_id)
    running = [
        row
        for row in rows
        if SubscriptionState(row.state) not in ENDED and row.state != SubscriptionState.INCOMPLETE
    ]
    held = [row for row in rows if row.hold_reason == HoldReason.DISPUTE]
    if not running and not held:
        raise NothingToEnd(dispute=dispute.public_id)
    stop_now(session, running, who, moment, minimums)
    cancel_boxes(session, _boxes_of(session, dispute.invoice_id), who, moment)
    take_out(session, dispute.invoice_id, moment)
    elsewhere = _held_by_others(session, dispute.id, [row.id for row in held])
    freed = [row.id for row in held if row.id not in elsewhere]
    table, subscription = table_of(Dispute), table_of(Subscription)
    session.execute(
        sa.update(subscription)
        .where(subscription.c.id.in_(freed))
        .values(held_at=None, hold_reason=None, version=subscription.c.version + 1)
    )
    _give_boxes_back(session, freed, moment)
    session.execute(sa.update(table).where(table.c.id == dispute.id).values(resumed_at=moment.now))
    return [row.public_id for row in running]


def release_disputed(session: AnySession, subscription_id: int, staff: str, moment: Moment) -> None:
    """Let one subscription go that disputes hold, as a member of the staff decided."""
    table, attempt, line = table_of(Dispute), table_of(ChargeAttempt), table_of(InvoiceLine)
    mine = (
        sa.select(attempt.c.id)
        .join(line, line.c.invoice_id == attempt.c.invoice_id)
        .where(line.c.subscription_id == subscription_id)
    )
    session.execute(
        sa.update(table)
        .where(table.c.attempt_id.in_(mine), table.c.resumed_at.is_(None), table.c.amount_minor > 0)
        .values(resumed_at=moment.now)
    )
    rows = subscriptions_where(session, table_of(Subscription).c.id == subscription_id)
    let_go(session, rows, Actor.STAFF, staff, moment)


def _held_by_others(session: AnySession, dispute_id: int, ids: Sequence[int]) -> set[int]:
    """Return those of the subscriptions that another undecided dispute holds too."""
    table, attempt, line = table_of(Dispute), table_of(ChargeAttempt), table_of(InvoiceLine)
    return set(
        session.scalars(
            sa.select(line.c.subscription_id)
            .join(attempt, attempt.c.invoice_id == line.c.invoice_id)
            .join(table, table.c.attempt_id == attempt.c.id)
            .where(
                line.c.subscription_id.in_(ids),
                table.c.id != dispute_id,
                table.c.state == DisputeState.OPEN,
                table.c.amount_minor > 0,
                table.c.resumed_at.is_(None),
            )
        )
    )


def _pass_over(session: AnySession, row: AnyRow, moment: Moment) -> dict[str, Any]:
    """Write what fell due before today as skipped periods; returns the values that follow."""
    if row.renews_at is None:
        # Ended, or an invoice is open: what was missed is left out when that is paid.
        return {}
    if SubscriptionState(row.state) not in BILLABLE:
        return {"renews_at": max(row.renews_at, moment.now)}
    spans = _missed(row, moment.today)
    if not spans:
        return {"renews_at": max(row.renews_at, moment.now)}
    session.execute(
        sa.insert(table_of(SubscriptionPeriod)),
        [
            {
                "subscription_id": row.id,
                "number": row.next_number + place,
                "kind": kind,
                "state": PeriodState.PAID,
                "start_on": start,
                "end_on": stop,
                "billed_number": 0,
                "plan_id": row.plan_id,
                "price_id": row.price_id,
                "box_count": 0,
                "mrr_minor": 0,
                "reason": MISSED if kind is PeriodKind.SKIPPED else "",
                "opened_at": moment.now,
            }
            for place, (kind, start, stop) in enumerate(spans)
        ],
    )
    last = spans[-1][2]
    return {
        "next_on": last,
        "next_number": row.next_number + len(spans),
        "renews_at": max(moment.start_of(last), moment.now),
    }


def _missed(row: AnyRow, today: date) -> list[tuple[PeriodKind, date, date]]:
    """Return (kind, start, end) of the periods whose first day is over, up to an end or pause."""
    billing = Interval(row.unit, row.unit_count)
    length = Interval(row.shipping_unit, row.shipping_count) if row.ships else billing
    stops = [day for day in (row.cancel_on, row.pauses_on, row.ends_on) if day is not None]
    spans = []
    start = row.next_on
    while start < today and not any(stop <= start for stop in stops):
        if start < row.anchor_on:
            kind, stop = PeriodKind.FREE, row.anchor_on
        else:
            kind, stop = PeriodKind.SKIPPED, next_boundary(start, length, row.anchor_day)
        spans.append((kind, start, stop))
        start = stop
    return spans


def _give_boxes_back(session: AnySession, ids: Sequence[int], moment: Moment) -> None:
    """Let held boxes go on: packed ones are as before, others wait in a cycle still open."""
    table, cycle = table_of(Box), table_of(BoxCycle)
    rows = session.execute(
        sa.select(table.c.id, table.c.cycle_id, table.c.locked_at, cycle.c.state, cycle.c.lock_on)
        .outerjoin(cycle, cycle.c.id == table.c.cycle_id)
        .where(
            table.c.subscription_id.in_(ids),
            table.c.state == BoxState.HELD,
            table.c.problem == Problem.HELD.value,
        )
    ).all()
    packed = [row.id for row in rows if row.locked_at is not None]
    late = [row for row in rows if row.locked_at is None and _is_late(row, moment.today)]
    rest = [row.id for row in rows if row.locked_at is None and not _is_late(row, moment.today)]
    for keys, values in (
        (packed, {"state": BoxState.LOCKED, "problem": ""}),
        (rest, {"state": BoxState.PLANNED, "problem": ""}),
        # The planning of cycles seats it in the next one that is free.
        ([row.id for row in late], {"state": BoxState.PLANNED, "problem": "", "cycle_id": None}),
    ):
        session.execute(sa.update(table).where(table.c.id.in_(keys)).values(values))
    for left in {row.cycle_id for row in late}:
        mark_shipped(session, left)


def _is_late(row: AnyRow, today: date) -> bool:
    return row.cycle_id is not None and (row.state not in UNLOCKED or row.lock_on < today)


def _boxes_of(session: AnySession, invoice_id: int) -> list[AnyRow]:
    box, line = table_of(Box), table_of(InvoiceLine)
    mine = sa.select(line.c.id).where(line.c.invoice_id == invoice_id)
    return list(
        session.execute(
            sa.select(box.c.id)
            .where(
                box.c.invoice_line_id.in_(mine),
                may_stop(box),
                box.c.batch_id.is_(None),
            )
            .order_by(box.c.id)
        )
    )
