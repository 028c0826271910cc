"""When boxes go out: the rhythm of a group of plans, the dates of its rounds, who joins which."""

from calendar import monthrange
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from itertools import count as naturals
from operator import attrgetter

from storefront.domain.periods import BillingPeriod, Interval, add_interval

EVERY_WEEKDAY = frozenset(range(1, 8))


@dataclass(frozen=True, slots=True)
class DaysOff:
    """Days on which nothing leaves: single ones, and ISO weekdays (at most six)."""

    holidays: AbstractSet[date] = frozenset()
    weekdays: AbstractSet[int] = frozenset({7})


#: What a shop begins with.
SUNDAYS = DaysOff()


@dataclass(frozen=True, slots=True)
class CycleRhythm:
    """How a group of plans ships: one cycle per ``interval``, hung on its base day.

    The base day is the **charge day** for a calendar group: ``charge_day`` is the day of
    month (1-31, clamped to short months) for months and years, the ISO weekday (1 Monday
    to 7 Sunday) for weeks, and any number for days. It is the **packing day** for a
    rolling group, whose ``charge_day`` is None because each subscriber has their own; the
    anchor then gives the weekday.
    The other fields are days around the base day, ``ship_window_days`` after the ship day.
    Raises ``ValueError`` unless cut-off <= lock <= ship and charge day <= lock, and for a
    charge day that the unit does not have.
    """

    interval: Interval
    charge_day: int | None
    anchor: date
    cutoff_days_before_charge: int = 1
    lock_days_after_charge: int = 3
    ship_days_after_charge: int = 6
    ship_window_days: int = 2

    def __post_init__(self) -> None:
        lock, ship = self.lock_days_after_charge, self.ship_days_after_charge
        if not (max(0, -self.cutoff_days_before_charge) <= lock <= ship):
            raise ValueError(
                "cut-off and charge day come before the lock, the lock before shipping"
            )
        if self.ship_window_days < 0:
            raise ValueError("a ship window does not end before it begins")
        highest = {"week": 7, "month": 31, "year": 31}.get(self.interval.unit)
        if self.charge_day is not None and highest and not 1 <= self.charge_day <= highest:
            raise ValueError(f"no charge day {self.charge_day} in a {self.interval.unit}")

    @property
    def is_rolling(self) -> bool:
        return self.charge_day is None


_SHORTEST_MONTH, _LONGEST_MONTH = 28, 31


def can_keep(group: Interval, shipping: Interval, *, is_rolling: bool) -> bool:
    """Return whether a group with a cycle per ``group`` can pack what ships every ``shipping``.

    The k-th box joins a cycle by order, so a calendar group keeps its own interval only. In a
    rolling group each box looks for its packing day; a second one before the next is too many.
    Source: docs/decisions/0018-boxes-join-cycles-by-order.md.

    >>> can_keep(Interval("month"), Interval("month", 2), is_rolling=False)
    False
    >>> can_keep(Interval("week"), Interval("month"), is_rolling=True)
    True
    """
    if not is_rolling:
        return shipping.multiple_of(group) == 1
    longest = group.days or (group.months or 0) * _LONGEST_MONTH
    return _shortest(shipping) >= longest or shipping.multiple_of(group) is not None


def _shortest(shipping: Interval) -> int:
    return shipping.days or (shipping.months or 0) * _SHORTEST_MONTH


@dataclass(frozen=True, slots=True)
class CycleDates:
    """The days of one cycle, all shop-local; cut-off and lock are last seconds of theirs.

    Raises ``ValueError`` unless cut-off <= lock <= ship and charge <= lock.
    """

    key: str
    charge_on: date | None
    cutoff_on: date
    lock_on: date
    ship_from: date
    ship_to: date
    #: The ship day before days off moved it, where it is known.
    planned_from: date | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        first = self.cutoff_on if self.charge_on is None else max(self.cutoff_on, self.charge_on)
        if not first <= self.lock_on <= self.ship_from <= self.ship_to:
            raise ValueError(f"the days of cycle {self.key} are out of order")


@dataclass(frozen=True, slots=True)
class CycleSlot:
    """A cycle as seen by one subscription; ``charge_on`` is None where plans are rolling."""

    id: int
    charge_on: date | None
    cutoff_on: date
    lock_on: date
    ship_from: date
    #: First and last day on which orders begin with it; None: any day up to the cut-off.
    sells_from: date | None = None
    sells_until: date | None = None

    def sells_on(self, day: date) -> bool:
        """Return whether an order of ``day`` may begin with it, as far as its window goes.

        >>> slot = CycleSlot(1, None, date(2027, 3, 11), date(2027, 3, 12), date(2027, 3, 15),
        ...                  date(2027, 3, 1))
        >>> slot.sells_on(date(2027, 2, 28)), slot.sells_on(date(2027, 3, 1))
        (False, True)
        """
        is_early = self.sells_from is not None and day < self.sells_from
        return not is_early and (self.sells_until is None or day <= self.sells_until)

    @property
    def feed_on(self) -> date:
        """The last start of a period that feeds this cycle: its charge day, else its lock."""
        return self.lock_on if self.charge_on is None else self.charge_on


