"""Which days one cycle may be given by hand, beside those its rhythm gave it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a cycle that can be changed; ``charge_on`` cannot: payments hang on it."""

    charge_on: date | None
    cutoff_on: date
    lock_on: date
    ship_from: date
    ship_to: date
    #: First and last day on which orders begin with the cycle; None: up to the cut-off.
    sells_from: date | None = None
    sells_until: date | None = None


class DayProblem(StrEnum):
    """Why a cycle cannot have these days."""

    #: The cut-off is over, or would be.
    CUTOFF_OVER = "cutoff_over"
    CUTOFF_AFTER_LOCK = "cutoff_after_lock"
    LOCK_BEFORE_CHARGE = "lock_before_charge"
    #: Payments on days of their own find their box by the lock.
    LOCK_FIXED = "lock_fixed"
    LOCK_AFTER_SHIP = "lock_after_ship"
    SHIP_BACKWARDS = "ship_backwards"
    #: Nothing leaves on that day.
    DAY_OFF = "day_off"
    #: The cycle would change places with the one before or behind it.
    BEFORE_OTHER = "before_other"
    AFTER_OTHER = "after_other"
    #: Somebody would pay for the second box before the first has left.
    PAID_BEFORE = "paid_before"
    #: The window of sale ends before it begins, or is not over by the cut-off.
    SALES_BACKWARDS = "sales_backwards"
    SALES_AFTER_CUTOFF = "sales_after_cutoff"
    #: A new cut-off lies before the first day of a window that was saved: it would never be sold.
    CUTOFF_BEFORE_SALES = "cutoff_before_sales"


@dataclass(frozen=True, slots=True)
class Around:
    """What the days have to fit between; None where there is no such cycle or payment."""

    before: Days | None
    behind: Days | None
    #: The first day on which somebody whose first box it is pays again.
    next_payment_on: date | None
    holidays: AbstractSet[date]
    closed_weekdays: AbstractSet[int]


def problem_of_days(now: Days, wanted: Days, around: Around, today: date) -> DayProblem | None:
    """Return what is against ``wanted``, or None.

    Cut-off <= lock <= ship and charge <= lock hold as for every cycle, and cycles keep their
    order: boxes join by it (docs/decisions/0018). No second payment comes before the first box
    (0019). Source: docs/decisions/0185-days-of-one-cycle.md.
    """
    if wanted.cutoff_on != now.cutoff_on and min(now.cutoff_on, wanted.cutoff_on) < today:
        return DayProblem.CUTOFF_OVER
    if wanted.lock_on != now.lock_on and now.charge_on is None:
        return DayProblem.LOCK_FIXED
    return (
        _out_of_order(wanted, today)
        or _moved_too_far(now, wanted, around)
        or _wrong_window(now, wanted)
    )


def _out_of_order(wanted: Days, today: date) -> DayProblem | None:
    if wanted.cutoff_on > wanted.lock_on:
        return DayProblem.CUTOFF_AFTER_LOCK
    if wanted.lock_on < max(wanted.charge_on or today, today):
        return DayProblem.LOCK_BEFORE_CHARGE
    if wanted.lock_on > wanted.ship_from:
        return DayProblem.LOCK_AFTER_SHIP
    return DayProblem.SHIP_BACKWARDS if wanted.ship_from > wanted.ship_to else None


def _wrong_window(now: Days, wanted: Days) -> DayProblem | None:
    """Return what is against the window of sale (decision 0202)."""
    first, last = wanted.sells_from, wanted.sells_until
    if first is not None and last is not None and first > last:
        return DayProblem.SALES_BACKWARDS
    # A cut-off that comes sooner ends a window that was saved before; no need to type it anew.
    is_new = (first, last) != (now.sells_from, now.sells_until)
    days = [day for day in (first, last) if day is not None]
    late = is_new and any(day > wanted.cutoff_on for day in days)
    if late:
        return DayProblem.SALES_AFTER_CUTOFF
    is_sooner = wanted.cutoff_on < now.cutoff_on
    never = is_sooner and first is not None and first > wanted.cutoff_on
    return DayProblem.CUTOFF_BEFORE_SALES if never else None


def _moved_too_far(now: Days, wanted: Days, around: Around) -> DayProblem | None:
    before, behind, leaves = around.before, around.behind, wanted.ship_from
    if leaves != now.ship_from and (
        leaves in around.holidays or leaves.isoweekday() in around.closed_weekdays
    ):
        return DayProblem.DAY_OFF
    if before and any(mine <= theirs for mine, theirs in _pairs(wanted, before)):
        return DayProblem.BEFORE_OTHER
    if behind and any(mine >= theirs for mine, theirs in _pairs(wanted, behind)):
        return DayProblem.AFTER_OTHER
    pays = around.next_payment_on
    later = leaves > now.ship_from
    return DayProblem.PAID_BEFORE if later and pays is not None and leaves > pays else None


def _pairs(one: Days, other: Days) -> list[tuple[date, date]]:
    return [
        (one.cutoff_on, other.cutoff_on),
        (one.lock_on, other.lock_on),
        (one.ship_from, other.ship_from),
    ]
