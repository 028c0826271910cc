"""What a decision of staff does to subscriptions: end with the paid time, or at once."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import sqlalchemy as sa

from storefront.domain.boxes import BoxState
from storefront.domain.events import Actor, EventKind
from storefront.domain.lifecycle import EndReason
from storefront.models import Box, FulfilmentBatch, Subscription
from storefront.models.base import table_of
from storefront.operations import stock
from storefront.operations.added_back import return_additions
from storefront.operations.audit import Who
from storefront.operations.carrying import Minimums
from storefront.operations.changes import open_changes, withdraw_open
from storefront.operations.earning import forfeit_boxes
from storefront.operations.endings import Ending, end_subscriptions
from storefront.operations.keys import AnyRow, AnySession
from storefront.operations.moment import Moment
from storefront.operations.refund_facts import may_stop
from storefront.operations.returns import list_again
from storefront.operations.sent_unpaid import drop_unsent
from storefront.operations.subscriptions import (
    StaleSubscription,
    SubscriptionChange,
    change_subscriptions,
)
from storefront.operations.tiling import open_invoices
from storefront.operations.timeline import Entry, record


def stop_at_period_end(
    session: AnySession, rows: Sequence[AnyRow], who: Who, moment: Moment
) -> None:
    """Let the subscriptions ``rows`` (id, public_id, version, next_on) end with their paid time.

    Changes of plan that wait are dropped, as in any cancellation.
    """
    for row in rows:
        version = _without_changes(session, row, moment)
        values = {
            "canceled_at": moment.now,
            "cancel_on": row.next_on,
            "renews_at": moment.start_of(row.next_on),
        }
        change_subscriptions(session, [SubscriptionChange(row.id, version, values)])
        data = {"ends_on": row.next_on.isoformat()}
        kind = EventKind.SUBSCRIPTION_CANCEL_PLANNED
        entry = Entry(row.id, row.public_id, kind, Actor.STAFF, who.public_id, data)
        record(session, [entry], moment)


def stop_now(
    session: AnySession,
    rows: Sequence[AnyRow],
    who: Who,
    moment: Moment,
    minimums: Minimums = MappingProxyType({}),
) -> None:
    """End the subscriptions ``rows`` today and credit what they owe for boxes not sent.

    What others on the same invoice owe is asked for, or carried under ``minimums``. A charge on
    its way stays open; its invoice is void, so a success goes back.
    """
    for row in rows:
        version = _without_changes(session, row, moment)
        drop_unsent(session, open_invoices(session, row.id), row.id, moment, minimums)
        stopped = SubscriptionChange(row.id, version, {"canceled_at": moment.now})
        change_subscriptions(session, [stopped])
        ending = Ending(
            row.id, version + 1, EndReason.STAFF, moment.today, Actor.STAFF, who.public_id
        )
        end_subscriptions(session, [ending], moment)


def cancel_boxes(session: AnySession, boxes: Sequence[AnyRow], who: Who, moment: Moment) -> None:
    """Cancel boxes that have not left, put their stock back, and book what was kept for them.

    What was put into them apart goes back to who paid for it. Call it after the credit note.
    Raises ``StaleSubscription`` when one has left meanwhile.
    """
    ids = [box.id for box in boxes]
    if not ids:
        return
    table, batch = table_of(Box), table_of(FulfilmentBatch)
    # A file is published under this lock: it is by now, or it counts its boxes anew.
    theirs = sa.select(table.c.batch_id).where(table.c.id.in_(ids))
    held = sa.select(batch.c.id).where(batch.c.id.in_(theirs)).order_by(batch.c.id)
    session.execute(held.with_for_update(key_share=True))
    gone = session.execute(
        sa.update(table)
        .where(table.c.id.in_(ids), may_stop(table))
        .values(state=BoxState.CANCELED, problem="")
        .returning(table.c.id)
    ).all()
    if len(gone) != len(ids):
        raise StaleSubscription(f"{len(ids) - len(gone)} boxes have left")
    stock.release(session, ids, moment.now, who.public_id, "refund")
    list_again(session, ids)
    return_additions(session, ids, moment)
    forfeit_boxes(session, ids, moment)


def _without_changes(session: AnySession, row: AnyRow, moment: Moment) -> int:
    """Drop changes of plan that wait; returns the version the subscription has then."""
    changes = open_changes(session, row.id)
    if not changes:
        return int(row.version)
    withdraw_open(session, changes, moment)
    table = table_of(Subscription)
    version = sa.select(table.c.version).where(table.c.id == row.id)
    return int(session.execute(version).scalar_one())