#: Monthly boxes leave 28 days apart at least, so one of these days has no other in its month.
_INSIDE = range(4, 29)


def is_named_by_month(leaves: date) -> bool:
    """Return whether a month names what leaves on a day: no other of a monthly rhythm shares it.

    Around the end of a month two may leave in one month and none in the next; the day tells them
    apart. Source: docs/decisions/0146-names-around-a-months-end.md.

    >>> is_named_by_month(date(2027, 5, 18)), is_named_by_month(date(2027, 5, 1))
    (True, False)
    """
    return leaves.day in _INSIDE


def is_of_month(key: str) -> bool:
    """Return whether the key of a cycle names a month, of which there is no other in its group.

    >>> is_of_month("2027-03"), is_of_month("2027-03-12")
    (True, False)
    """
    return len(key) == len("2027-03")


def plan_cycles(
    rhythm: CycleRhythm, start: date, until: date, off: DaysOff = SUNDAYS
) -> list[CycleDates]:
    """Return the cycles whose base day lies in ``[start, until)``, in order.

    A ship day that falls on a day off moves forward to the next day that is none, and the
    end of the window with it. Keys, charge days, cut-offs, locks and the number of cycles
    never depend on days off, so planning again later with others finds the same cycles.
    The key is "2027-03" for months and years and the base day otherwise.
    Source: docs/decisions/0017-rhythm-of-box-cycles.md.

    >>> rhythm = CycleRhythm(Interval("month"), 12, date(2027, 1, 12))
    >>> march, = plan_cycles(rhythm, date(2027, 3, 1), date(2027, 4, 1))
    >>> march.key, march.cutoff_on.day, march.charge_on.day, march.lock_on.day, march.ship_from.day
    ('2027-03', 11, 12, 15, 18)
    """
    base, n = _first_base_day(rhythm), 0
    if start > base:
        n = _steps_before(rhythm.interval, base, start)
    cycles = []
    while (day := add_interval(base, rhythm.interval, n, day=_wished(rhythm))) < until:
        if day >= start:
            cycles.append(_dates(rhythm, day, off))
        n += 1
    return cycles


def could_go_before(other: CycleSlot, slot: CycleSlot, shipping: Interval) -> bool:
    """Return whether who has a box in ``slot`` could have the one before it in ``other``.

    On a calendar, in every earlier one. Where cycles are rolling each box looks for its own
    packing day, so the one before it is packed ``shipping`` sooner, at least.

    >>> thursday, friday = (CycleSlot(n, None, date(2027, 3, n), date(2027, 3, n), date(2027, 3, n))
    ...                     for n in (11, 12))
    >>> could_go_before(thursday, friday, Interval("week"))
    False
    """
    if other.cutoff_on >= slot.cutoff_on:
        return False
    if slot.charge_on is not None:
        return True
    return other.lock_on <= slot.lock_on - timedelta(days=_shortest(shipping))


_LEAVING = attrgetter("ship_from", "lock_on", "id")


def in_order(cycles: Iterable[CycleSlot]) -> list[CycleSlot]:
    """Return ``cycles`` in the order in which their boxes leave."""
    return sorted(cycles, key=_LEAVING)


def first_cycle(cycles: Iterable[CycleSlot], today: date) -> CycleSlot | None:
    """Return the cycle an order of ``today`` joins: the first whose cut-off has not passed.

    Sales windows are looked at by ``domain/first_boxes.py``. The cut-off is the last second of
    its day, so an order on that day is in time. None when no such cycle is generated yet.
    """
    return next((cycle for cycle in in_order(cycles) if cycle.cutoff_on >= today), None)


def slot_for(cycles: Iterable[CycleSlot], start: date) -> CycleSlot | None:
    """Return the cycle that a period starting at ``start`` feeds first.

    Calendar: the first cycle charged on ``start`` or later. Rolling: the first cycle
    locked on ``start`` or later, because the money comes on ``start`` and a box paid
    before the lock is in time; its cut-off only ends what the customer may change.
    None when that cycle is not generated yet.
    Source: docs/decisions/0018-boxes-join-cycles-by-order.md.
    """
    return next((cycle for cycle in in_order(cycles) if cycle.feed_on >= start), None)


def first_renewal_on(
    cycles: Iterable[CycleSlot],
    first: CycleSlot,
    count: int,
    period: BillingPeriod,
    interval: Interval,
    *,
    charge_day: int | None = None,
    ships_on: date | None = None,
) -> date:
    """Return the day of the second payment of an order whose first box goes into ``first``.

    ``period`` is the order's day plus one billing ``interval``, which holds ``count``
    boxes. Calendar: the charge day of the ``count``-th cycle after ``first``, or of the
    first later one that comes after the order and not before the first box's ship day;
    beyond the generated cycles it is reckoned from ``first`` with ``charge_day`` (default
    that of ``first``). Rolling: the end of the period, or the first box's ship day if
    that is later. ``ships_on`` is that day where it is not the cycle's own, as of a box that
    joins it late. ``opening_periods`` says which days are paid and which are given.
    Source: docs/decisions/0019-first-renewal.md (the two examples there are tests).
    """
    leaves = ships_on or first.ship_from
    if first.charge_on is None:
        return max(period.end, leaves)
    ordered = in_order(cycles)
    place = next((i for i, cycle in enumerate(ordered) if cycle.id == first.id), len(ordered))
    known = (cycle.charge_on for cycle in ordered[place + count :])
    step = _part_of(interval, count)
    reckoned = (add_interval(first.charge_on, step, n, day=charge_day) for n in naturals(count))
    earliest = max(leaves, period.start + timedelta(days=1))
    return next(day for day in chain(known, reckoned) if day is not None and day >= earliest)


