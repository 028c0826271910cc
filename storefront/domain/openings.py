"""How a subscription begins: paid at once, with a trial, or free up to the billing day.

Days are shop-local dates. Source: docs/decisions/0019-first-renewal.md and 0064-how-it-begins.md.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from storefront.domain.cycles import CycleSlot, opening_periods, slot_for
from storefront.domain.errors import DomainError
from storefront.domain.first_boxes import (
    WITH_NEXT,
    FirstBox,
    FirstPlace,
    first_place,
    renewal_after,
)
from storefront.domain.lifecycle import PeriodKind
from storefront.domain.periods import BillingPeriod, Interval, add_interval

#: Days of the shortest trial that leaves time for a reminder seven days before its charge, which
#: Visa's rules for subscription merchants ask for.
REMINDED_TRIAL_DAYS = 8

#: What is paid for the days up to a fixed billing day.
FirstPeriod = Literal["full", "prorated", "free"]


class NoCycle(DomainError):
    """No cycle is planned that an order of today could join, so no ship date can be promised."""

    code = "no_cycle"


@dataclass(frozen=True, slots=True)
class Opening:
    """The first days of a subscription.

    ``kind`` is that of the first ``period``: billed, trial or free. ``free`` are days given
    behind a billed one, up to ``renewal_on``, when the next payment is taken. ``cycle`` is the
    first box's, with the day that box leaves; ``place`` is where a paid one goes. ``share`` is
    (days, of how many) of a prorated first period.
    """

    kind: PeriodKind
    period: BillingPeriod
    free: BillingPeriod | None
    renewal_on: date
    cycle: CycleSlot | None = None
    share: tuple[int, int] | None = None
    place: FirstPlace | None = None


def open_with(
    today: date,
    interval: Interval,
    boxes: int,
    cycles: Sequence[CycleSlot],
    *,
    charge_day: int | None = None,
    trial_days: int = 0,
    first_period: FirstPeriod = "full",
    first_box: FirstBox = WITH_NEXT,
    follows_on: date | None = None,
) -> Opening:
    """Return how a subscription ordered ``today`` begins.

    ``boxes`` is how many a billing ``interval`` brings, 0 for a plan that ships nothing.
    ``charge_day`` is the fixed billing day: a day of the month, or a weekday (1 = Monday) where
    billed by weeks. With a trial the first payment is at its end, moved to the fixed billing
    day where there is one, as is that of what follows a gift, ``follows_on``. ``first_period``
    "prorated" is for plans that ship nothing.
    Raises ``NoCycle`` where a box would have no ship date.
    """
    if trial_days or follows_on is not None:
        end = follows_on or today + timedelta(days=trial_days)
        kind = PeriodKind.FREE if follows_on else PeriodKind.TRIAL
        opening = _unpaid(kind, today, end, interval, boxes, cycles, charge_day)
        if opening.cycle is not None and opening.cycle.id in first_box.full:
            # Its box comes with the payment, so it cannot wait for a later cycle.
            raise NoCycle
        return opening
    if boxes:
        return _with_boxes(today, interval, boxes, cycles, charge_day, first_period, first_box)
    whole = BillingPeriod(today, add_interval(today, interval, 1))
    billing_day = None if charge_day is None else next_day(today, interval, charge_day)
    if billing_day is None or charge_day is None or billing_day == today:
        return Opening(PeriodKind.BILLED, whole, None, whole.end)
    if first_period == "free":
        return Opening(PeriodKind.FREE, BillingPeriod(today, billing_day), None, billing_day)
    if first_period == "prorated":
        stub = BillingPeriod(today, billing_day)
        before = add_interval(billing_day, interval, -1, day=_day_of_month(interval, charge_day))
        share = (stub.days, (billing_day - before).days)
        return Opening(PeriodKind.BILLED, stub, None, billing_day, None, share)
    renewal_on = next_day(whole.end, interval, charge_day)
    period, free = opening_periods(today, interval, renewal_on)
    return Opening(PeriodKind.BILLED, period, free, renewal_on)


def next_day(day: date, interval: Interval, charge_day: int) -> date:
    """Return ``day`` or the first later one that is the fixed billing day.

    Short months have it on their last day.

    >>> next_day(date(2027, 2, 10), Interval("month"), 31)
    datetime.date(2027, 2, 28)
    >>> next_day(date(2027, 2, 10), Interval("week", 2), 1)
    datetime.date(2027, 2, 15)
    """
    if interval.unit == "day":
        return day
    if interval.unit == "week":
        return day + timedelta(days=(charge_day - day.isoweekday()) % 7)
    this = day.replace(day=min(charge_day, monthrange(day.year, day.month)[1]))
    return this if this >= day else add_interval(this, Interval("month"), 1, day=charge_day)


def anchor_day(opening: Opening, today: date, interval: Interval, charge_day: int | None) -> int:
    """Return the day of month that later charges aim at, also after short months."""
    wished = _day_of_month(interval, charge_day)
    if wished is not None:
        return wished
    regular = opening.renewal_on == add_interval(today, interval, 1)
    return today.day if regular else opening.renewal_on.day


def _day_of_month(interval: Interval, charge_day: int | None) -> int | None:
    return charge_day if interval.months is not None else None


def _unpaid(
    kind: PeriodKind,
    today: date,
    end: date,
    interval: Interval,
    boxes: int,
    cycles: Sequence[CycleSlot],
    charge_day: int | None,
) -> Opening:
    slot = None
    if boxes:
        slot = slot_for(cycles, end)
        if slot is None:
            raise NoCycle
        end = slot.charge_on or end
    elif charge_day is not None:
        end = next_day(end, interval, charge_day)
    return Opening(kind, BillingPeriod(today, end), None, end, slot)


def _with_boxes(
    today: date,
    interval: Interval,
    boxes: int,
    cycles: Sequence[CycleSlot],
    charge_day: int | None,
    first_period: FirstPeriod,
    first_box: FirstBox,
) -> Opening:
    place = first_place(cycles, today, first_box)
    if place is None:
        raise NoCycle
    cycle = replace(place.cycle, ship_from=place.ships_on)
    if first_period == "free" and cycle.charge_on is not None and cycle.charge_on > today:
        until = cycle.charge_on
        return Opening(PeriodKind.FREE, BillingPeriod(today, until), None, until, cycle)
    whole = BillingPeriod(today, add_interval(today, interval, 1))
    renewal_on = renewal_after(place, cycles, boxes, whole, interval, charge_day=charge_day)
    period, free = opening_periods(today, interval, renewal_on)
    return Opening(PeriodKind.BILLED, period, free, renewal_on, cycle, None, place)
