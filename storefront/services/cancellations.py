"""Cancel a subscription for the end of its paid time, and take that back.

The click counts, not the mail: from the commit on nothing new is charged. What is paid still
ships. What is owed for boxes that were not sent is credited at once, and then nothing is left
to wait for, so the subscription ends the same day. Source: docs/decisions/0026-leaving.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storefront.domain.boxes import boxes_per_period
from storefront.domain.commitment import boxes_owed, obliged_until
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.least_terms import least_allowed
from storefront.domain.lifecycle import BILLABLE, ENDED, EndReason, SubscriptionState
from storefront.domain.money import Money
from storefront.domain.privacy import mask_card_numbers
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.changes import open_changes, withdraw_open
from storefront.operations.endings import Ending, end_subscriptions
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.outbox import Message, enqueue
from storefront.operations.sent_unpaid import drop_unsent, dropped_of
from storefront.operations.skips import Coming, read_coming
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.tiling import open_invoices
from storefront.operations.timeline import Entry, record
from storefront.runtime import Runtime


class NotFound(DomainError):
    """No such subscription of this customer."""

    code = "not_found"


class NotStarted(DomainError):
    """The sign-up was never paid for; there is nothing to cancel."""

    code = "not_started"


class CancelTooLate(DomainError):
    """The subscription has ended, on ``ended_on``; a cancellation cannot be taken back."""

    code = "cancel_too_late"


@dataclass(frozen=True, slots=True)
class Cancellation:
    """What cancelling means, before (``quote_cancellation``) or after it."""

    subscription: str
    #: First day not served.
    ends_on: date
    #: True: it ends with the click, because nothing paid is left to wait for.
    at_once: bool
    #: Ship days of paid boxes that still leave; None where the day is not known yet.
    boxes: tuple[date | None, ...]
    #: What was owed for boxes not sent and is dropped; None when nothing was.
    dropped: Money | None = None
    #: Invoices that stay due, because their boxes have left: number and what is owed.
    stays_due: tuple[tuple[str, Money], ...] = ()
    #: A charge is on its way to the bank; if it succeeds it is sent back.
    in_flight: bool = False
    #: When the click came; None in a quote.
    received_at: datetime | None = None
    #: False when it was cancelled already.
    changed: bool = True
    #: Boxes agreed to at least, and how many of them are still to be charged and sent.
    min_boxes: int = 0
    boxes_owed: int = 0


def quote_cancellation(rt: Runtime, customer_id: int, subscription: str) -> Cancellation:
    """Say what ``cancel`` would do now, without doing it. Raises ``NotFound``, ``NotStarted``."""
    coming = _load(rt, customer_id, subscription)
    paying = _pays_change(open_changes(rt.session, coming.row.id))
    owed = open_invoices(rt.session, coming.row.id)
    found = _cancellation(
        coming, owed, rt.moment(), dropped_of(rt.session, owed, coming.row.id), pays_change=paying
    )
    rt.session.rollback()
    return found


def cancel(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    *,
    why: str = "",
    note: str = "",
    actor: Actor = Actor.CUSTOMER,
    early: Who | None = None,
) -> Cancellation:
    """Cancel; a second click gives the same answer. Raises ``NotFound``, ``NotStarted``.

    A change of plan that waits goes too, also one that is being paid; undoing the
    cancellation does not bring it back.
    Somebody who agreed to a least number of boxes leaves after the last of them, and is billed
    until then; ``early`` is the staff user who lets them go before, which is audited.
    ``why`` is a short code and ``note`` free words of somebody leaving; both may be empty.
    """

    def change() -> Cancellation:
        coming = _load(rt, customer_id, subscription, for_update=True)
        row, moment = coming.row, rt.moment()
        if SubscriptionState(row.state) in ENDED or row.cancel_on is not None:
            found = _cancellation(coming, [], moment, {})
            rt.session.rollback()
            return found
        changes = open_changes(rt.session, row.id)
        if changes:
            # Nobody who leaves is moved to another plan, nor charged for it.
            withdraw_open(rt.session, changes, moment)
            coming = _load(rt, customer_id, subscription, for_update=True)
            row = coming.row
        owed = open_invoices(rt.session, row.id)
        outcome = _cancellation(
            coming,
            owed,
            moment,
            dropped_of(rt.session, owed, row.id),
            pays_change=_pays_change(changes),
            early=early is not None,
        )
        values = _planned(rt, row, outcome, moment, early)
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
        data = {"ends_on": outcome.ends_on.isoformat()}
        if why or note:
            data |= {"why": why[:24], "note": mask_card_numbers(note)[:500]}
        record(
            rt.session, [_entry(row, EventKind.SUBSCRIPTION_CANCEL_PLANNED, actor, data)], moment
        )
        if outcome.at_once:
            _end_now(rt, row, owed, actor, moment)
        _confirm(rt, row, outcome, moment)
        rt.session.commit()
        return outcome

    return decide_again(rt.session, change)


def undo_cancel(
    rt: Runtime, customer_id: int, subscription: str, actor: Actor = Actor.CUSTOMER
) -> bool:
    """Take a cancellation back while the subscription still runs; False if there was none.

    Raises ``NotFound`` or ``CancelTooLate``.
    """

    def change() -> bool:
        coming = _load(rt, customer_id, subscription, for_update=True)
        row, moment = coming.row, rt.moment()
        if SubscriptionState(row.state) in ENDED:
            raise CancelTooLate(ended_on=row.ended_on)
        if row.cancel_on is None:
            rt.session.rollback()
            return False
        if row.cancel_on <= moment.today:
            raise CancelTooLate(ended_on=row.cancel_on)
        bills = SubscriptionState(row.state) in BILLABLE
        waits = bool(open_invoices(rt.session, row.id))
        values = {
            "cancel_on": None,
            "canceled_at": None,
            "renews_at": moment.start_of(row.next_on) if bills and not waits else None,
        }
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
        record(rt.session, [_entry(row, EventKind.SUBSCRIPTION_CANCEL_UNDONE, actor, {})], moment)
        rt.session.commit()
        return True

    return decide_again(rt.session, change)


def _load(rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = False) -> Coming:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=for_update)
    if not found:
        raise NotFound(subscription=subscription)
    if found[0].row.state in (SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED):
        raise NotStarted(subscription=subscription)
    return found[0]


def _planned(
    rt: Runtime, row: AnyRow, outcome: Cancellation, moment: Moment, early: Who | None
) -> dict[str, Any]:
    """Return what a cancellation changes before it takes effect."""
    values: dict[str, Any] = {"canceled_at": moment.now}
    if outcome.min_boxes < row.min_boxes:
        values["min_boxes"] = outcome.min_boxes
    if early is not None and row.min_boxes:
        values["min_boxes"] = 0
        before, after = {"min_boxes": row.min_boxes}, {"min_boxes": 0}
        audit.write(
            rt.session,
            early.id,
            "subscription.let_go_early",
            row.public_id,
            before,
            after,
            moment,
            early.ip,
        )
    if not outcome.at_once:
        values["cancel_on"] = outcome.ends_on
        if not outcome.boxes_owed:
            values["renews_at"] = moment.start_of(outcome.ends_on)
    return values


def _pays_change(changes: list[AnyRow]) -> bool:
    return any(one.in_flight for one in changes)


def _cancellation(
    coming: Coming,
    owed: list[AnyRow],
    moment: Moment,
    shares: Mapping[int, int],
    *,
    pays_change: bool = False,
    early: bool = False,
) -> Cancellation:
    row = coming.row
    state = SubscriptionState(row.state)
    ended = state in ENDED
    least = _least(coming)
    to_come = 0 if ended or early else boxes_owed(row.boxes_billed, least)
    paused = state is SubscriptionState.PAUSED
    # Nothing that is paid is left to wait for.
    nothing_left = bool(owed) or row.next_on <= moment.today or paused
    over = ended or (nothing_left and not to_come)
    if to_come:
        owed = []
    usual = _obliged_until(coming, to_come) or (moment.today if over else row.next_on)
    day = row.ended_on if ended else row.cancel_on or usual
    dropped = sum(shares[one.id] for one in owed)
    staying = [(one, left) for one in owed if (left := one.due_minor - shares[one.id]) > 0]
    kept = {one.id for one, _ in staying}
    places = [box.cycle for box in coming.standing.paid]
    return Cancellation(
        row.public_id,
        day or moment.today,
        over,
        tuple(sorted((p.ship_from if p else None for p in places), key=lambda d: d or date.max)),
        Money(dropped, row.currency) if dropped else None,
        tuple((_number(one), Money(minor, row.currency)) for one, minor in staying),
        # One for what stays due pays that.
        pays_change or any(one.in_flight for one in owed if one.id not in kept),
        row.canceled_at or moment.now,
        not ended and row.cancel_on is None,
        least,
        to_come,
    )


def _number(invoice: AnyRow) -> str:
    return f"{invoice.prefix or ''}{invoice.number}"


def _least(coming: Coming) -> int:
    """Return how many boxes bind where the customer lives now, which may be less than agreed."""
    row, standing = coming.row, coming.standing
    each = standing.shipping if row.ships else standing.billing
    return least_allowed(row.min_boxes, each, row.country or "", row.region or "")


def _obliged_until(coming: Coming, owed: int) -> date | None:
    row, standing = coming.row, coming.standing
    per_period = boxes_per_period(standing.billing, standing.shipping) if row.ships else 1
    start = max(row.next_on, row.anchor_on)
    return obliged_until(start, standing.billing, row.anchor_day, owed, per_period)


def _end_now(rt: Runtime, row: AnyRow, owed: list[AnyRow], actor: Actor, moment: Moment) -> None:
    """Credit what is owed for boxes not sent and end the subscription, in this transaction.

    A charge that is on its way stays open until the gateway has answered; its invoice is
    void by then, so a success is surplus and goes back.
    """
    drop_unsent(rt.session, owed, row.id, moment, rt.minimums)
    ending = Ending(
        row.id,
        row.version + 1,
        EndReason.VOLUNTARY,
        moment.today,
        actor,
        tells_customer=False,
    )
    end_subscriptions(rt.session, [ending], moment)


def _entry(row: AnyRow, kind: EventKind, actor: Actor, data: dict[str, str]) -> Entry:
    return Entry(row.id, row.public_id, kind, actor, data=data)


def _confirm(rt: Runtime, row: AnyRow, outcome: Cancellation, moment: Moment) -> None:
    payload = {
        "subscription": row.public_id,
        "ends_on": outcome.ends_on.isoformat(),
        "received_at": moment.now.isoformat(),
        "boxes": [day.isoformat() for day in outcome.boxes if day],
        "dropped_minor": outcome.dropped.minor if outcome.dropped else 0,
        "currency": row.currency,
        "stays_due": [[number, money.minor] for number, money in outcome.stays_due],
        "in_flight": outcome.in_flight,
        "min_boxes": outcome.min_boxes,
        "boxes_owed": outcome.boxes_owed,
    }
    key = f"mail:cancel_confirmed:{row.public_id}:{moment.now:%Y%m%dT%H%M%S}"
    enqueue(
        rt.session,
        [Message("mail", "cancel_confirmed", key, payload, row.customer_id)],
        moment.now,
    )