def _part_of(interval: Interval, count: int) -> Interval:
    """Return the shipping interval of which ``interval`` holds ``count``."""
    if interval.months is not None:
        return Interval("month", max(1, interval.months // count))
    return Interval("day", max(1, (interval.days or 1) // count))


def opening_periods(
    start: date, interval: Interval, renewal_on: date
) -> tuple[BillingPeriod, BillingPeriod | None]:
    """Return the first paid period and the free one up to ``renewal_on``, if any.

    The paid period is one ``interval`` from ``start``, cut at ``renewal_on``; days between
    its end and ``renewal_on`` are given.

    >>> opening_periods(date(2027, 3, 5), Interval("month"), date(2027, 4, 12))[1]
    BillingPeriod(start=datetime.date(2027, 4, 5), end=datetime.date(2027, 4, 12))
    """
    end = min(add_interval(start, interval, 1), renewal_on)
    free = BillingPeriod(end, renewal_on) if end < renewal_on else None
    return BillingPeriod(start, end), free


def next_working_day(day: date, off: DaysOff) -> date:
    """Return ``day``, or the first day after it that is none of the days off.

    >>> next_working_day(date(2027, 3, 28), DaysOff({date(2027, 3, 29)}))
    datetime.date(2027, 3, 30)
    """
    while day.isoweekday() in off.weekdays or day in off.holidays:
        day += timedelta(days=1)
    return day


def leaving_day(planned: date, lock_on: date, off: DaysOff) -> date:
    """Return the day on which a cycle leaves that is ``planned`` for one, never before its lock.

    >>> leaving_day(date(2027, 3, 18), date(2027, 3, 15), DaysOff({date(2027, 3, 18)}))
    datetime.date(2027, 3, 19)
    """
    return next_working_day(max(planned, lock_on), off)


def planned_day(noted: date | None, now: CycleDates, made: CycleDates | None, off: DaysOff) -> date:
    """Return the ship day that a cycle has before ``off`` moves it.

    That is what was ``noted``, as long as its days ``now`` come of it. Else it is what its
    rhythm ``made`` where that made this very ship day, and the day it leaves now otherwise.

    >>> sunday, monday = date(2027, 1, 31), date(2027, 2, 1)
    >>> now = CycleDates("2027-01", None, sunday, sunday, monday, monday)
    >>> planned_day(sunday, now, None, SUNDAYS), planned_day(None, now, None, SUNDAYS)
    (datetime.date(2027, 1, 31), datetime.date(2027, 2, 1))
    """
    if noted is not None and leaving_day(noted, now.lock_on, off) == now.ship_from:
        return noted
    if made is not None and made.planned_from is not None and made.ship_from == now.ship_from:
        return made.planned_from
    return now.ship_from


def _wished(rhythm: CycleRhythm) -> int | None:
    """Return the day of month to keep to; weeks and days need none."""
    if rhythm.interval.months is None:
        return None
    return rhythm.charge_day or rhythm.anchor.day


def _first_base_day(rhythm: CycleRhythm) -> date:
    anchor, wished = rhythm.anchor, rhythm.charge_day
    if wished is None or rhythm.interval.unit == "day":
        return anchor
    if rhythm.interval.unit == "week":
        return anchor + timedelta(days=(wished - anchor.isoweekday()) % 7)
    return anchor.replace(day=min(wished, monthrange(anchor.year, anchor.month)[1]))


def _steps_before(interval: Interval, base: date, start: date) -> int:
    """Return a step that surely lies before ``start``, close enough to walk on from."""
    if interval.days is not None:
        return (start - base).days // interval.days
    months = (start.year - base.year) * 12 + start.month - base.month
    return max(0, months // (interval.months or 1) - 1)


def _dates(rhythm: CycleRhythm, base: date, off: DaysOff) -> CycleDates:
    planned = base + timedelta(days=rhythm.ship_days_after_charge)
    ship_from = next_working_day(planned, off)
    calendar_key = rhythm.interval.months is not None and not rhythm.is_rolling
    return CycleDates(
        key=f"{base:%Y-%m}" if calendar_key else base.isoformat(),
        charge_on=None if rhythm.is_rolling else base,
        cutoff_on=base - timedelta(days=rhythm.cutoff_days_before_charge),
        lock_on=base + timedelta(days=rhythm.lock_days_after_charge),
        ship_from=ship_from,
        ship_to=ship_from + timedelta(days=rhythm.ship_window_days),
        planned_from=planned,
    )
