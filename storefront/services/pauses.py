"""Pause a subscription until a day or until its customer comes back, and go on again.

A pause makes no invoice and no box. What is paid ships, unless it is held back by choice. What
is open and unpaid is decided at once by the plan's policy. The renewal run opens and closes the
pause; here it is only wanted, changed and ended. Source: docs/decisions/0088-pauses.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from storefront.database import reading
from storefront.domain.boxes import slot_for
from storefront.domain.errors import DomainError
from storefront.domain.events import Actor, EventKind
from storefront.domain.invoices import CreditReason
from storefront.domain.lifecycle import ENDED, PeriodKind, PeriodState, SubscriptionState
from storefront.domain.metrics import MovementKind
from storefront.domain.money import Money
from storefront.domain.pauses import (
    BOXES_OFFERED,
    LONGEST_DAYS,
    NotPausable,
    NotResumable,
    boundary_from,
    ends_of_pause,
)
from storefront.models import Subscription
from storefront.models.base import table_of
from storefront.operations import audit
from storefront.operations.audit import Who
from storefront.operations.changes import open_changes
from storefront.operations.credits import credit_invoices
from storefront.operations.keys import AnyRow
from storefront.operations.moment import Moment
from storefront.operations.sent_unpaid import dropped_of
from storefront.operations.skips import MOVABLE, Coming, read_coming, skip_cycle
from storefront.operations.subscriptions import (
    SubscriptionChange,
    change_subscriptions,
    decide_again,
)
from storefront.operations.tiling import last_period, may_start_on, open_invoices, start_next_on
from storefront.operations.timeline import Entry, MrrChange, move, record
from storefront.runtime import Runtime


class NotFound(DomainError):
    """No such subscription of this customer."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class PauseQuote:
    """What a pause would mean now, or how one that is wanted stands. Days are shop-local."""

    subscription: str
    #: planned: wanted, not begun; paused; or empty.
    stands: str
    #: First day of the pause, and the days on which it may end by itself.
    starts_on: date
    ends: tuple[date, ...]
    #: When it ends by itself; None: when the customer comes back.
    resumes_on: date | None
    #: Ship days of paid boxes that still leave; None where the day is not known yet.
    boxes: tuple[date | None, ...]
    #: Whether some of them can be held back until the pause is over.
    can_hold: bool
    #: What is owed, and what becomes of it: credited, or kept.
    unpaid: Money | None
    drops_unpaid: bool


@dataclass(frozen=True, slots=True)
class ResumeQuote:
    """When a paused subscription can go on; ``today`` says why that is not offered, if not."""

    subscription: str
    #: Next boundary of its grid: its next payment, nothing else moves.
    grid_on: date
    #: Empty: it may start again today; else calendar, taken or too_soon.
    why_not_today: str
    today: date


def quote_pause(rt: Runtime, customer_id: int, subscription: str) -> PauseQuote:
    """Say what pausing means now. Raises ``NotFound`` or ``NotPausable``."""
    with reading():
        try:
            coming = _load(rt, customer_id, subscription)
            return _quote(rt, coming)
        finally:
            rt.session.rollback()


