"""What becomes of a subscription at the boundary of its periods."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from storefront.domain.boxes import CycleSlot, PeriodFate, next_boundary, next_period_kind
from storefront.domain.commitment import boxes_owed
from storefront.domain.lifecycle import EndReason, HoldReason
from storefront.domain.periods import Interval

#: Longer than this after it fell due, a renewal is held for the owner instead of charged.
OUTAGE_AFTER = timedelta(hours=48)
#: At most one renewal is charged per subscription in this time, however many were missed.
ONE_CHARGE_PER = timedelta(hours=24)
#: Customers are told of a first payment so many days before it.
NOTICE_DAYS = 3
#: Why a renewal waits: nothing is sent to where its next box would go; and when it looks again.
UNDELIVERABLE = "undeliverable"
UNDELIVERABLE_AGAIN = timedelta(hours=1)


class Fate(StrEnum):
    """What the run does at a boundary."""

    WAIT = "wait"
    END = "end"
    FREE = "free"
    SKIP = "skip"
    BILL = "bill"
    HOLD = "hold"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Boundary:
    """All that decides it. Days are shop-local, instants UTC.

    ``start`` is the first day no period covers. ``slot`` is the cycle a period from there
    feeds first, whatever its state; None for a plan that ships nothing, or when it is not
    generated yet. ``due_at`` is when the renewal fell due, ``last_billed_at`` when the last
    billed period was opened, ``last_paid_on`` the day the last period was paid.
    """

    start: date
    anchor_on: date
    anchor_day: int
    billing: Interval
    shipping: Interval
    today: date
    now: datetime
    due_at: datetime
    slot: CycleSlot | None = None
    taken: AbstractSet[int] = frozenset()
    skipped: AbstractSet[int] = frozenset()
    cancel_on: date | None = None
    #: Boxes agreed to at least; a cancellation takes effect when they have come.
    min_boxes: int = 0
    last_billed_at: datetime | None = None
    last_paid_on: date | None = None
    has_consent: bool = True
    #: Boxes billed so far and those the next period brings (1 where nothing ships); it ends
    #: by itself when they would be more than ``max_boxes``, or on ``ends_on``.
    boxes_billed: int = 0
    boxes_next: int = 1
    max_boxes: int | None = None
    ends_on: date | None = None
    #: The customer wants no new period from here; until ``resumes_on`` if that is known.
    is_pausing: bool = False
    resumes_on: date | None = None
    #: A trial without a payment method: its end is the end.
    is_trial_without_method: bool = False
    #: The owner has let go on what fell due until then, however late it is.
    released_at: datetime | None = None
    #: The merchant wants periods charged that were missed; their boxes come in later cycles.
    bills_missed: bool = False
    #: The day the last billed period was opened.
    last_opened_on: date | None = None
    #: Nothing is sent to where its next box would go.
    is_undeliverable: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """``end_on`` closes the period that opens; ``reason`` says why it ends, skips or is held.

    A pause whose end is not known opens no period yet: ``end_on`` is None.
    """

    fate: Fate
    end_on: date | None = None
    reason: str = ""
    #: For WAIT: when to look again; None: at the start of the boundary's day.
    wait_until: datetime | None = None


def is_pausing(pauses_on: date | None, resumes_on: date | None, start: date) -> bool:
    """Return whether a wanted pause covers the period that would start at ``start``."""
    begun = pauses_on is not None and pauses_on <= start
    return begun and (resumes_on is None or start < resumes_on)


def decide(boundary: Boundary) -> Decision:
    """Return what becomes of the period that starts at ``boundary.start``.

    In this order: not due yet, ended by the customer, over by itself (all its boxes came, its
    last day, a trial that nobody gave a payment method for), paused, days given until a fixed
    billing day, a period nobody can be served any more (the boundary passed while the last one
    was unpaid, or its box can no longer ship), skipped by the customer or by a box that moved
    there, put off while nothing is sent to its address, held without consent or after a long
    outage, one charge per 24 h, otherwise billed.
    Source: docs/decisions/0007-what-happens-at-a-boundary.md.
    """
    return _not_served(boundary) or _not_charged(boundary) or _bill(boundary)


def _not_served(boundary: Boundary) -> Decision | None:
    """Return what the customer, the plan or the calendar have decided before."""
    start = boundary.start
    if start > boundary.today:
        return Decision(Fate.WAIT)
    obliged = boxes_owed(boundary.boxes_billed, boundary.min_boxes) > 0
    if boundary.cancel_on is not None and boundary.cancel_on <= start and not obliged:
        return Decision(Fate.END, boundary.cancel_on)
    over = why_over(boundary)
    if over is not None:
        return Decision(Fate.END, start, over)
    if boundary.is_pausing:
        return Decision(Fate.PAUSE, boundary.resumes_on)
    if start < boundary.anchor_on:
        return Decision(Fate.FREE, boundary.anchor_on)
    skipped = _why_skipped(boundary)
    if not skipped:
        return None
    end = next_boundary(start, boundary.shipping, boundary.anchor_day)
    return Decision(Fate.SKIP, end, skipped)


def _not_charged(boundary: Boundary) -> Decision | None:
    """Return what keeps back a charge that is due."""
    if boundary.is_undeliverable:
        again = boundary.now + UNDELIVERABLE_AGAIN
        return Decision(Fate.WAIT, reason=UNDELIVERABLE, wait_until=again)
    if not boundary.has_consent:
        return Decision(Fate.HOLD, reason=HoldReason.NO_CONSENT)
    if is_too_late(boundary.due_at, boundary.released_at, boundary.now):
        return Decision(Fate.HOLD, reason=HoldReason.OUTAGE)
    last = boundary.last_billed_at
    if last is not None and boundary.now - last < ONE_CHARGE_PER:
        return Decision(Fate.WAIT, wait_until=last + ONE_CHARGE_PER)
    return None


def _bill(boundary: Boundary) -> Decision:
    end = next_boundary(boundary.start, boundary.billing, boundary.anchor_day)
    return Decision(Fate.BILL, end)


def is_too_late(due_at: datetime, released_at: datetime | None, now: datetime) -> bool:
    """Return whether a renewal waits for the owner, because nothing ran when it fell due."""
    if released_at is not None and due_at <= released_at:
        return False
    return now - due_at > OUTAGE_AFTER


def why_over(boundary: Boundary) -> EndReason | None:
    """Return why no period opens at the boundary or ever after, None when one does.

    A period that would bring more boxes than are left is not opened.
    """
    most, last = boundary.max_boxes, boundary.ends_on
    if most is not None and boundary.boxes_billed + boundary.boxes_next > most:
        return EndReason.COMPLETED
    if last is not None and boundary.start >= last:
        return EndReason.COMPLETED
    return EndReason.ABANDONED if boundary.is_trial_without_method else None


def _why_skipped(boundary: Boundary) -> str:
    slot = boundary.slot
    if _is_paid_late(boundary):
        return "paid_late"
    if slot is not None and not boundary.bills_missed and _is_missed(boundary, slot):
        return "missed"
    fate = next_period_kind(slot, boundary.taken, boundary.skipped)
    if fate is PeriodFate.BILLED or slot is None:
        return ""
    return "skip" if slot.id in boundary.skipped else "moved_box"


def _is_paid_late(boundary: Boundary) -> bool:
    """Return whether the boundary passed while the period before it was unpaid.

    One that we opened late ourselves is no fault of the customer: who wants missed periods
    charged has that one charged as well.
    """
    start, opened = boundary.start, boundary.last_opened_on
    if boundary.last_paid_on is None or boundary.last_paid_on <= start:
        return False
    return not (boundary.bills_missed and opened is not None and opened > start)


def _is_missed(boundary: Boundary, slot: CycleSlot) -> bool:
    """Return whether the period's box can no longer ship within the period's own turn.

    On a calendar that is once its cycle is locked; on rolling cycles, where any packing day
    will do, once the turn of the next box has begun.
    """
    if slot.charge_on is not None:
        return slot.lock_on < boundary.today
    following = next_boundary(boundary.start, boundary.shipping, boundary.anchor_day)
    return following <= boundary.today
