"""When money taken in advance becomes revenue: box by box, or day by day where nothing ships.

What the ledger still holds as deferred for a period is spread over what is still owed of it,
so the last box or day always takes the rest, whatever was credited, refunded or changed in
between. Source: docs/decisions/0078-when-revenue-is-earned.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import sqlalchemy as sa

from storefront.domain.boxes import BoxKind, BoxState
from storefront.domain.ledger import (
    DEFERRED_REVENUE,
    REVENUE,
    JournalKind,
    earned_days,
    earned_shares,
    next_earning,
)
from storefront.models import Box, LedgerSeal, LedgerTransfer, Subscription, SubscriptionPeriod
from storefront.models.base import table_of
from storefront.operations.bulk import update_many
from storefront.operations.keys import AnyRow, AnySelect, AnySession, any_of
from storefront.operations.ledger import Journal, Transfer, book
from storefront.operations.moment import Moment

#: Boxes whose share is still owed to their subscriber.
TO_COME = (BoxState.PLANNED, BoxState.HELD, BoxState.LOCKED, BoxState.EXPORTED)
#: To the letter as in the partial indexes, or SQLite would not use them.
_IS_DEFERRED = "(debit = 'deferred_revenue' OR credit = 'deferred_revenue')"
_BY_DAYS = (
    "box_count = 0 AND state = 'paid' AND kind IN ('billed','gift')"
    " AND (earned_on IS NULL OR earned_on < end_on)"
)


@dataclass(frozen=True, slots=True)
class EarnedBox:
    """A box that left, or that never will; its own share of the price weighs ``net_minor``."""

    id: int
    public_id: str
    period_id: int
    net_minor: int
    currency: str
    customer_id: int | None


def deferred_of(session: AnySession, period_ids: Sequence[int]) -> dict[int, int]:
    """Return what the ledger still holds as deferred revenue of each period, in minor units."""
    rows = session.execute(_deferred_statement(), {"ids": sorted(set(period_ids))})
    return {row.period_id: int(row.minor) for row in rows}


@cache
def _deferred_statement() -> AnySelect:
    table = table_of(LedgerTransfer)
    signed = sa.case(
        (table.c.credit == DEFERRED_REVENUE, table.c.amount_minor), else_=-table.c.amount_minor
    )
    return (
        sa.select(table.c.period_id, sa.func.sum(signed).label("minor"))
        .where(any_of(table.c.period_id), sa.text(_IS_DEFERRED))
        .group_by(table.c.period_id)
    )


def earn_boxes(
    session: AnySession,
    boxes: Sequence[EarnedBox],
    moment: Moment,
    kind: JournalKind = JournalKind.BOX_EARNED,
) -> None:
    """Book the revenue of boxes that are no longer owed: shipped, or forfeited by ``kind``.

    Their rows must have left the states ``TO_COME`` already. A box whose period was never
    booked as deferred (paid elsewhere, given away) books nothing. Raises ``IntegrityError``
    for a box that was booked before. Statements: a constant number for any count.
    """
    if not boxes:
        return
    periods = sorted({one.period_id for one in boxes})
    rests = deferred_of(session, periods)
    weights = _to_come(session, periods)
    per_period: dict[int, list[EarnedBox]] = defaultdict(list)
    for one in boxes:
        per_period[one.period_id].append(one)
    journals = []
    for period, own in per_period.items():
        shares = earned_shares(
            rests.get(period, 0),
            [one.net_minor for one in own],
            weights.get(period),
            forfeited=kind is JournalKind.BOX_FORFEITED,
        )
        journals += [_of_box(one, minor, kind) for one, minor in zip(own, shares, strict=True)]
    book(session, journals, moment.now)


def forfeit_boxes(session: AnySession, box_ids: Sequence[int], moment: Moment) -> None:
    """Book what was kept for boxes that were canceled: no longer owed, not given back either.

    Call it after the credit note, if there is one: what that took is not deferred any more.
    Boxes that are not canceled, or whose period was credited in full, book nothing.
    """
    if not box_ids:
        return
    box, subscription = table_of(Box), table_of(Subscription)
    rows = session.execute(
        sa.select(
            box.c.id,
            box.c.public_id,
            box.c.period_id,
            box.c.net_minor,
            box.c.currency,
            sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id).label("owner"),
        )
        .join(subscription, subscription.c.id == box.c.subscription_id)
        .where(
            box.c.id.in_(box_ids),
            box.c.state == BoxState.CANCELED,
            box.c.kind == BoxKind.REGULAR,
        )
        .order_by(box.c.id)
    )
    gone = [EarnedBox(*row) for row in rows]
    earn_boxes(session, gone, moment, JournalKind.BOX_FORFEITED)


def _to_come(session: AnySession, period_ids: Sequence[int]) -> Mapping[int, list[int]]:
    weights: dict[int, list[int]] = defaultdict(list)
    for row in session.execute(_to_come_statement(), {"ids": period_ids}):
        weights[row.period_id].append(row.net_minor)
    return weights


@cache
def _to_come_statement() -> AnySelect:
    table = table_of(Box)
    return sa.select(table.c.period_id, table.c.net_minor).where(
        any_of(table.c.period_id), table.c.kind == BoxKind.REGULAR, table.c.state.in_(TO_COME)
    )


def _of_box(one: EarnedBox, minor: int, kind: JournalKind) -> Journal:
    transfer = Transfer(
        DEFERRED_REVENUE,
        REVENUE,
        minor,
        one.currency,
        one.customer_id,
        None,
        one.period_id,
        one.id,
    )
    return Journal(kind, one.public_id, (transfer,))


def earn_days(session: AnySession, moment: Moment, limit: int) -> int:
    """Book the days that passed of paid periods that ship nothing; returns how many periods.

    Booked when a month is over and when a period ends, dated to the last second before; at
    most ``limit`` periods, one step each: call it until it returns 0. A day of the ledger
    that is sealed already takes no more rows; then the booking is dated right after it.
    """
    rows = _due_periods(session, moment, limit)
    if not rows:
        return 0
    rests = _owed_by_days(session, [row.id for row in rows])
    sealed = session.scalar(sa.select(sa.func.max(table_of(LedgerSeal).c.day)))
    steps: dict[date, list[Journal]] = defaultdict(list)
    done = []
    for row in rows:
        since = row.earned_on or row.start_on
        until = next_earning(since, row.end_on)
        minor, currency, invoice = rests.get(row.id, (0, "", None))
        earned = earned_days(max(minor, 0), since, until, row.end_on)
        transfer = Transfer(DEFERRED_REVENUE, REVENUE, earned, currency, row.owner, invoice, row.id)
        reference = f"{row.public_id}:{until.isoformat()}"
        steps[until].append(Journal(JournalKind.DAYS_EARNED, reference, (transfer,)))
        done.append({"earned_on": until, "id": row.id, "end_on": row.end_on})
    if update_many(session, SubscriptionPeriod, done, where=("id", "end_on")) != len(rows):
        raise RuntimeError("a period changed while its days were booked")
    for until, journals in steps.items():
        book(session, journals, _dated(until, moment, sealed))
    return len(rows)


def _due_periods(session: AnySession, moment: Moment, limit: int) -> list[AnyRow]:
    period, subscription = table_of(SubscriptionPeriod), table_of(Subscription)
    since = sa.func.coalesce(period.c.earned_on, period.c.start_on)
    due = (
        sa.select(period.c.id)
        .where(
            sa.text(_BY_DAYS),
            sa.or_(period.c.end_on <= moment.today, since < moment.today.replace(day=1)),
        )
        # In the order of the partial index, or SQLite would walk the whole table by its keys.
        .order_by(period.c.end_on, period.c.earned_on, period.c.id)
        .limit(limit)
    )
    if session.get_bind().dialect.name == "postgresql":
        due = due.with_for_update(skip_locked=True)
    ids = list(session.scalars(due))
    if not ids:
        return []
    statement = (
        sa.select(
            period.c.id,
            period.c.start_on,
            period.c.end_on,
            period.c.earned_on,
            subscription.c.public_id,
            sa.func.coalesce(subscription.c.payer_id, subscription.c.customer_id).label("owner"),
        )
        .join(subscription, subscription.c.id == period.c.subscription_id)
        .where(period.c.id.in_(ids))
        .order_by(period.c.id)
    )
    return list(session.execute(statement))


def _owed_by_days(
    session: AnySession, period_ids: Sequence[int]
) -> dict[int, tuple[int, str, int | None]]:
    """Return what is deferred of each period, its currency, and an invoice it came with."""
    table = table_of(LedgerTransfer)
    rows = session.execute(
        sa.select(
            table.c.period_id,
            sa.func.max(table.c.currency).label("currency"),
            sa.func.max(table.c.invoice_id).label("invoice_id"),
        )
        .where(table.c.period_id.in_(period_ids), sa.text(_IS_DEFERRED))
        .group_by(table.c.period_id)
    ).all()
    rests = deferred_of(session, period_ids)
    return {
        row.period_id: (rests.get(row.period_id, 0), row.currency, row.invoice_id) for row in rows
    }


def _dated(until: date, moment: Moment, sealed: date | None) -> datetime:
    """Return the last second before ``until``, or the first that no seal covers."""
    wanted = moment.start_of(until) - timedelta(seconds=1)
    if sealed is None:
        return wanted
    return max(wanted, datetime.combine(sealed + timedelta(days=1), time(), UTC))