def pause(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    until: date | None,
    *,
    hold_boxes: bool = False,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> PauseQuote:
    """Pause until the first boundary on ``until`` or later, None: until further notice.

    A pause that is wanted or runs already gets its new end. ``hold_boxes`` moves paid boxes
    behind the pause. Returns how it stands then. Raises ``NotFound`` or ``NotPausable``.
    """

    def change() -> PauseQuote:
        coming = _load(rt, customer_id, subscription, for_update=True)
        quote = _quote(rt, coming)
        end = _end(quote, coming, until, rt.today())
        if hold_boxes and end is None:
            raise NotPausable(reason="hold_open")
        row, moment = coming.row, rt.moment()
        if row.state == SubscriptionState.PAUSED:
            values = _prolonged(rt, coming, end, moment)
        elif quote.drops_unpaid:
            values = _drop_and_pause(rt, coming, end, moment)
        else:
            values = {"pauses_on": quote.starts_on, "resumes_on": end}
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
        if hold_boxes and end is not None:
            _hold_boxes(rt, customer_id, subscription, quote.starts_on, end)
        data = {"from": quote.starts_on.isoformat(), "until": end.isoformat() if end else ""}
        _note(rt, row, data, actor, who)
        found = _quote(rt, _load(rt, customer_id, subscription))
        rt.session.commit()
        return found

    return decide_again(rt.session, change)


def drop_pause(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    *,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> bool:
    """Take back a pause that has not begun; False when none waits. Raises ``NotFound``."""

    def change() -> bool:
        row = _load(rt, customer_id, subscription, for_update=True).row
        if row.pauses_on is None or row.state == SubscriptionState.PAUSED:
            rt.session.rollback()
            return False
        values = {"pauses_on": None, "resumes_on": None}
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
        _note(rt, row, {"from": "", "until": ""}, actor, who)
        rt.session.commit()
        return True

    return decide_again(rt.session, change)


def quote_resume(rt: Runtime, customer_id: int, subscription: str) -> ResumeQuote:
    """Say when it could go on. Raises ``NotFound`` or ``NotResumable``."""
    with reading():
        try:
            return _resume_quote(rt, _load(rt, customer_id, subscription))
        finally:
            rt.session.rollback()


def resume(
    rt: Runtime,
    customer_id: int,
    subscription: str,
    *,
    today: bool = False,
    actor: Actor = Actor.CUSTOMER,
    who: Who | None = None,
) -> date:
    """Go on at the next boundary of the grid, or ``today`` with a new one; returns the day.

    Nothing is charged here: the renewal run bills that day, as it bills every other.
    Raises ``NotFound`` or ``NotResumable``.
    """

    def change() -> date:
        coming = _load(rt, customer_id, subscription, for_update=True)
        quote, row, moment = _resume_quote(rt, coming), coming.row, rt.moment()
        if today and quote.why_not_today:
            raise NotResumable(reason=quote.why_not_today)
        day = moment.today if today else quote.grid_on
        values = _restarted(rt, coming, day, moment)
        if today:
            values |= {
                "anchor_on": day,
                "anchor_day": day.day,
                "anchor_number": values["next_number"],
            }
        change_subscriptions(rt.session, [SubscriptionChange(row.id, row.version, values)])
        from_on = values["pauses_on"].isoformat()
        _note(rt, row, {"from": from_on, "until": day.isoformat()}, actor, who)
        rt.session.commit()
        return day

    return decide_again(rt.session, change)


def _load(rt: Runtime, customer_id: int, subscription: str, *, for_update: bool = False) -> Coming:
    table = table_of(Subscription)
    which = sa.and_(table.c.public_id == subscription, table.c.customer_id == customer_id)
    found = read_coming(rt.session, which, rt.today(), for_update=for_update)
    never = (SubscriptionState.INCOMPLETE, SubscriptionState.EXPIRED)
    if not found or found[0].row.state in never:
        raise NotFound(subscription=subscription)
    return found[0]


def _quote(rt: Runtime, coming: Coming) -> PauseQuote:
    row, state = coming.row, SubscriptionState(coming.row.state)
    _check(rt, row, state)
    owed = open_invoices(rt.session, row.id)
    # A charge that is on its way decides by itself whether this box comes, and what was sent
    # stays owed.
    shares = dropped_of(rt.session, owed, row.id)
    decided = any(one.in_flight or shares[one.id] != one.share_minor for one in owed)
    drops = bool(owed) and row.pause_unpaid == "credit" and not decided
    last = last_period(rt.session, row)
    paused = state is SubscriptionState.PAUSED
    planned = row.pauses_on if row.pauses_on and not paused else None
    start = planned or max(row.next_on, row.anchor_on)
    if paused:
        start = last.start_on if _is_unpaid_time(last) else row.next_on
    elif drops:
        start = last.start_on
    ends = ends_of_pause(start, coming.standing.shipping, row.anchor_day, BOXES_OFFERED)
    places = [box.cycle for box in coming.standing.paid]
    days = sorted((p.ship_from if p else None for p in places), key=lambda d: d or date.max)
    return PauseQuote(
        row.public_id,
        "paused" if paused else "planned" if planned else "",
        start,
        tuple(day for day in ends if day >= rt.today()),
        row.resumes_on,
        tuple(days),
        not paused and bool(_holdable(coming, rt.today())),
        Money(sum(one.due_minor for one in owed), row.currency) if owed else None,
        drops,
    )


def _check(rt: Runtime, row: AnyRow, state: SubscriptionState) -> None:
    """Raise ``NotPausable`` with the reason when no pause can be had."""
    reason = ""
    if state in ENDED or row.cancel_on is not None:
        reason = "cancelled"
    elif state is SubscriptionState.TRIALING:
        reason = "trial"
    elif row.held_at is not None:
        reason = "held"
    elif any(one.invoice_id for one in open_changes(rt.session, row.id)):
        reason = "waiting"
    if reason:
        raise NotPausable(reason=reason)


def _is_unpaid_time(last: AnyRow) -> bool:
    return bool(last.kind == PeriodKind.PAUSED or last.state == PeriodState.VOID)


def _end(quote: PauseQuote, coming: Coming, until: date | None, today: date) -> date | None:
    """Return the boundary at which a pause until ``until`` ends."""
    if until is None:
        return None
    if (until - quote.starts_on).days > LONGEST_DAYS:
        raise NotPausable(reason="too_long")
    if until <= quote.starts_on or until < today:
        raise NotPausable(reason="past")
    return boundary_from(quote.starts_on, coming.standing.shipping, coming.row.anchor_day, until)


def _prolonged(rt: Runtime, coming: Coming, end: date | None, moment: Moment) -> dict[str, Any]:
    """Give a pause that runs another end; an open one is closed by whoever resumes it."""
    row = coming.row
    last = last_period(rt.session, row)
    if end is not None:
        return _restarted(rt, coming, end, moment)
    start = last.start_on if _is_unpaid_time(last) else row.next_on
    values: dict[str, Any] = {"pauses_on": start, "resumes_on": None, "renews_at": None}
    if last.kind == PeriodKind.PAUSED and row.next_on > moment.today:
        # The days to come are not decided any more.
        values |= start_next_on(rt.session, row, last, max(moment.today, start), moment)
    return values


def _restarted(rt: Runtime, coming: Coming, day: date, moment: Moment) -> dict[str, Any]:
    """Return the values with which a paused subscription goes on, on ``day``."""
    row = coming.row
    last = last_period(rt.session, row)
    start = last.start_on if _is_unpaid_time(last) else row.next_on
    if not may_start_on(last, row, day):
        raise NotResumable(reason="too_soon")
    return {
        **start_next_on(rt.session, row, last, day, moment),
        "pauses_on": row.pauses_on or min(start, day),
        "resumes_on": day,
        "renews_at": max(moment.start_of(day), moment.now),
    }


def _drop_and_pause(
    rt: Runtime, coming: Coming, end: date | None, moment: Moment
) -> dict[str, Any]:
    """Credit what is unpaid and let the pause begin with the days it was for."""
    row = coming.row
    last = last_period(rt.session, row)
    owed = [one.id for one in open_invoices(rt.session, row.id)]
    credit_invoices(rt.session, owed, CreditReason.PAUSE, moment, of=row.id, minimums=rt.minimums)
    values: dict[str, Any] = {
        "state": SubscriptionState.PAUSED,
        "pauses_on": last.start_on,
        "resumes_on": end,
        "renews_at": None,
        "mrr_minor": 0,
    }
    if end is not None:
        values |= start_next_on(rt.session, row, last, end, moment)
        values["renews_at"] = max(moment.start_of(end), moment.now)
    until = end.isoformat() if end else None
    kind = EventKind.SUBSCRIPTION_PAUSED
    record(rt.session, [Entry(row.id, row.public_id, kind, data={"until": until})], moment)
    gone = MrrChange(
        row.id,
        MovementKind.CONTRACTION,
        -row.mrr_minor,
        row.currency,
        row.now_plan_id,
        row.source,
        row.cohort,
        "pause",
        moment.today,
    )
    if row.mrr_minor:
        move(rt.session, [gone])
    return values


def _holdable(coming: Coming, today: date) -> list[int]:
    """Return the cycles of paid boxes that can still be moved."""
    return [
        box.cycle_id
        for box in coming.boxes
        if box.state in MOVABLE
        and box.cycle_id in coming.cycles
        and coming.cycles[box.cycle_id].cutoff_on >= today
    ]


def _hold_boxes(rt: Runtime, customer_id: int, subscription: str, start: date, end: date) -> None:
    """Skip every cycle of a paid box and of the pause, so that those boxes come behind it."""
    today = rt.today()
    while True:
        coming = _load(rt, customer_id, subscription, for_update=True)
        slots = coming.slots
        inside = [
            key
            for key, slot in slots.items()
            if start <= slot.feed_on < end and slot.cutoff_on >= today
        ]
        left = [key for key in _holdable(coming, today) + inside if key not in coming.skips]
        early = [key for key in left if slots[key].feed_on < end]
        if not early:
            return
        first = min(early, key=lambda key: (slots[key].ship_from, key))
        skip_cycle(rt.session, coming, first, rt.now())


def _resume_quote(rt: Runtime, coming: Coming) -> ResumeQuote:
    row, today = coming.row, rt.today()
    if row.state != SubscriptionState.PAUSED:
        raise NotResumable(reason="not_paused")
    if row.held_at is not None:
        raise NotResumable(reason="held")
    last = last_period(rt.session, row)
    shipping = coming.standing.shipping
    if last.kind == PeriodKind.PAUSED:
        grid = boundary_from(last.start_on, shipping, row.anchor_day, today)
    else:
        grid = boundary_from(row.next_on, shipping, row.anchor_day, max(today, row.next_on))
    return ResumeQuote(row.public_id, grid, _why_not_today(coming, last, today), today)


def _why_not_today(coming: Coming, last: AnyRow, today: date) -> str:
    standing = coming.standing
    if any(slot.charge_on is not None for slot in standing.cycles):
        return "calendar"
    slot = slot_for(standing.cycles, today)
    waits = any(b.cycle is None or b.cycle.lock_on >= today for b in standing.paid)
    if slot is not None and (slot.id in standing.taken or slot.id in standing.skipped or waits):
        return "taken"
    return "" if may_start_on(last, coming.row, today) else "too_soon"


def _note(rt: Runtime, row: AnyRow, data: dict[str, str], actor: Actor, who: Who | None) -> None:
    moment, kind = rt.moment(), EventKind.SUBSCRIPTION_PAUSE_PLANNED
    record(rt.session, [Entry(row.id, row.public_id, kind, actor, data=data)], moment)
    if who is not None:
        before = {
            "from": row.pauses_on.isoformat() if row.pauses_on else "",
            "until": row.resumes_on.isoformat() if row.resumes_on else "",
        }
        audit.write(rt.session, who.id, kind.value, row.public_id, before, data, moment, who.ip)
