"""Hold subscriptions and let them go, and put parked renewals back: what only a person decides."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa

from storefront.database import retrying
from storefront.domain.charging import AttemptState
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import ENDED, HoldReason, SubscriptionState
from storefront.domain.mismatches import AMOUNT_MISMATCH
from storefront.domain.privacy import mask_card_numbers
from storefront.domain.refunds import NO_ANSWER
from storefront.models import ChargeAttempt, ParkedWork, Refund, Subscription
from storefront.models.base import table_of
from storefront.operations import audit, gateway_states
from storefront.operations.audit import Who
from storefront.operations.disputes_over import release_disputed
from storefront.operations.keys import AnyRow
from storefront.operations.lateness import let_late_go
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime

#: Rows per transaction when many are let go at once.
BATCH = 200


class UnknownSubscription(DomainError):
    """There is no such subscription."""

    code = "unknown_subscription"


class AlreadyEnded(DomainError):
    """The subscription has ended; there is nothing to hold."""

    code = "already_ended"


class NeedsDecision(DomainError):
    """A payment over another amount than asked waits; ``payment`` must be decided first."""

    code = "needs_decision"


def hold(rt: Runtime, who: Who, subscription: str, note: str) -> bool:
    """Neither bill nor pack a subscription until it is let go; False if it is held already.

    Raises ``UnknownSubscription`` or ``AlreadyEnded``.
    """

    def change() -> bool:
        row = _load(rt, subscription)
        if SubscriptionState(row.state) in ENDED:
            raise AlreadyEnded(subscription=subscription)
        if row.held_at is not None:
            rt.session.rollback()
            return False
        moment, words = rt.moment(), mask_card_numbers(note)[:500]
        values = {"held_at": moment.now, "hold_reason": HoldReason.STAFF}
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
        data = {"reason": HoldReason.STAFF.value, "note": words}
        entry = _entry(row, EventKind.SUBSCRIPTION_HELD, who, data)
        record(rt.session, [entry], moment)
        audit.write(
            rt.session, who.id, "subscription.held", row.public_id, {}, data, moment, who.ip
        )
        rt.session.commit()
        return True

    return decide_again(rt.session, change)


def release(rt: Runtime, who: Who, subscription: str) -> bool:
    """Let one held subscription go; what fell due meanwhile is due now. False if not held.

    What fell due while a dispute held it is left out, as after one that was won.
    Raises ``UnknownSubscription``.
    """

    def change() -> bool:
        row = _load(rt, subscription)
        if row.held_at is None:
            rt.session.rollback()
            return False
        before = {"held_at": row.held_at, "reason": row.hold_reason}
        moment = rt.moment()
        if row.hold_reason == HoldReason.DISPUTE:
            release_disputed(rt.session, row.id, who.public_id, moment)
        else:
            _let_go(rt, who, [row])
        audit.write(
            rt.session, who.id, "subscription.released", row.public_id, before, {}, moment, who.ip
        )
        rt.session.commit()
        return True

    return decide_again(rt.session, change)


def release_outage(rt: Runtime, who: Who) -> int:
    """Let everything go that waited because the worker was down; returns how many.

    What fell due until now and is not set aside yet goes on, too. In batches of their own
    transactions, so that charging may begin while this still runs.
    """

    retrying(rt.session, partial(_let_late_go, rt, who))
    rt.forget_shop()

    def some() -> int:
        table = table_of(Subscription)
        rows = rt.session.execute(
            sa.select(table)
            .where(table.c.held_at.is_not(None), table.c.hold_reason == HoldReason.OUTAGE)
            .order_by(table.c.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        if rows:
            _let_go(rt, who, rows)
            told = {"released": len(rows), "first": rows[0].public_id, "last": rows[-1].public_id}
            audit.write(
                rt.session, who.id, "outage.released", "shop", {}, told, rt.moment(), who.ip
            )
        rt.session.commit()
        return len(rows)

    done = 0
    while found := decide_again(rt.session, some):
        done += found
    return done


def _let_late_go(rt: Runtime, who: Who) -> None:
    moment = rt.moment()
    before = let_late_go(rt.session, moment)
    after = {"late_released_at": moment.now}
    audit.write(rt.session, who.id, "late.released", "shop", before, after, moment, who.ip)
    rt.session.commit()


def try_again(rt: Runtime, who: Who, parked_id: int) -> bool:
    """Put a parked renewal back into the run; False when it is back already.

    Only renewals wait on their row, a refund without an answer is asked for once more, and a
    gateway that was stopped is sent to again; other kinds of parked work are merely marked as seen.
    Raises ``NeedsDecision`` for a payment that only a decision about its amount settles.
    """

    def change() -> bool:
        table, moment = table_of(ParkedWork), rt.moment()
        work = rt.session.execute(
            sa.update(table)
            .where(table.c.id == parked_id, table.c.resolved_at.is_(None))
            .values(resolved_at=moment.now, resolved_by=who.public_id)
            .returning(table.c.kind, table.c.subject, table.c.reason)
        ).one_or_none()
        if work is None:
            rt.session.rollback()
            return False
        if work.kind == "renewal":
            _unpark(rt, work.subject)
        elif work.kind == NO_ANSWER:
            _look_up_again(rt, work.subject)
        elif work.kind == gateway_states.PARKED_KIND:
            gateway_states.let_go_on(rt.session, work.subject)
        elif work.reason == AMOUNT_MISMATCH and _is_unknown(rt, work.subject):
            raise NeedsDecision(payment=work.subject)
        before = {"kind": work.kind, "reason": work.reason}
        audit.write(
            rt.session, who.id, "parked.tried_again", work.subject, before, {}, moment, who.ip
        )
        rt.session.commit()
        return True

    return decide_again(rt.session, change)


def _unpark(rt: Runtime, subscription: str) -> None:
    """Due as it was, but not counted as an outage: a person has looked at it now."""
    row = _load(rt, subscription)
    if row.parked_at is None:
        return
    values = {"parked_at": None, "renews_at": _due(rt, row)}
    change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])


def _look_up_again(rt: Runtime, refund: str) -> None:
    table = table_of(Refund)
    rt.session.execute(
        sa.update(table)
        .where(table.c.public_id == refund, table.c.state == AttemptState.SUCCEEDED)
        .values(check_at=rt.now())
    )


def _is_unknown(rt: Runtime, payment: str) -> bool:
    table = table_of(ChargeAttempt)
    unsettled = table.c.state == AttemptState.UNKNOWN
    found = sa.select(table.c.id).where(table.c.public_id == payment, unsettled)
    return rt.session.scalar(found) is not None


def _let_go(rt: Runtime, who: Who, rows: Sequence[AnyRow]) -> None:
    moment = rt.moment()
    changes = [
        SubscriptionChange(
            row.id,
            row.version,
            {"held_at": None, "hold_reason": None, "renews_at": _due(rt, row)},
        )
        for row in rows
    ]
    change_subscriptions(rt.session, changes)
    entries = [
        _entry(row, EventKind.SUBSCRIPTION_RELEASED, who, {"reason": row.hold_reason})
        for row in rows
    ]
    record(rt.session, entries, moment)


def _due(rt: Runtime, row: AnyRow) -> Any:
    """Return when the clock looks at it next: as before, but not in the past."""
    return None if row.renews_at is None else max(row.renews_at, rt.now())


def _load(rt: Runtime, subscription: str) -> AnyRow:
    table = table_of(Subscription)
    row = rt.session.execute(
        sa.select(table).where(table.c.public_id == subscription).with_for_update()
    ).one_or_none()
    if row is None:
        raise UnknownSubscription(subscription=subscription)
    return row


def _entry(row: AnyRow, kind: EventKind, who: Who, data: dict[str, Any]) -> Entry:
    return Entry(row.id, row.public_id, kind, Actor.STAFF, who.public_id, data)
